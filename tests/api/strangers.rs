//! What a stranger can learn by signing somebody up: nothing.

use std::time::Duration;

use muster_simulation::log::Call;
use serde_json::{Value, json};

use crate::place::{Answer, Place};

/// The calls that a request made and how much each wrote, whatever it was about.
fn shape(calls: Vec<Call>) -> Vec<(String, String, u16)> {
    let mut shape: Vec<_> = calls
        .into_iter()
        // Once for each process, whoever asks first.
        .filter(|call| !call.subject.starts_with("SECRET"))
        .map(|call| {
            let more = call
                .subject
                .split_once(" and ")
                .map(|(_, more)| more.to_owned());
            (call.operation, more.unwrap_or_default(), call.status)
        })
        .collect();
    // What runs at the same time may come in any order.
    shape.sort();
    shape
}

async fn seen(place: &Place, path: &str, body: Value) -> (Answer, Vec<(String, String, u16)>) {
    place.calls();
    let answer = place.ask("POST", path, body).await;
    (answer, shape(place.calls()))
}

/// The calls that a request made and how many bytes each sent.
fn sizes(calls: &[Call]) -> Vec<(String, usize)> {
    let calls = calls.iter();
    let mut sizes: Vec<_> = calls
        .filter(|call| !call.subject.starts_with("SECRET"))
        .map(|call| (call.operation.clone(), call.bytes))
        .collect();
    sizes.sort();
    sizes
}

/// What an address may be. Its sign-ups say little, or as much as they may.
const CLASSES: [&str; 6] = [
    "unknown--",
    "expired--",
    "confirmed",
    "pending--",
    "made-----",
    "just-now-",
];

/// A place that knows two addresses of each class, all as long as each other.
async fn acquainted_twice() -> Place {
    let place = Place::new();
    let sign_up = async |class: &str| {
        for body in 0..2 {
            place.sign_up(&address(class, body)).await;
        }
        place.deliver_mails().await;
    };
    sign_up("expired--").await;
    place.pass(Duration::from_secs(8 * 24 * 60 * 60)).await;
    for body in 0..2 {
        place.confirmed(&address("confirmed", body)).await;
        let made = json!({ "email": address("made-----", body), "name": "Made" });
        place.ask("POST", "/profiles", made).await;
    }
    sign_up("pending--").await;
    place.pass(Duration::from_secs(300)).await;
    sign_up("just-now-").await;
    place.calls();
    place
}

fn address(class: &str, body: usize) -> String {
    format!("{class}{body}@example.com")
}

