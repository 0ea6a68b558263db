//! What SES reports, from the bus to the profile.

use muster_core::mail::item::mail_key;
use muster_core::platform::ids::ProfileId;
use reqwest::Method;
use serde_json::{Value, json};

use crate::stack::{Stack, eventually, text};

const DELIVERY: &str = include_str!("../../functions/core/fixtures/ses/delivery.json");
const BOUNCE: &str = include_str!("../../functions/core/fixtures/ses/bounce-permanent.json");
const OPEN: &str = include_str!("../../functions/core/fixtures/ses/open.json");

/// An event of SES about a mail that was sent with that configuration set.
fn event(event: &str, profile: ProfileId, configuration_set: &str) -> Value {
    let mut event: Value = serde_json::from_str(event).unwrap();
    let tags = &mut event["detail"]["mail"]["tags"];
    tags["profile_id"] = json!([profile.to_string()]);
    tags["ses:configuration-set"] = json!([configuration_set]);
    event
}

/// What EventBridge answers.
async fn bus(stack: &Stack, operation: &str, body: Value) -> Value {
    let request = stack
        .client
        .emulator(Method::POST, "/")
        .header("x-amz-target", format!("AWSEvents.{operation}"))
        .header("content-type", "application/x-amz-json-1.1")
        .body(body.to_string());
    request.send().await.unwrap().json().await.unwrap()
}

/// Does what the bus does when SES publishes an event: the deployed rule picks
/// it, or not, and its target gets it. (The emulator's SES publishes none, and
/// from `aws.ses` nobody else may.)
async fn publish(stack: &Stack, event: &Value) -> bool {
    let rules = bus(stack, "ListRules", json!({})).await;
    let patterns = rules["Rules"].as_array().unwrap().iter();
    let mut patterns = patterns.filter_map(|rule| rule["EventPattern"].as_str());
    let pattern = patterns
        .find(|pattern| pattern.contains("aws.ses"))
        .unwrap();
    let test = json!({ "EventPattern": pattern, "Event": event.to_string() });
    let picked = bus(stack, "TestEventPattern", test).await["Result"] == true;
    if picked {
        stack
            .send("MUSTER_FEEDBACK_QUEUE_URL", &event.to_string())
            .await;
    }
    picked
}

/// Signs somebody up and waits for the mail.
async fn mailed(stack: &Stack, address: &str) -> ProfileId {
    let person = json!({ "email": address, "name": "Ada" });
    assert_eq!(stack.post("/signup", &person).await.status(), 202);
    eventually("the mail is sent", async || {
        stack.client.mails_to(address).await.unwrap().pop()
    })
    .await;
    let id = stack.profile(address).await.unwrap()["id"].clone();
    id.as_str().unwrap().parse().unwrap()
}

async fn mail_status(stack: &Stack, profile: ProfileId) -> String {
    text(&stack.item(&mail_key(profile, 1)).await.unwrap(), "status")
}

#[tokio::test]
async fn a_bounce_makes_a_profile_undeliverable_and_others_mails_are_not_ours() {
    let stack = Stack::find();
    let (ours, address) = (
        stack.variable("MUSTER_CONFIGURATION_SET"),
        stack.address("bounces"),
    );
    let id = mailed(&stack, &address).await;
    assert!(!publish(&stack, &event(BOUNCE, id, "another-applications")).await);
    assert!(publish(&stack, &event(DELIVERY, id, ours)).await);
    eventually("the mail is delivered", async || {
        (mail_status(&stack, id).await == "delivered").then_some(())
    })
    .await;
    assert_eq!(stack.profile(&address).await.unwrap()["status"], "pending");
    assert!(publish(&stack, &event(BOUNCE, id, ours)).await);
    eventually("the profile is undeliverable", async || {
        let profile = stack.profile(&address).await.unwrap();
        (profile["undeliverable"]["cause"] == "bounced").then_some(())
    })
    .await;
    assert_eq!(mail_status(&stack, id).await, "bounced");
}

#[tokio::test]
async fn an_event_that_nobody_asked_for_fails_alone() {
    let stack = Stack::find();
    let records: Vec<_> = [OPEN, "{", DELIVERY]
        .iter()
        .enumerate()
        .map(|(n, body)| json!({ "messageId": format!("m{n}"), "body": body, "eventSource": "aws:sqs" }))
        .collect();
    let answer = stack
        .invoke("MUSTER_FEEDBACK_FUNCTION", &json!({ "Records": records }))
        .await;
    // The last is of a mail that is not there: forgotten.
    let failures = ["m0", "m1"].map(|id| json!({ "itemIdentifier": id }));
    assert_eq!(answer, json!({ "batchItemFailures": failures }));
}
