//! What SES reports, and what comes of it.

use std::time::Duration;

use muster_core::people::email_lock::{LockItem, lock_key};
use muster_simulation::invariants::text;
use muster_simulation::ses::Accepted;
use serde_json::{Value, json};

use crate::place::Place;

const SEND: &str = include_str!("../../functions/core/fixtures/ses/send.json");
const DELIVERY: &str = include_str!("../../functions/core/fixtures/ses/delivery.json");
const DELAY: &str = include_str!("../../functions/core/fixtures/ses/delivery-delay.json");
const BOUNCE: &str = include_str!("../../functions/core/fixtures/ses/bounce-permanent.json");
const TRANSIENT: &str = include_str!("../../functions/core/fixtures/ses/bounce-transient.json");
const COMPLAINT: &str = include_str!("../../functions/core/fixtures/ses/complaint.json");
const REJECT: &str = include_str!("../../functions/core/fixtures/ses/reject.json");
const OPEN: &str = include_str!("../../functions/core/fixtures/ses/open.json");

const ADA: &str = "ada@example.com";
const COOL_DOWN: Duration = Duration::from_secs(200);

/// A place where somebody has signed up and was sent the mail.
async fn signed_up() -> (Place, Accepted) {
    let place = Place::new();
    place.sign_up(ADA).await;
    place.deliver_mails().await;
    let mail = place.mails_to(ADA).pop().unwrap();
    (place, mail)
}

/// Status and reason of a profile's mail.
fn mail(place: &Place, number: &str) -> (String, String) {
    let items = place.items();
    let mut mails = items
        .iter()
        .filter(|item| text(item, "sk") == format!("MAIL#{number}"));
    let mail = mails.next().unwrap();
    (text(mail, "status"), text(mail, "reason"))
}

async fn status(place: &Place, address: &str) -> Value {
    place.profile(address).await.unwrap()["status"].clone()
}

