//! What operators see of mails, and have sent again.

use std::time::Duration;

use muster_core::mail::item::mail_key;
use muster_core::platform::aws::OPERATION_TIMEOUT;
use muster_core::platform::table::{Condition, text};
use muster_simulation::faults::{Fault, Schedule};
use muster_simulation::invariants::text as text_of;
use muster_simulation::process::{Function, Outcome};
use serde_json::{Value, json};

use crate::place::Place;

const ADA: &str = "ada@example.com";
const BOUNCE: &str = include_str!("../../functions/core/fixtures/ses/bounce-permanent.json");

async fn signed_up() -> (Place, String) {
    let place = Place::new();
    place.sign_up(ADA).await;
    place.deliver_mails().await;
    let id = place.mails_to(ADA).pop().unwrap().profile_id;
    (place, format!("/profiles/{id}"))
}

async fn resend(place: &Place, path: &str) -> crate::place::Answer {
    place
        .ask("POST", &format!("{path}/resend"), Value::Null)
        .await
}

async fn mails(place: &Place, path: &str) -> Vec<Value> {
    let answer = place.get(&format!("{path}/mails")).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(answer.body()["next_cursor"], Value::Null);
    answer.body()["items"].as_array().unwrap().clone()
}

fn seen(mails: &[Value]) -> Vec<(u64, &str, &str)> {
    mails
        .iter()
        .map(|mail| {
            (
                mail["number"].as_u64().unwrap(),
                mail["kind"].as_str().unwrap(),
                mail["status"].as_str().unwrap(),
            )
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_operator_sees_every_mail_and_what_became_of_it() {
    let (place, path) = signed_up().await;
    let items = mails(&place, &path).await;
    assert_eq!(
        seen(&items),
        [(0, "reminder", "scheduled"), (1, "confirm", "sent")]
    );
    let sent = &items[1];
    assert_eq!(sent["to"], ADA);
    assert_eq!(sent["attempts"], 1);
    assert_eq!(sent["reason"], Value::Null);
    assert!(sent["sent_at"].as_str().unwrap() > sent["created_at"].as_str().unwrap());
    assert!(sent["ses_message_id"].as_str().unwrap().starts_with("ses-"));
    assert!(items[0]["not_before"].is_string());
    // Nothing that confirms anybody.
    assert!(!items[1].to_string().contains("token"));
    let mail = place.mails_to(ADA).pop().unwrap();
    place.report(&mail.report(BOUNCE)).await;
    let items = mails(&place, &path).await;
    assert_eq!(
        seen(&items),
        [(0, "reminder", "abandoned"), (1, "confirm", "bounced")]
    );
    let reason = items[1]["reason"].as_str().unwrap();
    assert!(reason.contains("user unknown"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_click_calls_off_what_waits_and_leaves_what_went() {
    let (place, path) = signed_up().await;
    resend(&place, &path).await;
    let click = json!({ "token": place.mails_to(ADA).pop().unwrap().token });
    assert_eq!(place.ask("POST", "/confirm", click).await.status(), 200);
    let items = mails(&place, &path).await;
    assert_eq!(
        seen(&items),
        [(2, "confirm", "abandoned"), (1, "confirm", "sent")]
    );
    let reason = "the address was confirmed before it went";
    assert_eq!(items[0]["reason"], reason);
}

#[tokio::test(start_paused = true)]
async fn an_operator_has_another_mail_sent_and_not_two() {
    let (place, path) = signed_up().await;
    // Within the cool-down that strangers have.
    let first = resend(&place, &path).await;
    assert_eq!(first.status(), 202, "{first:?}");
    assert_eq!(first.body()["number"], 2);
    let again = resend(&place, &path).await;
    assert_eq!(again.body(), first.body(), "it is on its way");
    place.deliver_mails().await;
    assert_eq!(place.mails_to(ADA).len(), 2);
    let third = resend(&place, &path).await;
    assert_eq!(third.body()["number"], 3);
    place.deliver_mails().await;
    // Each link is good.
    let token = &place.mails_to(ADA)[1].token;
    let click = json!({ "token": token });
    assert_eq!(place.ask("POST", "/confirm", click).await.status(), 200);
    let refused = resend(&place, &path).await;
    assert_eq!(
        (refused.status(), refused.problem()),
        (409, "conflict"),
        "{refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_where_nothing_arrives_or_nobody_is() {
    let (place, path) = signed_up().await;
    let mail = place.mails_to(ADA).pop().unwrap();
    place.report(&mail.report(BOUNCE)).await;
    let refused = resend(&place, &path).await;
    assert_eq!(refused.status(), 409);
    let detail = refused.body()["detail"].as_str().unwrap();
    assert!(detail.contains("PATCH"), "{detail}");
    place.pass(Duration::from_secs(8 * 24 * 60 * 60)).await;
    for path in [
        path.as_str(),
        "/profiles/019aafb0-0000-7000-8000-000000000000",
        "/profiles/x",
    ] {
        assert_eq!(resend(&place, path).await.status(), 404, "{path}");
        let mails = place.get(&format!("{path}/mails")).await;
        assert_eq!(mails.status(), 404, "{path}");
    }
    place.deliver_mails().await;
    assert_eq!(place.mails_to(ADA).len(), 1);
}

/// Profiles of old may have an address that SES does not take.
#[tokio::test(start_paused = true)]
async fn a_mail_that_ses_cannot_send_is_given_up_with_its_reason() {
    let place = Place::new();
    place.sign_up("joerg@example.com").await;
    let profile = place.profile("joerg@example.com").await.unwrap();
    let id = profile["id"].as_str().unwrap().parse().unwrap();
    let table = place.table();
    let there = Condition::any().with(":to", text("jörg@example.com"));
    table
        .change_if(&mail_key(id, 1), "SET #to = :to", &there)
        .await
        .unwrap();
    place.deliver_mails().await;
    assert_eq!(place.mails(), []);
    let items = mails(&place, &format!("/profiles/{id}")).await;
    assert_eq!(items[0]["status"], "abandoned", "{items:?}");
    let reason = items[0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("BadRequestException: Local"), "{reason}");
}

/// What SES cannot have seen goes again soon, and is no attempt. What it may have seen
/// stays leased, until SES would have reported it.
#[tokio::test(start_paused = true)]
async fn a_mail_that_found_no_connection_was_not_sent() {
    let (place, _) = signed_up().await;
    let calls = place.calls();
    let send = calls.iter().find(|call| call.operation == "Ses.SendEmail");
    let call = send.unwrap().number;
    for (fault, status, attempts) in [
        (Fault::NoConnection, "queued", 0),
        (Fault::Throttle, "queued", 0),
        (Fault::TimeoutBefore, "sending", 1),
        (Fault::DroppedReply, "sending", 1),
    ] {
        let place = Place::new();
        place.state.lock().schedule = Schedule::Single { call, fault };
        place.sign_up(ADA).await;
        place.deliver_mails().await;
        let profile = place.profile(ADA).await.unwrap();
        let path = format!("/profiles/{}", profile["id"].as_str().unwrap());
        let items = mails(&place, &path).await;
        assert_eq!(seen(&items), [(1, "confirm", status)], "{fault}");
        assert_eq!(items[0]["attempts"], attempts, "{fault}");
        place.pass(Duration::from_secs(120)).await;
        place.sweep().await;
        place.deliver_mails().await;
        let sent = place.mails_to(ADA).len();
        let doubled = usize::from(fault == Fault::DroppedReply);
        assert_eq!(sent, 1 + doubled, "{fault}");
    }
}

/// The API nudges the mailer while it writes the mail.
#[tokio::test(start_paused = true)]
async fn a_nudge_that_is_faster_than_its_mail_comes_back() {
    let (place, path) = signed_up().await;
    let id = path.trim_start_matches("/profiles/");
    let sent_at = place.now().as_millis().to_string();
    let comes_back = async || {
        let record = json!({
            "messageId": "m",
            "receiptHandle": "r",
            "body": json!({ "profile_id": id, "mail": 7 }).to_string(),
            "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": sent_at },
            "eventSource": "aws:sqs",
        });
        let event = json!({ "Records": [record] });
        match place.outcome(Function::Mailer, event).await {
            Outcome::Answered(answer) => answer["batchItemFailures"] != json!([]),
            other => panic!("{other:?}"),
        }
    };
    assert!(comes_back().await);
    // The transaction is over, and wrote none.
    place.pass(OPERATION_TIMEOUT).await;
    assert!(!comes_back().await);
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_waits_for_long_is_tried_less_often() {
    let place = Place::new();
    place.sign_up(ADA).await;
    place.state.lock().schedule = Schedule::Operation {
        name: "Ses.SendEmail",
        fault: Fault::Throttle,
    };
    let due = || {
        let items = place.items();
        let mail = items.iter().find(|item| text_of(item, "sk") == "MAIL#1");
        text_of(mail.unwrap(), "due_at")
    };
    let minute = Duration::from_secs(60);
    for (age, at_least, at_most) in [
        (Duration::ZERO, minute / 4, minute / 2),
        (20 * minute, 5 * minute, 10 * minute),
        (5 * 60 * minute, 7 * minute, 15 * minute),
    ] {
        place.pass(age).await;
        place.sweep().await;
        place.deliver_mails().await;
        let (now, due) = (place.now(), due());
        let between = now.after(at_least).to_string()..=now.after(at_most).to_string();
        assert!(between.contains(&due), "{age:?}: {due} not in {between:?}");
    }
}
