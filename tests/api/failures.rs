//! What a caller is told when AWS does not do its part.

use muster_core::platform::random::Random;
use muster_simulation::faults::{FAULTS, Schedule};
use serde_json::{Value, json};

use crate::place::Place;

/// A place at which every call to AWS goes wrong.
fn broken() -> Place {
    let place = Place::new();
    place.state.lock().schedule = Schedule::Rate {
        per_mille: 1000,
        left: u64::MAX,
        kinds: &FAULTS,
        random: Random::seeded(1),
    };
    place
}

#[tokio::test(start_paused = true)]
async fn a_failure_names_the_request_and_nothing_of_the_inside() {
    let id = "019aafb0-0000-7000-8000-000000000000";
    let token = format!("{id}.1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let person = json!({ "email": "ada@example.com", "name": "Ada" });
    for (method, path, body) in [
        ("POST", "/signup", person.clone()),
        (
            "POST",
            "/signup/resend",
            json!({ "email": "ada@example.com" }),
        ),
        ("GET", &format!("/confirm?token={token}"), Value::Null),
        ("POST", "/confirm", json!({ "token": token })),
        ("GET", &format!("/not-me?token={token}"), Value::Null),
        ("POST", "/profiles", person),
        ("GET", "/profiles", Value::Null),
        ("GET", "/profiles?email=ada@example.com", Value::Null),
        ("GET", &format!("/profiles/{id}"), Value::Null),
        ("DELETE", &format!("/profiles/{id}"), Value::Null),
        ("GET", "/imports", Value::Null),
        ("POST", "/imports", json!({})),
        ("GET", &format!("/imports/{id}"), Value::Null),
        ("POST", &format!("/imports/{id}/start"), Value::Null),
        ("POST", &format!("/imports/{id}/cancel"), Value::Null),
        ("POST", &format!("/imports/{id}/resume"), "".into()),
        ("GET", &format!("/imports/{id}/errors"), Value::Null),
        ("GET", "/queues", Value::Null),
        ("GET", "/queues/mail/dead-letters", Value::Null),
        ("GET", "/queues/mail/dead-letters/x", Value::Null),
        (
            "POST",
            "/queues/mail/dead-letters/redrive",
            json!({ "all": true }),
        ),
        (
            "POST",
            "/queues/mail/dead-letters/purge",
            json!({ "all": true }),
        ),
    ] {
        let answer = broken().ask(method, path, body).await;
        let body = answer.body();
        assert_eq!(answer.status(), 503, "{method} {path}: {body}");
        assert_eq!(answer.problem(), "unavailable", "{method} {path}");
        assert_eq!(body["request_id"], "request-1", "{method} {path}");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        for inside in ["aws.local", "Item", "dispatch", "timeout", "muster"] {
            let detail = body["detail"].as_str().unwrap();
            assert!(!detail.contains(inside), "{method} {path}: {detail}");
        }
    }
}

/// Not as it is only the first time: afterwards all of it is done.
#[tokio::test(start_paused = true)]
async fn what_failed_can_be_asked_for_again() {
    let place = broken();
    assert_eq!(place.sign_up("ada@example.com").await.status(), 503);
    place.state.lock().schedule = Schedule::Clean;
    assert_eq!(place.sign_up("ada@example.com").await.status(), 202);
    place.deliver_mails().await;
    assert_eq!(place.mails_to("ada@example.com").len(), 1);
}
