//! A deployment with a captcha. The verifier is a server, so time is real here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::serve::ListenerExt;
use muster_core::platform::aws::POOL_IDLE_TIMEOUT;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::place::{Answer, Place};

type Asked = Arc<Mutex<Vec<String>>>;

/// The secret's name in Secrets Manager.
const SECRET: &str = "local-captcha";
const SOLVED: &str = "good";

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

/// It knows the sites with the secrets `s3cret&` and `new`.
async fn verify(State(asked): State<Asked>, form: String) -> (StatusCode, String) {
    asked.lock().unwrap().push(form.clone());
    let verdict = |success: bool, errors: &[&str]| {
        json!({ "success": success, "error-codes": errors }).to_string()
    };
    let field = |name: &str| form.split('&').find_map(|pair| pair.strip_prefix(name));
    if !["s3cret%26", "new"].contains(&field("secret=").unwrap()) {
        return (StatusCode::OK, verdict(false, &["invalid-input-secret"]));
    }
    match field("response=") {
        Some(SOLVED) => (StatusCode::OK, verdict(true, &[])),
        Some("garbage") => (StatusCode::OK, "<html>".to_owned()),
        Some("broken") => (StatusCode::BAD_GATEWAY, String::new()),
        _ => (StatusCode::OK, verdict(false, &["invalid-input-response"])),
    }
}

fn place(url: &str) -> Place {
    place_with(url, &[])
}

