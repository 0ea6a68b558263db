//! A deployment with CloudFront in front, and so with a web application firewall.

use std::time::Duration;

use serde_json::{Value, json};

use crate::place::{Answer, Place};

/// The secret's name in Secrets Manager.
const SECRET: &str = "local-origin";
const VIEWER: &str = "CloudFront-Viewer-Address";

fn place(secret: &str) -> Place {
    let place = Place::with(&[
        ("MUSTER_VIEWER_ADDRESS_HEADER", VIEWER),
        ("MUSTER_ORIGIN_SECRET_NAME", SECRET),
        ("MUSTER_SIGNUPS_PER_ADDRESS", "2"),
    ]);
    tell(&place, secret);
    place
}

fn tell(place: &Place, secret: &str) {
    let parameters = &mut place.state.lock().parameters;
    parameters.insert(SECRET.to_owned(), secret.to_owned());
}

/// A sign-up as it arrives: all of them by one edge.
async fn sign_up(place: &Place, secret: Option<&str>, viewer: Option<&str>) -> Answer {
    let mut headers = json!({});
    if let Some(secret) = secret {
        headers["x-origin-secret"] = json!(secret);
    }
    if let Some(viewer) = viewer {
        headers[VIEWER.to_lowercase()] = json!(viewer);
    }
    let body = json!({ "email": "ada@example.com", "name": "Ada" });
    let request = json!({
        "method": "POST", "path": "/signup", "headers": headers, "body": body,
        "from": "192.0.2.1",
    });
    place.request(request).await
}

#[tokio::test(start_paused = true)]
async fn people_are_told_apart_by_what_the_edge_says_of_them() {
    let secret = "s".repeat(32);
    let place = place(&secret);
    for viewer in [
        "198.51.100.1:1",
        "198.51.100.2:2",
        "2001:db8:1::1:3",
        "2001:db8:2:1:2:3:4:5:443",
        "2001:db8:3:1:2:3:4:5:443",
    ] {
        for status in [202, 202, 429] {
            let answer = sign_up(&place, Some(&secret), Some(viewer)).await;
            assert_eq!(answer.status(), status, "{viewer}");
        }
    }
    // Of whom it says nothing, the gateway's word counts: the address of the edge.
    for (viewer, status) in [(None, 202), (Some("somebody"), 202), (None, 429)] {
        let answer = sign_up(&place, Some(&secret), viewer).await;
        assert_eq!(answer.status(), status, "{viewer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_goes_round_the_edge_is_refused() {
    let secret = "s".repeat(32);
    let place = place(&secret);
    let wrong = "x".repeat(32);
    for shown in [None, Some(""), Some("s"), Some(&*wrong)] {
        let answer = sign_up(&place, shown, Some("198.51.100.1:1")).await;
        let found = (answer.status(), answer.problem());
        assert_eq!(found, (403, "forbidden"), "{shown:?}");
    }
    for (method, path) in [
        ("GET", "/health"),
        ("GET", "/confirm?token=x"),
        ("POST", "/not-me"),
    ] {
        let answer = place.ask(method, path, Value::Null).await;
        assert_eq!(answer.status(), 403, "{path}");
    }
    assert!(place.items().is_empty());
    // Whom the gateway knows needs no edge.
    assert_eq!(place.get("/profiles").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn without_an_edge_its_headers_mean_nothing() {
    let place = Place::with(&[("MUSTER_SIGNUPS_PER_ADDRESS", "2")]);
    for (number, status) in [(1, 202), (2, 202), (3, 429)] {
        let viewer = format!("198.51.100.{number}:1");
        let answer = sign_up(&place, Some("s"), Some(&viewer)).await;
        assert_eq!(answer.status(), status, "{viewer}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_secret_changes_without_a_gap() {
    let (old, new) = ("o".repeat(32), "n".repeat(32));
    let place = place(&old);
    let ask =
        async |secret: &str, viewer| sign_up(&place, Some(secret), Some(viewer)).await.status();
    assert_eq!(ask(&old, "198.51.100.1:1").await, 202);
    tell(&place, &format!("{new} {old}"));
    assert_eq!(ask(&new, "198.51.100.2:1").await, 403, "within a minute");
    place.pass(Duration::from_secs(61)).await;
    assert_eq!(ask(&new, "198.51.100.3:1").await, 202);
    assert_eq!(ask(&old, "198.51.100.4:1").await, 202);
    tell(&place, &new);
    place.pass(Duration::from_secs(300)).await;
    assert_eq!(ask(&old, "198.51.100.5:1").await, 403);
    assert_eq!(ask(&new, "198.51.100.6:1").await, 202);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_of_no_use_lets_nobody_in() {
    let place = place("short");
    let answer = sign_up(&place, Some("short"), Some("198.51.100.1:1")).await;
    assert_eq!(answer.status(), 500);
    assert!(!answer.text().contains("short"), "{}", answer.text());
    place.state.lock().parameters.clear();
    let missing = Place::with(&[
        ("MUSTER_VIEWER_ADDRESS_HEADER", VIEWER),
        ("MUSTER_ORIGIN_SECRET_NAME", SECRET),
    ]);
    let answer = sign_up(&missing, Some("short"), Some("198.51.100.1:1")).await;
    assert_eq!(answer.status(), 500);
    assert_eq!(missing.get("/profiles").await.status(), 200);
}