async fn cause(place: &Place, address: &str) -> Value {
    place.profile(address).await.unwrap()["undeliverable"]["cause"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_mail_follows_what_ses_reports() {
    let (place, sent) = signed_up().await;
    for (event, expected) in [
        (SEND, ("sent", "")),
        (DELAY, ("sent", "MailboxFull: smtp; 452 4.2.2 mailbox full")),
        (DELIVERY, ("delivered", "")),
        (SEND, ("delivered", "")),
        (DELAY, ("delivered", "")),
    ] {
        assert!(!place.report(&sent.report(event)).await);
        let (status, reason) = mail(&place, "1");
        assert_eq!((&*status, &*reason), expected);
    }
    assert_eq!(status(&place, ADA).await, "pending");
}

#[tokio::test(start_paused = true)]
async fn what_came_back_for_good_is_the_last_that_went_there() {
    for (event, expected, why) in [
        (BOUNCE, "bounced", "bounced"),
        (COMPLAINT, "delivered", "complained"),
    ] {
        let (place, sent) = signed_up().await;
        place.pass(COOL_DOWN).await;
        let resend = json!({ "email": ADA });
        // One more waits when the news come.
        place.ask("POST", "/signup/resend", resend.clone()).await;
        assert!(!place.report(&sent.report(event)).await);
        assert_eq!(mail(&place, "1").0, expected);
        assert_eq!(
            mail(&place, "2"),
            (
                "abandoned".to_owned(),
                "nothing can go to the address any more".to_owned()
            )
        );
        assert_eq!(status(&place, ADA).await, "pending");
        assert_eq!(cause(&place, ADA).await, why);
        for path in ["/signup/resend", "/signup"] {
            place.pass(COOL_DOWN).await;
            let body = if path == "/signup" {
                json!({ "email": ADA, "name": "Ada" })
            } else {
                resend.clone()
            };
            assert_eq!(place.ask("POST", path, body).await.status(), 202);
        }
        place.pass(COOL_DOWN).await;
        place.sweep().await;
        place.deliver_mails().await;
        assert_eq!(place.mails_to(ADA).len(), 1, "{event}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_is_held_against_nobody() {
    let (place, sent) = signed_up().await;
    assert!(!place.report(&sent.report(TRANSIENT)).await);
    assert_eq!(
        mail(&place, "1"),
        (
            "bounced".to_owned(),
            "Transient/MailboxFull: smtp; 452 4.2.2 mailbox full".to_owned()
        )
    );
    assert_eq!(cause(&place, ADA).await, Value::Null);
    place.pass(COOL_DOWN).await;
    place
        .ask("POST", "/signup/resend", json!({ "email": ADA }))
        .await;
    place.deliver_mails().await;
    assert_eq!(place.mails_to(ADA).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_virus_is_not_delivered() {
    let (place, sent) = signed_up().await;
    for _ in 0..2 {
        assert!(!place.report(&sent.report(REJECT)).await);
        assert!(!place.report(&sent.report(SEND)).await);
        assert_eq!(
            mail(&place, "1"),
            ("abandoned".to_owned(), "rejected: Bad content".to_owned())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn news_that_come_again_change_nothing() {
    let (place, sent) = signed_up().await;
    for event in [SEND, DELIVERY, BOUNCE, COMPLAINT] {
        place.report(&sent.report(event)).await;
    }
    let before = place.items();
    for event in [COMPLAINT, SEND, BOUNCE, DELIVERY, DELAY, TRANSIENT] {
        assert!(!place.report(&sent.report(event)).await);
        assert_eq!(place.items(), before, "{event}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_old_addresss_bounce_is_not_the_new_ones_fault() {
    let (place, sent) = signed_up().await;
    let id = &sent.profile_id;
    let patch = json!({ "email": "king@example.com" });
    let path = format!("/profiles/{id}");
    let changed = place
        .ask_with("PATCH", &path, ("if-match", "*"), patch)
        .await;
    assert_eq!(changed.status(), 200, "{changed:?}");
    assert!(!place.report(&sent.report(BOUNCE)).await);
    assert_eq!(mail(&place, "1").0, "bounced");
    assert_eq!(cause(&place, "king@example.com").await, Value::Null);
}

#[tokio::test(start_paused = true)]
async fn another_address_makes_a_profile_deliverable_again() {
    let (place, sent) = signed_up().await;
    place.report(&sent.report(BOUNCE)).await;
    let patch = json!({ "email": "king@example.com" });
    let path = format!("/profiles/{}", sent.profile_id);
    let changed = place
        .ask_with("PATCH", &path, ("if-match", "*"), patch)
        .await;
    assert_eq!(changed.body()["undeliverable"], Value::Null, "{changed:?}");
    place.deliver_mails().await;
    assert_eq!(place.mails_to(ADA).len(), 1, "nothing more to the old one");
    let token = place.mails_to("king@example.com").pop().unwrap().token;
    let answer = place
        .ask("POST", "/confirm", json!({ "token": token }))
        .await;
    assert_eq!(answer.status(), 200);
    assert_eq!(status(&place, "king@example.com").await, "confirmed");
}

#[tokio::test(start_paused = true)]
async fn a_click_shows_that_mail_comes_through() {
    let (place, sent) = signed_up().await;
    place.report(&sent.report(BOUNCE)).await;
    let click = json!({ "token": sent.token });
    assert_eq!(place.ask("POST", "/confirm", click).await.status(), 200);
    assert_eq!(status(&place, ADA).await, "confirmed");
    let lock: LockItem = place.table().get(&lock_key(ADA)).await.unwrap().unwrap();
    assert!(!lock.undeliverable);
}

#[tokio::test(start_paused = true)]
async fn news_of_what_is_gone_are_forgotten() {
    let (place, sent) = signed_up().await;
    let path = format!("/profiles/{}", sent.profile_id);
    place.ask("DELETE", &path, Value::Null).await;
    let before = place.items();
    for event in [SEND, DELIVERY, BOUNCE, COMPLAINT] {
        assert!(!place.report(&sent.report(event)).await);
    }
    assert_eq!(place.items(), before, "nothing erased comes back");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_event_of_ours_comes_back_until_it_is_dead() {
    let (place, sent) = signed_up().await;
    for body in [
        &sent.report(OPEN),
        "{}",
        "",
        &DELIVERY.replace("profile_id", "id"),
    ] {
        assert!(place.report(body).await, "{body}");
    }
    assert_eq!(mail(&place, "1").0, "sent");
}

/// The mailer died after SES had taken the mail: it need not go again, and is
/// reminded of all the same.
#[tokio::test(start_paused = true)]
async fn a_report_saves_a_mail_from_going_again() {
    let (place, sent) = signed_up().await;
    let (pk, sk) = (format!("PROFILE#{}", sent.profile_id), "MAIL#1");
    place.remove(&(pk.clone(), "MAIL#0".to_owned()));
    {
        let state = place.state.lock();
        for (name, value) in [
            ("status", json!({ "S": "sending" })),
            ("due_at", json!({ "S": "2026-01-01T00:01:00.000Z" })),
            ("due_shard", json!({ "S": "DUE#MAIL#1" })),
            ("lease_until", json!({ "N": "1" })),
        ] {
            state.dynamodb.set(&pk, sk, name, &value);
        }
    }
    assert!(!place.report(&sent.report(SEND)).await);
    place.pass(COOL_DOWN).await;
    place.sweep().await;
    place.deliver_mails().await;
    assert_eq!(place.mails_to(ADA).len(), 1);
    assert_eq!(mail(&place, "1").0, "sent");
    assert_eq!(mail(&place, "0").0, "scheduled");
}

/// The new address does not exist: the old one is told all the same.
#[tokio::test(start_paused = true)]
async fn the_old_address_is_told_whatever_becomes_of_the_new_one() {
    let (place, sent) = signed_up().await;
    let path = format!("/profiles/{}", sent.profile_id);
    let patch = json!({ "email": "king@example.com" });
    let changed = place
        .ask_with("PATCH", &path, ("if-match", "*"), patch)
        .await;
    assert_eq!(changed.status(), 200, "{changed:?}");
    let bounced = Accepted {
        mail: "2".to_owned(),
        ..sent.clone()
    };
    assert!(!place.report(&bounced.report(BOUNCE)).await);
    assert_eq!(cause(&place, "king@example.com").await, "bounced");
    // And again, before it went.
    let patch = json!({ "email": "lovelace@example.com" });
    place
        .ask_with("PATCH", &path, ("if-match", "*"), patch)
        .await;
    place.deliver_mails().await;
    let subjects: Vec<_> = place
        .mails_to(ADA)
        .into_iter()
        .map(|mail| mail.mail)
        .collect();
    assert_eq!(subjects, ["1", "3"]);
}