fn place_with(url: &str, own: &[(&'static str, &str)]) -> Place {
    let captcha = [
        ("MUSTER_CAPTCHA_URL", url),
        ("MUSTER_CAPTCHA_SECRET_NAME", SECRET),
    ];
    let place = Place::with(&[&captcha, own].concat());
    tell(&place, "s3cret&");
    place
}

/// Sets the secret.
fn tell(place: &Place, secret: &str) {
    let parameters = &mut place.state.lock().parameters;
    parameters.insert(SECRET.to_owned(), secret.to_owned());
}

async fn ask(place: &Place, path: &str, mut body: Value, captcha: Value) -> Answer {
    if !captcha.is_null() {
        body["captcha"] = captcha;
    }
    place.ask("POST", path, body).await
}

async fn sign_up(place: &Place, captcha: Value) -> Answer {
    let body = json!({ "email": "ada@example.com", "name": "Ada" });
    ask(place, "/signup", body, captcha).await
}

/// What a page's form for another mail sends.
async fn send_form(place: &Place, body: &str) -> Answer {
    let form = ("content-type", "application/x-www-form-urlencoded");
    place
        .ask_with("POST", "/signup/resend", form, json!(body))
        .await
}

/// A place where somebody signed up a while ago and did not confirm, and their link.
async fn waiting(url: &str) -> (Place, String) {
    let place = place(url);
    sign_up(&place, json!(SOLVED)).await;
    place.deliver_mails().await;
    let token = place.mails_to("ada@example.com").pop().unwrap().token;
    (place, token)
}

/// Lets time pass, though it is real.
fn pass(place: &Place, time: Duration) {
    place.clock.advance(time);
}

#[tokio::test]
async fn only_a_solved_captcha_signs_up_or_has_the_mail_sent_again() {
    let (url, asked) = verifier().await;
    let place = place(&url);
    let resend = json!({ "email": "ada@example.com" });
    let mut sign_up = resend.clone();
    sign_up["name"] = json!("Ada");
    for (path, body) in [("/signup", &sign_up), ("/signup/resend", &resend)] {
        for (token, status, code) in [
            (Value::Null, 422, "missing"),
            (json!(""), 422, "captcha_failed"),
            (json!("x".repeat(4097)), 422, "captcha_failed"),
            (json!(7), 422, "wrong_type"),
            (json!("bad"), 422, "captcha_failed"),
            (json!("garbage"), 503, ""),
            (json!("broken"), 503, ""),
        ] {
            let answer = ask(&place, path, body.clone(), token.clone()).await;
            assert_eq!(answer.status(), status, "{path} {token}");
            let found = answer.body()["errors"][0]["code"].as_str();
            assert_eq!(found.unwrap_or_default(), code, "{path} {token}");
        }
    }
    let kept = |item: &muster_core::platform::table::Item| {
        let pk = item["pk"].as_s().unwrap().clone();
        !pk.starts_with("RATE#network#") && !pk.starts_with("SECRET#")
    };
    assert!(!place.items().iter().any(kept), "nothing was written");
    assert_eq!(
        asked.lock().unwrap().len(),
        6,
        "what can be no token is not asked about"
    );
    for (path, body) in [("/signup", sign_up), ("/signup/resend", resend)] {
        assert_eq!(ask(&place, path, body, json!(SOLVED)).await.status(), 202);
    }
    assert!(place.profile("ada@example.com").await.is_some());
    assert_eq!(
        asked.lock().unwrap().last().unwrap(),
        "secret=s3cret%26&response=good&remoteip=192.0.2.1"
    );
}

#[tokio::test]
async fn who_asks_too_often_costs_the_verifier_nothing() {
    let (url, asked) = verifier().await;
    let place = place_with(&url, &[("MUSTER_SIGNUPS_PER_ADDRESS", "2")]);
    for status in [422, 422, 429, 429] {
        assert_eq!(sign_up(&place, json!("bad")).await.status(), status);
    }
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn the_form_behind_a_link_needs_no_captcha() {
    let (url, asked) = verifier().await;
    let (place, token) = waiting(&url).await;
    // Three days later it leads to a page with a form, which carries it.
    pass(&place, Duration::from_secs(3 * 24 * 60 * 60 + 60));
    let page = place.get(&format!("/confirm?token={token}")).await;
    assert_eq!(page.status(), 410);
    let hidden = format!(r#"<input type="hidden" name="token" value="{token}">"#);
    assert!(page.text().contains(&hidden), "{}", page.text());
    let typed = send_form(&place, &format!("token={token}&email=ada")).await;
    assert_eq!(typed.status(), 422);
    assert!(typed.text().contains(&hidden), "{}", typed.text());

    let before = asked.lock().unwrap().len();
    let answer = send_form(&place, &format!("token={token}&email=Ada%40example.com")).await;
    assert_eq!(answer.status(), 202, "{}", answer.text());
    place.deliver_mails().await;
    assert_eq!(place.mails_to("Ada@example.com").len(), 1);
    assert_eq!(asked.lock().unwrap().len(), before);
}

#[tokio::test]
async fn a_link_speaks_for_its_own_address_only() {
    let (url, _) = verifier().await;
    let (place, token) = waiting(&url).await;
    let eve = json!({ "email": "eve@example.com", "name": "Eve" });
    ask(&place, "/signup", eve, json!(SOLVED)).await;
    place.deliver_mails().await;
    pass(&place, Duration::from_secs(300));
    let own = send_form(&place, &format!("token={token}&email=ada%40example.com")).await;
    for address in ["eve@example.com", "nobody@example.com"] {
        let body = format!("token={token}&email={address}");
        // It is not told whose address it is.
        assert_eq!(send_form(&place, &body).await, own, "{address}");
    }
    place.deliver_mails().await;
    assert_eq!(place.mails_to("eve@example.com").len(), 1);
    assert_eq!(place.mails_to("nobody@example.com").len(), 0);
}

#[tokio::test]
async fn a_form_without_a_link_of_ours_says_to_sign_up_again() {
    let (url, _) = verifier().await;
    let (place, token) = waiting(&url).await;
    pass(&place, Duration::from_secs(300));
    let last = if token.ends_with('A') { 'E' } else { 'A' };
    let guessed = format!("{}{last}", &token[..token.len() - 1]);
    for proof in [
        String::new(),
        format!("&token={guessed}"),
        "&captcha=bad".to_owned(),
    ] {
        let page = send_form(&place, &format!("email=ada%40example.com{proof}")).await;
        assert_eq!(page.status(), 422, "{proof}");
        assert!(page.text().contains("Sign up again"), "{}", page.text());
    }
    place.deliver_mails().await;
    assert_eq!(place.mails_to("ada@example.com").len(), 1);
    // A form of one's own may show a captcha.
    let body = format!("email=ada%40example.com&captcha={SOLVED}");
    assert_eq!(send_form(&place, &body).await.status(), 202);
    place.deliver_mails().await;
    assert_eq!(place.mails_to("ada@example.com").len(), 2);
}

#[tokio::test]
async fn the_last_fifth_of_the_hour_is_for_solved_captchas() {
    let (url, _) = verifier().await;
    let place = place_with(&url, &[("MUSTER_SIGNUP_MAILS_PER_HOUR", "5")]);
    sign_up(&place, json!(SOLVED)).await;
    place.deliver_mails().await;
    let token = place.mails_to("ada@example.com").pop().unwrap().token;
    for name in ["b", "c", "d"] {
        let body = json!({ "email": format!("{name}@example.com"), "name": name });
        let answer = ask(&place, "/signup", body, json!(SOLVED)).await;
        assert_eq!(answer.status(), 202, "{name}");
    }
    pass(&place, Duration::from_secs(300));
    let form = format!("token={token}&email=ada%40example.com");
    assert_eq!(send_form(&place, &form).await.status(), 503);
    let resend = json!({ "email": "ada@example.com" });
    let answer = ask(&place, "/signup/resend", resend.clone(), json!(SOLVED)).await;
    assert_eq!(answer.status(), 202);
    let answer = ask(&place, "/signup/resend", resend, json!(SOLVED)).await;
    assert_eq!(answer.status(), 503, "then it is used up");
}

#[tokio::test]
async fn a_secret_that_was_changed_is_read_again() {
    let (url, _) = verifier().await;
    let place = place(&url);
    tell(&place, "old");
    let reads = |place: &Place| {
        let calls = place.calls().into_iter();
        let reads = calls.filter(|call| call.operation == "SecretsManager.GetSecretValue");
        reads.count()
    };
    let answer = sign_up(&place, json!(SOLVED)).await;
    assert_eq!((answer.status(), answer.problem()), (503, "unavailable"));
    assert!(!answer.text().contains("secret"), "{}", answer.text());
    assert_eq!(reads(&place), 1);
    // Not at once again, whoever asks.
    tell(&place, "new");
    assert_eq!(sign_up(&place, json!(SOLVED)).await.status(), 503);
    assert_eq!(reads(&place), 0);
    pass(&place, Duration::from_secs(61));
    assert_eq!(sign_up(&place, json!(SOLVED)).await.status(), 202);
    assert_eq!(reads(&place), 1);
    assert_eq!(sign_up(&place, json!(SOLVED)).await.status(), 202);
    assert_eq!(reads(&place), 0, "it is kept");
    pass(&place, Duration::from_secs(300));
    sign_up(&place, json!(SOLVED)).await;
    assert_eq!(reads(&place), 1, "for five minutes");
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_lets_nobody_in() {
    let (url, asked) = verifier().await;
    let place = place(&url);
    place.state.lock().parameters.clear();
    let answer = sign_up(&place, json!(SOLVED)).await;
    assert_eq!((answer.status(), answer.problem()), (503, "unavailable"));
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_verifier_that_is_not_there_lets_nobody_in() {
    let place = place("http://127.0.0.1:1/siteverify");
    let answer = sign_up(&place, json!(SOLVED)).await;
    assert_eq!((answer.status(), answer.problem()), (503, "unavailable"));
    assert!(answer.header("retry-after").is_some());
    assert!(!answer.text().contains("127.0.0.1"), "{}", answer.text());
}

#[tokio::test]
async fn without_a_verifier_a_token_is_ignored() {
    let place = Place::new();
    assert_eq!(sign_up(&place, json!("any")).await.status(), 202);
    let resend = json!({ "email": "ada@example.com" });
    let answer = ask(&place, "/signup/resend", resend, json!("any")).await;
    assert_eq!(answer.status(), 202);
    let form = "email=ada%40example.com&token=x&captcha=y";
    assert_eq!(send_form(&place, form).await.status(), 202);
}

/// A token is good once: it cannot be shown again when the verifier turns out to have
/// closed the connection.
#[tokio::test]
async fn a_connection_to_the_verifier_that_was_idle_for_long_is_not_used_again() {
    let (url, _, connections) = verifier_with_count().await;
    let place = place(&url);
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