/// Fourteen kilobytes, some of which JSON writes in more.
fn much() -> Value {
    let line = "Rue \"de l'Été\"\n\\".repeat(40);
    (0..14)
        .map(|n| (format!("größe{n}"), json!(line)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// How much a transaction about one address may differ from one about another: what
/// expressions and keys differ by.
const GIVE: usize = 512;
/// How much numbers that count may make it longer.
const DIGITS: usize = 2;

async fn sizes_of(place: &Place, path: &str, class: &str, body: usize) -> Vec<(String, usize)> {
    let mut asked = json!({ "email": address(class, body) });
    if path == "/signup" {
        let attributes = [json!({ "a": "b" }), much()];
        asked["name"] = json!("Mallory");
        asked["locale"] = json!("de");
        asked["attributes"] = attributes[body].clone();
    }
    assert_eq!(place.ask("POST", path, asked).await.status(), 202);
    sizes(&place.calls())
}

#[tokio::test(start_paused = true)]
async fn every_call_is_as_long_whatever_is_known_and_said() {
    for path in ["/signup", "/signup/resend"] {
        let place = acquainted_twice().await;
        let mut unknown: Option<[Vec<(String, usize)>; 2]> = None;
        for class in CLASSES {
            let found = [
                sizes_of(&place, path, class, 0).await,
                sizes_of(&place, path, class, 1).await,
            ];
            let grown = |sizes: &[Vec<(String, usize)>; 2]| {
                let both = sizes[0].iter().zip(&sizes[1]);
                both.map(|(small, large)| large.1 - small.1)
                    .collect::<Vec<_>>()
            };
            let expected = unknown.get_or_insert_with(|| found.clone());
            for (found, expected) in grown(&found).into_iter().zip(grown(expected)) {
                let differs = found.abs_diff(expected);
                assert!(
                    differs <= DIGITS,
                    "{path} {class}: by {found}, not {expected}"
                );
            }
            // It also removes what is left, see ADR 7.
            if class == "expired--" && path == "/signup" {
                continue;
            }
            for (found, expected) in found[0].iter().zip(&expected[0]) {
                assert_eq!(found.0, expected.0, "{path} {class}");
                let give = if found.0.ends_with("TransactWriteItems") {
                    GIVE
                } else {
                    0
                };
                let differs = found.1.abs_diff(expected.1);
                assert!(
                    differs <= give,
                    "{path} {class}: {found:?}, not {expected:?}"
                );
            }
        }
    }
}

/// A place that knows addresses in every state, and the addresses.
async fn acquainted() -> (Place, Vec<(&'static str, &'static str)>) {
    let place = Place::new();
    place.sign_up("expired@example.com").await;
    place.pass(Duration::from_secs(8 * 24 * 60 * 60)).await;
    place.confirmed("confirmed@example.com").await;
    place.sign_up("pending@example.com").await;
    let operators = json!({ "email": "made@example.com", "name": "Made" });
    place.ask("POST", "/profiles", operators).await;
    place.deliver_mails().await;
    place.pass(Duration::from_secs(300)).await;
    place.sign_up("just-now@example.com").await;
    place.deliver_mails().await;
    let known = vec![
        ("confirmed@example.com", "confirmed"),
        ("pending@example.com", "pending"),
        ("made@example.com", "made by an operator"),
        ("just-now@example.com", "in its cool-down"),
    ];
    (place, known)
}

#[tokio::test(start_paused = true)]
async fn a_sign_up_looks_the_same_whatever_is_known() {
    let (place, known) = acquainted().await;
    let person =
        |email: &str| json!({ "email": email, "name": "Mallory", "attributes": { "a": "b" } });
    let unknown = seen(&place, "/signup", person("unknown@example.com")).await;
    assert_eq!(unknown.0.status(), 202);
    for (address, what) in known {
        assert_eq!(
            seen(&place, "/signup", person(address)).await,
            unknown,
            "{what}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_resend_looks_the_same_whatever_is_known() {
    let (place, mut known) = acquainted().await;
    let unknown = seen(
        &place,
        "/signup/resend",
        json!({ "email": "unknown@example.com" }),
    )
    .await;
    assert_eq!(unknown.0.status(), 202);
    known.push(("expired@example.com", "expired"));
    for (address, what) in known {
        let found = seen(&place, "/signup/resend", json!({ "email": address })).await;
        assert_eq!(found, unknown, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_is_full_looks_like_any() {
    let place = Place::with(&[("MUSTER_SIGNUP_MAILS_PER_DOMAIN", "1")]);
    let person = |email: &str| json!({ "email": email, "name": "Mallory" });
    let first = seen(&place, "/signup", person("a@full.example")).await;
    let second = seen(&place, "/signup", person("b@full.example")).await;
    assert!(place.profile("b@full.example").await.is_none());
    assert_eq!(second, first);
}

#[tokio::test(start_paused = true)]
async fn one_read_of_the_lock_one_transaction_one_message() {
    let place = Place::new();
    let (_, calls) = seen(
        &place,
        "/signup",
        json!({ "email": "ada@example.com", "name": "Ada" }),
    )
    .await;
    let operations: Vec<_> = calls
        .iter()
        .map(|(operation, _, _)| operation.as_str())
        .collect();
    assert_eq!(
        operations,
        [
            "DynamoDb.BatchGetItem",
            "DynamoDb.TransactWriteItems",
            "DynamoDb.UpdateItem",
            "DynamoDb.UpdateItem",
            "DynamoDb.UpdateItem",
            "Sqs.SendMessage"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_owner_of_a_known_address_is_told_by_mail_and_nothing_changes() {
    let place = Place::new();
    let before = place.confirmed("ada@example.com").await;
    place.pass(Duration::from_secs(200)).await;
    place
        .ask(
            "POST",
            "/signup",
            json!({ "email": "ADA@example.com", "name": "Mallory", "attributes": { "x": "y" } }),
        )
        .await;
    place.deliver_mails().await;
    let mail = place.mails_to("ADA@example.com").pop().unwrap();
    assert_eq!(mail.subject, "You already have a local profile");
    assert!(!mail.text.contains("Mallory"), "{}", mail.text);
    assert_eq!(mail.token, "", "there is nothing to confirm");
    assert_eq!(place.profile("ada@example.com").await, Some(before));
}

#[tokio::test(start_paused = true)]
async fn both_links_of_two_mails_work_and_both_say_so_afterwards() {
    let place = Place::new();
    place.sign_up("ada@example.com").await;
    place.deliver_mails().await;
    place.pass(Duration::from_secs(200)).await;
    place
        .ask(
            "POST",
            "/signup/resend",
            json!({ "email": "ada@example.com" }),
        )
        .await;
    place.deliver_mails().await;
    let mails = place.mails_to("ada@example.com");
    let [first, second] = &mails[..] else {
        panic!("{} mails", mails.len());
    };
    assert_ne!(first.token, second.token);
    let click = async |token: &str| {
        let answer = place
            .ask("POST", "/confirm", json!({ "token": token }))
            .await;
        (answer.status(), answer.body()["status"].clone())
    };
    assert_eq!(click(&second.token).await, (200, json!("confirmed")));
    assert_eq!(click(&first.token).await, (200, json!("already_confirmed")));
    assert_eq!(
        click(&second.token).await,
        (200, json!("already_confirmed"))
    );
    let left: Vec<_> = place
        .items()
        .into_iter()
        .filter(|item| item["pk"].as_s().unwrap().starts_with("PROFILE"))
        .filter(|item| item.contains_key("expires_at"))
        .collect();
    assert!(
        left.is_empty(),
        "what is confirmed does not expire: {left:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_asks_for_what_is_confirmed_does_not_go() {
    let place = Place::new();
    place.sign_up("ada@example.com").await;
    place.deliver_mails().await;
    place.pass(Duration::from_secs(200)).await;
    place
        .ask(
            "POST",
            "/signup/resend",
            json!({ "email": "ada@example.com" }),
        )
        .await;
    let token = place.mails_to("ada@example.com").pop().unwrap().token;
    place
        .ask("POST", "/confirm", json!({ "token": token }))
        .await;
    place.deliver_mails().await;
    assert_eq!(place.mails_to("ada@example.com").len(), 1);
}
