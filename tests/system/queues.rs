//! Dead letters on the deployed stack: how they come to be, and what operators do
//! about them. All of them here are bulk mail's: other tests want the other
//! dead-letter queues empty.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use muster_core::mail::item::mail_key;
use muster_core::platform::ids::ProfileId;
use muster_core::platform::random::Random;
use reqwest::Method;
use serde_json::{Value, json};

use crate::nudges::store;
use crate::stack::{Stack, eventually, muster, text};

const LETTERS: &str = "/queues/bulk-mail/dead-letters";
const ROUTES: [(Method, &str); 7] = [
    (Method::GET, "/queues"),
    (Method::HEAD, "/queues"),
    (Method::GET, LETTERS),
    (Method::HEAD, LETTERS),
    (Method::GET, "/queues/bulk-mail/dead-letters/x"),
    (Method::POST, "/queues/bulk-mail/dead-letters/redrive"),
    (Method::POST, "/queues/bulk-mail/dead-letters/purge"),
];

/// Asks as an operator with every scope.
async fn ask(stack: &Stack, method: Method, path: &str, body: Value) -> (u16, Value) {
    let token = stack.variable("MUSTER_TOKEN");
    let mut request = stack.client.request(method, path).bearer_auth(token);
    if !body.is_null() {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

/// The dead letter that says this, once it is there. While somebody else looks
/// at it, it is not.
async fn letter(stack: &Stack, body: &Value, not: &str) -> Value {
    eventually("there is a dead letter", async || {
        let list = stack.get(&format!("{LETTERS}?limit=100")).await;
        let items = list["items"].as_array().unwrap().iter();
        let mut ours = items.filter(|item| item["body"] == *body && item["id"] != *not);
        ours.next().cloned()
    })
    .await
}

/// Clears one letter away, as soon as nobody else looks at it.
async fn clear(stack: &Stack, what: &str, letter: &Value) -> Value {
    let path = format!("{LETTERS}/{what}");
    eventually("the letter is found", async || {
        let body = json!({ "ids": [letter["id"]] });
        let (status, answer) = ask(stack, Method::POST, &path, body).await;
        assert_eq!(status, 200, "{answer}");
        (answer["not_found"] == json!([])).then_some(answer)
    })
    .await
}

/// How long a message of bulk mail is out of sight once it was handed out.
async fn hide(stack: &Stack, time: Duration) {
    let request = stack.sqs.set_queue_attributes();
    request
        .queue_url(stack.variable("MUSTER_BULK_MAIL_QUEUE_URL"))
        .attributes(
            QueueAttributeName::VisibilityTimeout,
            time.as_secs().to_string(),
        )
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn without_a_token_or_its_scope_no_queue_is_shown() {
    let stack = Stack::find();
    let other = stack.token("profiles/read imports/read").await;
    let read = stack.token("operations/read").await;
    for (method, path) in ROUTES {
        let status = async |token: Option<&str>| {
            let mut request = stack.client.request(method.clone(), path);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            request.send().await.unwrap().status().as_u16()
        };
        assert_eq!(status(None).await, 401, "{method} {path}");
        assert_eq!(status(Some(&other)).await, 403, "{method} {path}");
        if method == Method::POST {
            assert_eq!(status(Some(&read)).await, 403, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn queues_are_counted_and_what_is_none_is_not_found() {
    let stack = Stack::find();
    let list = stack.get("/queues").await;
    let items = list["items"].as_array().unwrap();
    let find = |name: &str| items.iter().find(|item| item["name"] == name).unwrap();
    for name in ["mail", "bulk-mail", "import", "chunk", "feedback"] {
        let queue = find(name);
        assert_eq!(queue["max_receive_count"], 5, "{name}");
        assert!(queue["messages"]["visible"].is_u64(), "{name}");
        assert!(queue["dead_letters"].is_u64(), "{name}");
        // SES's events hold addresses.
        let days = if name == "feedback" { 7 } else { 14 };
        let retention = &queue["dead_letter_retention_s"];
        assert_eq!(*retention, days * 24 * 60 * 60, "{name}");
    }
    assert_eq!(find("chunk")["visibility_timeout_s"], 1800);
    let all = json!({ "all": true });
    for (method, path, status) in [
        (Method::GET, "/queues/nope/dead-letters", 404),
        (Method::GET, "/queues/bulk-mail/dead-letters/nope", 404),
        (Method::POST, "/queues/nope/dead-letters/purge", 404),
        (Method::GET, "/queues/bulk-mail", 404),
        (Method::DELETE, "/queues", 405),
        (Method::PUT, LETTERS, 405),
        (Method::GET, "/queues/bulk-mail/dead-letters/purge", 405),
    ] {
        let body = match method {
            Method::POST => all.clone(),
            _ => Value::Null,
        };
        let (found, problem) = ask(&stack, method.clone(), path, body).await;
        assert_eq!(found, status, "{method} {path}: {problem}");
        assert_eq!(problem["status"], status, "{method} {path}");
    }
    let path = format!("{LETTERS}/purge");
    let (status, problem) = ask(&stack, Method::POST, &path, json!({})).await;
    assert_eq!(status, 422);
    assert_eq!(problem["errors"][0]["pointer"], "/ids");
}

#[tokio::test]
async fn a_message_that_nobody_can_read_dies_is_tried_again_and_purged() {
    let stack = Stack::find();
    let body = json!({ "no nudge": Random::system().name() });
    // Five tries take a quarter of an hour otherwise. A nudge that is handed out
    // twice meanwhile does no harm.
    hide(&stack, Duration::from_secs(2)).await;
    stack
        .send("MUSTER_BULK_MAIL_QUEUE_URL", &body.to_string())
        .await;
    let first = letter(&stack, &body, "").await;
    assert_eq!(first["reason"]["code"], "undecodable", "{first}");
    let detail = first["reason"]["detail"].as_str().unwrap();
    assert!(detail.starts_with("expected a mail nudge ("), "{detail}");
    assert!(first["receive_count"].as_u64().unwrap() >= 5, "{first}");

    let redriven = clear(&stack, "redrive", &first).await;
    assert_eq!(redriven["redriven"], 1);
    let id = first["id"].as_str().unwrap();
    let second = letter(&stack, &body, id).await;
    hide(&stack, Duration::from_secs(180)).await;

    let one = format!("{LETTERS}/{}", second["id"].as_str().unwrap());
    eventually("the letter is shown", async || {
        let (status, found) = ask(&stack, Method::GET, &one, Value::Null).await;
        (status == 200).then(|| assert_eq!(found["body"], body))
    })
    .await;
    let purged = clear(&stack, "purge", &second).await;
    assert_eq!(purged["purged"], 1);
    let (status, _) = ask(&stack, Method::GET, &one, Value::Null).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_nudge_that_is_redriven_does_its_work() {
    let stack = Stack::find();
    let address = stack.address("redriven");
    let id: ProfileId = store(&stack, &address, stack.now()).await;
    let nudge = json!({ "profile_id": id.to_string(), "mail": 1 });
    stack
        .send("MUSTER_BULK_MAIL_DLQ_URL", &nudge.to_string())
        .await;
    let letter = letter(&stack, &nudge, "").await;
    assert_eq!(letter["reason"]["code"], "unfinished", "{letter}");
    assert_eq!(letter["reason"]["status"], "queued");
    clear(&stack, "redrive", &letter).await;
    eventually("the mail is sent", async || {
        stack.client.mails_to(&address).await.unwrap().pop()
    })
    .await;
    let mail = stack.item(&mail_key(id, 1)).await.unwrap();
    assert_eq!(text(&mail, "status"), "sent");
}

#[tokio::test]
async fn the_command_line_shows_what_the_api_says() {
    let stack = Stack::find();
    let shown = muster(&stack, "queues").await.1;
    let titles = shown.lines().next().unwrap();
    assert!(titles.starts_with("QUEUE "), "{shown}");
    assert_eq!(shown.lines().count(), 6, "{shown}");
    let list: Value =
        serde_json::from_str(&muster(&stack, "queues --output json").await.1).unwrap();
    assert_eq!(list["items"][3]["name"], "chunk");
    let (_, list) = muster(&stack, "dead-letters list chunk --output json").await;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert!(list["items"].is_array(), "{list}");
}
