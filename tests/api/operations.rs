//! What operators see of the queues and of what they gave up.

use std::collections::BTreeSet;
use std::time::Duration;

use muster_simulation::queues::{BULK_MAIL, CHUNK, FEEDBACK, IMPORT, MAIL};
use serde_json::{Value, json};

use crate::place::{Answer, Place};

const QUEUES: [&str; 5] = [MAIL, BULK_MAIL, IMPORT, CHUNK, FEEDBACK];

impl Place {
    pub(crate) fn give_up(&self, queue: &'static str, body: &str) -> String {
        let mut state = self.state.lock();
        let now = state.now();
        state.queues.give_up(queue, body, now)
    }

    pub(crate) async fn dead_letters(&self, queue: &str) -> Answer {
        self.get(&format!("/queues/{queue}/dead-letters?limit=100"))
            .await
    }

    pub(crate) async fn clear(&self, queue: &str, what: &str, body: Value) -> Answer {
        self.ask(
            "POST",
            &format!("/queues/{queue}/dead-letters/{what}"),
            body,
        )
        .await
    }

    /// What is in a queue and in its dead-letter queue, each body once.
    pub(crate) fn bodies(&self, queue: &str) -> (BTreeSet<String>, BTreeSet<String>) {
        let mut state = self.state.lock();
        let queue = state.queues.queue(queue);
        let bodies = |messages: &[muster_simulation::queues::Message]| {
            messages
                .iter()
                .map(|message| message.body.clone())
                .collect()
        };
        (bodies(&queue.messages), bodies(&queue.dead))
    }
}

fn ids(answer: &Answer) -> BTreeSet<String> {
    let items = answer.body()["items"].as_array().unwrap().iter();
    items
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Different bodies.
pub(crate) fn letters(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("letter {n}")).collect()
}

