//! A queue delivers at least once, sometimes too early, sometimes nonsense.

use muster_core::mail::item::mail_key;
use muster_core::people::email::Email;
use muster_core::people::new_profile::NewProfile;
use muster_core::people::person::{Attributes, Name};
use muster_core::people::source::Source;
use muster_core::platform::ids::ProfileId;
use muster_core::platform::random::Random;
use muster_core::platform::time::Time;
use serde_json::json;

use crate::stack::{Stack, eventually, text};

/// Stores a profile with its mail, and nudges nobody.
pub(crate) async fn store(stack: &Stack, address: &str, now: Time) -> ProfileId {
    let random = Random::system();
    let profile = NewProfile {
        id: ProfileId::new(now, &random),
        email: Email::parse(address).unwrap(),
        name: Some(Name::parse("Ada").unwrap()),
        locale: None,
        attributes: Attributes::default(),
        source: Source::Signup,
        created_by: "signup".to_owned(),
        confirmed: false,
        row: None,
        now,
    };
    let mail = profile.confirmation();
    let actions = profile.actions(&stack.table, Some(&mail)).unwrap();
    stack.table.transact(actions, &random.name()).await.unwrap();
    profile.id
}

fn nudge(id: impl ToString) -> String {
    json!({ "profile_id": id.to_string(), "mail": 1 }).to_string()
}

async fn status(stack: &Stack, id: ProfileId) -> String {
    text(&stack.item(&mail_key(id, 1)).await.unwrap(), "status")
}

#[tokio::test]
async fn a_nudge_delivered_five_times_sends_one_mail() {
    let stack = Stack::find();
    let address = stack.address("five");
    let id = store(&stack, &address, stack.now()).await;
    // All five in one batch: they meet in one process, at the same time.
    let records: Vec<_> = (0..5)
        .map(|n| json!({ "messageId": format!("m{n}"), "body": nudge(id), "eventSource": "aws:sqs" }))
        .collect();
    let answer = stack
        .invoke("MUSTER_MAILER_FUNCTION", &json!({ "Records": records }))
        .await;
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    // And five more, through the queue.
    for _ in 0..5 {
        stack.send("MUSTER_MAIL_QUEUE_URL", &nudge(id)).await;
    }
    eventually("the queue is empty", async || {
        (stack.depth("MUSTER_MAIL_QUEUE_URL").await == 0).then_some(())
    })
    .await;
    assert_eq!(stack.client.mails_to(&address).await.unwrap().len(), 1);
    assert_eq!(status(&stack, id).await, "sent");
}

#[tokio::test]
async fn ten_mails_of_which_every_nudge_comes_five_times_are_ten_mails() {
    let stack = Stack::find();
    let mut people = Vec::new();
    for person in 0..10 {
        let address = stack.address(&format!("each{person}"));
        people.push((store(&stack, &address, stack.now()).await, address));
    }
    for _ in 0..5 {
        for (id, _) in people.iter().rev() {
            stack.send("MUSTER_MAIL_QUEUE_URL", &nudge(id)).await;
        }
    }
    eventually("the queue is empty", async || {
        (stack.depth("MUSTER_MAIL_QUEUE_URL").await == 0).then_some(())
    })
    .await;
    for (id, address) in people {
        assert_eq!(stack.client.mails_to(&address).await.unwrap().len(), 1);
        assert_eq!(status(&stack, id).await, "sent");
    }
}

#[tokio::test]
async fn a_hundred_mails_whose_nudges_were_lost_go_within_two_sweeps() {
    let stack = Stack::find();
    let two_minutes_ago = Time::from_millis(stack.now().as_millis() - 120_000);
    let mut people = Vec::new();
    for person in 0..100 {
        let address = stack.address(&format!("lost{person}"));
        store(&stack, &address, two_minutes_ago).await;
        people.push(address);
    }
    stack.sweep().await;
    stack.sweep().await;
    for address in &people {
        eventually("the mail is sent", async || {
            stack.client.mails_to(address).await.unwrap().pop()
        })
        .await;
    }
    eventually("the queue is empty", async || {
        (stack.depth("MUSTER_MAIL_QUEUE_URL").await == 0).then_some(())
    })
    .await;
    for address in &people {
        assert_eq!(stack.client.mails_to(address).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_nudge_for_nothing_is_acknowledged() {
    let stack = Stack::find();
    let nobody = ProfileId::new(stack.now(), &Random::system());
    stack.send("MUSTER_MAIL_QUEUE_URL", &nudge(nobody)).await;
    eventually("the queue is empty", async || {
        (stack.depth("MUSTER_MAIL_QUEUE_URL").await == 0).then_some(())
    })
    .await;
    assert_eq!(stack.depth("MUSTER_MAIL_DLQ_URL").await, 0);
}

#[tokio::test]
async fn a_record_that_cannot_be_parsed_fails_alone() {
    let stack = Stack::find();
    let address = stack.address("alone");
    let id = store(&stack, &address, stack.now()).await;
    let bodies = ["{", "{\"profile_id\": \"x\", \"mail\": 1}", &nudge(id), ""];
    let records: Vec<_> = bodies
        .iter()
        .enumerate()
        .map(|(n, body)| json!({ "messageId": format!("m{n}"), "body": body, "eventSource": "aws:sqs" }))
        .collect();
    let answer = stack
        .invoke("MUSTER_MAILER_FUNCTION", &json!({ "Records": records }))
        .await;
    let failures = ["m0", "m1", "m3"].map(|id| json!({ "itemIdentifier": id }));
    assert_eq!(answer, json!({ "batchItemFailures": failures }));
    assert_eq!(status(&stack, id).await, "sent");
    assert_eq!(stack.client.mails_to(&address).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_mail_whose_nudge_was_lost_is_found_by_the_sweeper() {
    let stack = Stack::find();
    let lost = stack.address("lost");
    let fresh = stack.address("fresh");
    let two_minutes_ago = Time::from_millis(stack.now().as_millis() - 120_000);
    store(&stack, &lost, two_minutes_ago).await;
    let waiting = store(&stack, &fresh, stack.now()).await;
    // Two at once: of each mail one nudge is sent, or two that meet.
    tokio::join!(stack.sweep(), stack.sweep());
    eventually("the mail is sent", async || {
        stack.client.mails_to(&lost).await.unwrap().pop()
    })
    .await;
    eventually("the queue is empty", async || {
        (stack.depth("MUSTER_MAIL_QUEUE_URL").await == 0).then_some(())
    })
    .await;
    assert_eq!(stack.client.mails_to(&lost).await.unwrap().len(), 1);
    assert_eq!(
        status(&stack, waiting).await,
        "queued",
        "its nudge may still come"
    );
}
