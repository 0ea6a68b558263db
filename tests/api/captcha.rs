//! A deployment with a captcha. The verifier is a server, so time is real here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::serve::ListenerExt;
use muster_core::aws::POOL_IDLE_TIMEOUT;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::place::{Answer, Place};

type Asked = Arc<Mutex<Vec<String>>>;

/// A verifier to which `good` is a solved captcha, and what it was asked.
async fn verifier() -> (String, Asked) {
    let (url, asked, _) = verifier_with_count().await;
    (url, asked)
}

/// The same with the number of connections that it has had.
async fn verifier_with_count() -> (String, Asked, Arc<AtomicUsize>) {
    let asked = Asked::default();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let router = Router::new()
        .route("/siteverify", post(verify))
        .with_state(asked.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/siteverify", listener.local_addr().unwrap());
    let listener = listener.tap_io(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked, connections)
}

async fn verify(State(asked): State<Asked>, form: String) -> (StatusCode, String) {
    asked.lock().unwrap().push(form.clone());
    let verdict = |success: bool| json!({ "success": success, "error-codes": [] }).to_string();
    match form
        .split('&')
        .find_map(|pair| pair.strip_prefix("response="))
    {
        Some("good") => (StatusCode::OK, verdict(true)),
        Some("garbage") => (StatusCode::OK, "<html>".to_owned()),
        Some("broken") => (StatusCode::BAD_GATEWAY, String::new()),
        _ => (StatusCode::OK, verdict(false)),
    }
}

fn place(url: String) -> Place {
    Place::with(&[
        ("MUSTER_CAPTCHA_URL", &url),
        ("MUSTER_CAPTCHA_SECRET", "s3cret&"),
    ])
}

async fn sign_up(place: &Place, captcha: Value) -> Answer {
    let mut body = json!({ "email": "ada@example.com", "name": "Ada" });
    if !captcha.is_null() {
        body["captcha"] = captcha;
    }
    place.ask("POST", "/signup", body).await
}

#[tokio::test]
async fn only_a_solved_captcha_signs_up() {
    let (url, asked) = verifier().await;
    let place = place(url);
    for (token, status, code) in [
        (Value::Null, 422, "missing"),
        (json!(""), 422, "captcha_failed"),
        (json!("x".repeat(4097)), 422, "captcha_failed"),
        (json!(7), 422, "wrong_type"),
        (json!("bad"), 422, "captcha_failed"),
        (json!("garbage"), 503, ""),
        (json!("broken"), 503, ""),
    ] {
        let answer = sign_up(&place, token.clone()).await;
        assert_eq!(answer.status(), status, "{token}");
        let found = answer.body()["errors"][0]["code"].as_str();
        assert_eq!(found.unwrap_or_default(), code, "{token}");
    }
    assert!(place.items().is_empty(), "nothing was written");
    assert_eq!(sign_up(&place, json!("good")).await.status(), 202);
    assert!(place.profile("ada@example.com").await.is_some());
    let forms = asked.lock().unwrap();
    assert_eq!(
        forms.last().unwrap(),
        "secret=s3cret%26&response=good&remoteip=192.0.2.1"
    );
    assert_eq!(forms.len(), 4, "what can be no token is not asked about");
}

#[tokio::test]
async fn a_verifier_that_is_not_there_lets_nobody_in() {
    let place = place("http://127.0.0.1:1/siteverify".to_owned());
    let answer = sign_up(&place, json!("good")).await;
    assert_eq!((answer.status(), answer.problem()), (503, "unavailable"));
    assert!(answer.header("retry-after").is_some());
    assert!(!answer.text().contains("127.0.0.1"), "{}", answer.text());
}

#[tokio::test]
async fn without_a_verifier_a_token_is_ignored() {
    let place = Place::new();
    assert_eq!(sign_up(&place, json!("any")).await.status(), 202);
}

/// A token is good once: it cannot be shown again when the verifier turns out to have
/// closed the connection.
#[tokio::test]
async fn a_connection_to_the_verifier_that_was_idle_for_long_is_not_used_again() {
    let (url, _, connections) = verifier_with_count().await;
    let place = place(url);
    let second = Duration::from_secs(1);
    for (time, expected) in [
        (Duration::ZERO, 1),
        (POOL_IDLE_TIMEOUT - second, 1),
        (POOL_IDLE_TIMEOUT + second, 2),
    ] {
        // Until the connection is back in the pool.
        tokio::time::sleep(Duration::from_millis(20)).await;
        tokio::time::pause();
        tokio::time::advance(time).await;
        tokio::time::resume();
        assert_eq!(sign_up(&place, json!("good")).await.status(), 202);
        assert_eq!(connections.load(Ordering::SeqCst), expected, "{time:?}");
    }
}