#[tokio::test(start_paused = true)]
async fn every_queue_says_how_full_it_is() {
    let place = Place::new();
    place.sign_up("ada@example.com").await;
    place.give_up(MAIL, "{}");
    place.give_up(MAIL, "[]");
    let answer = place.get("/queues").await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let items = answer.body()["items"].as_array().unwrap();
    let names: Vec<_> = items
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, QUEUES);
    let mail = &items[0];
    let waiting: u64 = ["visible", "in_flight", "delayed"]
        .iter()
        .map(|name| mail["messages"][name].as_u64().unwrap())
        .sum();
    assert!(waiting >= 1, "{mail}");
    assert_eq!(mail["dead_letters"], 2);
    assert_eq!(mail["max_receive_count"], 5);
    assert_eq!(mail["visibility_timeout_s"], 180);
    assert_eq!(mail["retention_s"], 345_600);
    assert_eq!(mail["dead_letter_retention_s"], 1_209_600);
    assert_eq!(items[2]["retention_s"], 604_800);
    assert_eq!(items[3]["dead_letters"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_list_has_every_letter_once_and_uses_none_up() {
    let place = Place::new();
    let given_up: BTreeSet<_> = letters(23)
        .iter()
        .map(|body| place.give_up(MAIL, body))
        .collect();
    for _ in 0..3 {
        let answer = place.dead_letters(MAIL).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        assert_eq!(ids(&answer), given_up);
        assert_eq!(answer.body()["more"], false);
    }
    let some = place.get("/queues/mail/dead-letters?limit=7").await;
    assert_eq!(ids(&some).len(), 7);
    assert_eq!(some.body()["more"], true);
    assert_eq!(place.bodies(MAIL).1.len(), 23);
}

#[tokio::test(start_paused = true)]
async fn a_letter_tells_its_age_and_what_it_says() {
    let place = Place::new();
    let nudge = json!({ "profile_id": "019aafb0-0000-7000-8000-000000000000", "mail": 1 });
    let first = place.give_up(MAIL, &nudge.to_string());
    place.pass(Duration::from_secs(90)).await;
    let second = place.give_up(MAIL, "no JSON");
    let answer = place.dead_letters(MAIL).await;
    let items = answer.body()["items"].as_array().unwrap();
    assert_eq!([&items[0]["id"], &items[1]["id"]], [&first, &second]);
    assert_eq!(items[0]["sent_at"], "2026-01-01T00:00:00.000Z");
    assert_eq!(items[0]["age_s"], 90);
    assert_eq!(items[0]["body"], nudge);
    assert_eq!(items[1]["body"], "no JSON");
    let one = place
        .get(&format!("/queues/mail/dead-letters/{first}"))
        .await;
    assert_eq!(one.status(), 200);
    assert_eq!(one.body()["body"], nudge);
    let receives = |letter: &Value| letter["receive_count"].as_u64().unwrap();
    assert!(receives(one.body()) > receives(&items[0]), "looking counts");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_not_found() {
    let place = Place::new();
    place.give_up(MAIL, "{}");
    for (method, path) in [
        ("GET", "/queues/nope/dead-letters"),
        ("GET", "/queues/nope/dead-letters/m1"),
        ("POST", "/queues/nope/dead-letters/redrive"),
        ("POST", "/queues/mail-dlq/dead-letters/purge"),
        ("GET", "/queues/%ff/dead-letters"),
        ("GET", "/queues/mail/dead-letters/nope"),
        ("GET", "/queues/mail/dead-letters/%ff"),
        ("GET", "/queues/mail"),
    ] {
        let answer = place.ask(method, path, json!({ "all": true })).await;
        assert_eq!(answer.status(), 404, "{method} {path}");
        assert_eq!(answer.problem(), "not-found", "{method} {path}");
    }
    assert_eq!(place.bodies(MAIL).1.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_say_which_changes_nothing() {
    let place = Place::new();
    place.give_up(MAIL, "{}");
    for what in ["redrive", "purge"] {
        for (body, status, pointer) in [
            (json!({}), 422, "/ids"),
            (json!({ "all": false }), 422, "/all"),
            (json!({ "ids": [] }), 422, "/ids"),
            (json!({ "all": true, "ids": ["m1"] }), 422, "/ids"),
            (json!({ "all": true, "force": true }), 422, "/force"),
            (json!([]), 400, ""),
            (json!(""), 400, ""),
        ] {
            let answer = place.clear(MAIL, what, body.clone()).await;
            assert_eq!(answer.status(), status, "{what} {body}: {answer:?}");
            let error = &answer.body()["errors"][0]["pointer"];
            assert_eq!(error.as_str().unwrap_or_default(), pointer, "{what} {body}");
        }
        let path = format!("/queues/mail/dead-letters/{what}");
        let header = ("content-type", "text/plain");
        let answer = place
            .ask_with("POST", &path, header, json!({ "all": true }))
            .await;
        assert_eq!(answer.status(), 415, "{what}");
    }
    let answer = place.get("/queues/mail/dead-letters?limit=0&page=2").await;
    assert_eq!(answer.status(), 422);
    assert_eq!(answer.body()["errors"].as_array().unwrap().len(), 2);
    assert_eq!(place.bodies(MAIL).1.len(), 1);
}

/// Who looks after queues need not see whose mails they are about.
#[tokio::test(start_paused = true)]
async fn a_dead_letter_shows_no_address_without_the_scope_for_it() {
    let place = Place::new();
    let bounce = include_str!("../../functions/core/fixtures/ses/bounce-permanent.json");
    let upload = include_str!("../../functions/imports/fixtures/s3/object-created.json");
    let other = r#"{"to": "ada@example.net", "mail": "x"}"#;
    for (queue, body, scope) in [
        (FEEDBACK, bounce, "profiles/read"),
        (FEEDBACK, other, "profiles/read"),
        (MAIL, other, "profiles/read"),
        (CHUNK, "ada@example.net", "profiles/read"),
        (IMPORT, upload, "imports/read"),
    ] {
        let id = place.give_up(queue, body);
        for (scopes, all) in [("operations/read", false), (scope, true)] {
            for path in ["", &format!("/{id}")] {
                let path = format!("/queues/{queue}/dead-letters{path}");
                let request = json!({ "method": "GET", "path": path, "scopes": scopes });
                let answer = place.request(request).await;
                assert_eq!(answer.status(), 200, "{answer:?}");
                let text = answer.text();
                let shown = text.contains("ada@") || text.contains("places%2Bmore.csv");
                assert_eq!(shown, all, "{queue} with {scopes}: {text}");
                assert!(text.contains(&format!("\"redacted\":{}", !all)), "{text}");
            }
        }
        place.clear(queue, "purge", json!({ "all": true })).await;
    }
    // Which mail it is about is shown all the same, and which event.
    place.give_up(FEEDBACK, bounce);
    let path = format!("/queues/{FEEDBACK}/dead-letters");
    let request = json!({ "method": "GET", "path": path, "scopes": "operations/read" });
    let answer = place.request(request).await;
    let detail = &answer.body()["items"][0]["body"]["detail"];
    assert_eq!(detail["eventType"], "Bounce");
    assert_eq!(detail["bounce"]["bounceType"], "Permanent");
    assert_eq!(detail["mail"]["tags"]["mail"], json!(["1"]));
}

/// Mail servers name the address that they refuse.
#[tokio::test(start_paused = true)]
async fn a_reason_shows_no_address_without_the_scope_for_it() {
    let place = Place::new();
    place.sign_up("ada@example.net").await;
    place.deliver_mails().await;
    let mail = place.mails().pop().unwrap();
    let bounce = include_str!("../../functions/core/fixtures/ses/bounce-permanent.json")
        .replace("user unknown", "<ada@example.net> unknown")
        .replace("019aafb0-0000-7000-8000-000000000000", &mail.profile_id);
    assert!(!place.report(&bounce).await);
    let nudge = json!({ "profile_id": mail.profile_id, "mail": 1 });
    place.give_up(MAIL, &nudge.to_string());
    for (scopes, detail) in [
        ("operations/read", "the mail is bounced"),
        (
            "operations/read profiles/read",
            "the mail is bounced: Permanent/General: smtp; 550 5.1.1 <ada@example.net> unknown",
        ),
    ] {
        let path = format!("/queues/{MAIL}/dead-letters");
        let request = json!({ "method": "GET", "path": path, "scopes": scopes });
        let answer = place.request(request).await;
        assert_eq!(answer.body()["items"][0]["reason"]["detail"], detail);
    }
}
