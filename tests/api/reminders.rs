//! The one mail that goes without anybody asking for it: a reminder.

use std::collections::BTreeSet;
use std::time::Duration;

use muster_simulation::invariants::text;
use muster_simulation::queues::{BULK_MAIL, MAIL};
use muster_simulation::ses::Accepted;
use serde_json::json;

use crate::place::Place;

const ADA: &str = "ada@example.com";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn signed_up(place: &Place) -> Accepted {
    place.sign_up(ADA).await;
    place.deliver_mails().await;
    place.mails_to(ADA).pop().unwrap()
}

/// Lets a day pass, with what the schedule does at its end.
async fn a_day_later(place: &Place) {
    place.pass(DAY).await;
    place.sweep().await;
    place.deliver_mails().await;
}

fn reminders(place: &Place) -> usize {
    let items = place.items();
    let reminders = items.iter().filter(|item| text(item, "sk") == "MAIL#0");
    reminders.count()
}

#[tokio::test(start_paused = true)]
async fn who_does_not_confirm_is_reminded_once() {
    let place = Place::new();
    signed_up(&place).await;
    place.pass(Duration::from_secs(200)).await;
    let resend = json!({ "email": ADA });
    place.ask("POST", "/signup/resend", resend).await;
    place.deliver_mails().await;
    place.sweep().await;
    place.deliver_mails().await;
    assert_eq!(place.mails_to(ADA).len(), 2, "not before its time");
    for _ in 0..3 {
        a_day_later(&place).await;
    }
    let mails = place.mails_to(ADA);
    let numbers: Vec<_> = mails.iter().map(|mail| mail.mail.as_str()).collect();
    assert_eq!(numbers, ["1", "2", "0"]);
    // Its link is as good as the first one.
    let click = json!({ "token": mails[2].token });
    assert_eq!(place.ask("POST", "/confirm", click).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn who_confirms_is_not_reminded_and_nothing_stays_of_it() {
    let place = Place::new();
    place.confirmed(ADA).await;
    assert_eq!(reminders(&place), 0);
    a_day_later(&place).await;
    assert_eq!(place.mails_to(ADA).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reminders_link_says_so_when_it_has_confirmed() {
    let place = Place::new();
    signed_up(&place).await;
    a_day_later(&place).await;
    let reminder = place.mails_to(ADA).pop().unwrap();
    assert_eq!(reminder.mail, "0");
    for status in ["confirmed", "already_confirmed"] {
        let click = json!({ "token": reminder.token });
        let answer = place.ask("POST", "/confirm", click).await;
        assert_eq!(
            (answer.status(), &answer.body()["status"]),
            (200, &json!(status))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_a_profile_is_not_reminded_of_it() {
    let place = Place::new();
    place.confirmed(ADA).await;
    place.pass(Duration::from_secs(300)).await;
    place.sign_up(ADA).await;
    place.deliver_mails().await;
    assert_eq!(place.mails_to(ADA).len(), 2, "that there is a profile");
    a_day_later(&place).await;
    assert_eq!(place.mails_to(ADA).len(), 2);
}

/// Whose profile had no mail before.
#[tokio::test(start_paused = true)]
async fn a_new_address_is_not_reminded_of_its_change() {
    let place = Place::new();
    place.import("email\nada@example.com\n").await;
    let profile = place.profile(ADA).await.unwrap();
    let path = format!("/profiles/{}", profile["id"].as_str().unwrap());
    let patch = json!({ "email": "king@example.com" });
    let changed = place
        .ask_with("PATCH", &path, ("if-match", "*"), patch)
        .await;
    assert_eq!(changed.status(), 200, "{changed:?}");
    place.deliver_mails().await;
    a_day_later(&place).await;
    assert_eq!(place.mails_to("king@example.com").len(), 1);
}

/// What nobody waits for waits for those who do.
#[tokio::test(start_paused = true)]
async fn reminders_and_mails_of_imports_go_behind_others() {
    let place = Place::new();
    let waiting = |queue| {
        let mut state = place.state.lock();
        let messages = state.queues.queue(queue).messages.iter();
        let bodies: BTreeSet<_> = messages.map(|message| message.body.clone()).collect();
        bodies.len()
    };
    signed_up(&place).await;
    place.pass(DAY).await;
    place.sweep().await;
    assert_eq!((waiting(MAIL), waiting(BULK_MAIL)), (0, 1));
    place.deliver_mails().await;
    assert_eq!(place.mails_to(ADA).len(), 2);

    let import = json!({ "confirm": "send" });
    let made = place.ask("POST", "/imports", import).await;
    let key = made.body()["object"]["key"].as_str().unwrap();
    place
        .upload(key, "email\nb@example.com\nc@example.com\n")
        .await;
    place.work().await;
    place.pass(Duration::from_secs(60)).await;
    place.sweep().await;
    assert_eq!((waiting(MAIL), waiting(BULK_MAIL)), (0, 2));

    // A sign-up whose nudge was lost is one that somebody waits for.
    place.sign_up("d@example.com").await;
    place.state.lock().queues.queue(MAIL).messages.clear();
    place.pass(Duration::from_secs(120)).await;
    place.sweep().await;
    assert_eq!(waiting(MAIL), 1);
}

#[tokio::test(start_paused = true)]
async fn who_left_is_not_reminded() {
    let place = Place::new();
    let sent = signed_up(&place).await;
    let path = format!("/profiles/{}", sent.profile_id);
    assert_eq!(place.ask("DELETE", &path, json!(null)).await.status(), 204);
    assert_eq!(reminders(&place), 0);
    a_day_later(&place).await;
    assert_eq!(place.mails_to(ADA).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_has_another_address_is_not_reminded_at_the_old_one() {
    let place = Place::new();
    let sent = signed_up(&place).await;
    let path = format!("/profiles/{}", sent.profile_id);
    let patch = json!({ "email": "king@example.com" });
    let changed = place
        .ask_with("PATCH", &path, ("if-match", "*"), patch)
        .await;
    assert_eq!(changed.status(), 200, "{changed:?}");
    place.deliver_mails().await;
    a_day_later(&place).await;
    let numbers: Vec<_> = place.mails_to(ADA).iter().map(|m| m.mail.clone()).collect();
    assert_eq!(
        numbers,
        ["1", "3"],
        "the confirmation, and that it was changed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deployment_may_remind_nobody() {
    let place = Place::with(&[("MUSTER_REMINDER_HOURS", "0")]);
    signed_up(&place).await;
    assert_eq!(reminders(&place), 0);
}

#[tokio::test(start_paused = true)]
async fn paused_mail_stays_due_and_goes_when_it_may() {
    let place = Place::with(&[("MUSTER_MAIL_PAUSED", "true")]);
    place.sign_up(ADA).await;
    for _ in 0..3 {
        place.deliver_mails().await;
        place.pass(Duration::from_secs(120)).await;
        place.sweep().await;
    }
    assert!(place.mails_to(ADA).is_empty());
    let id = place.profile(ADA).await.unwrap()["id"].clone();
    let path = format!("/profiles/{}/mails", id.as_str().unwrap());
    let mails = place.get(&path).await;
    assert_eq!(mails.body()["items"][0]["reason"], "sending is paused");
    place.set("MUSTER_MAIL_PAUSED", "false");
    place.sweep().await;
    place.deliver_mails().await;
    assert_eq!(place.mails_to(ADA).len(), 1);
    let items = place.items();
    let mail = items.iter().find(|item| text(item, "sk") == "MAIL#1");
    let attempts = mail.unwrap()["attempts"].as_n().unwrap();
    assert_eq!(attempts, "1", "waiting used none up");
}

#[tokio::test(start_paused = true)]
async fn a_pause_does_not_move_what_is_scheduled() {
    let place = Place::new();
    signed_up(&place).await;
    let before = place.items();
    place.set("MUSTER_MAIL_PAUSED", "true");
    let id = place.mails_to(ADA).pop().unwrap().profile_id;
    let nudge = json!({ "profile_id": id, "mail": 0 }).to_string();
    {
        let mut state = place.state.lock();
        let now = state.now();
        state
            .queues
            .send(muster_simulation::queues::MAIL, &nudge, Duration::ZERO, now);
    }
    place.deliver_mails().await;
    assert_eq!(place.items(), before);
}

#[tokio::test(start_paused = true)]
async fn the_days_last_mails_are_for_who_waits() {
    let place = Place::new();
    place.sweep().await;
    // SES says: none left today.
    let left = json!({ "N": "0" });
    place
        .state
        .lock()
        .dynamodb
        .set("BUCKET#ses", "BUCKET", "left", &left);
    place.sign_up(ADA).await;
    place.deliver_mails().await;
    assert!(place.mails_to(ADA).is_empty());
    let id = place.profile(ADA).await.unwrap()["id"].clone();
    let mails = place
        .get(&format!("/profiles/{}/mails", id.as_str().unwrap()))
        .await;
    let mail = &mails.body()["items"][0];
    assert_eq!(mail["reason"], "no more mails may go now");
    assert_eq!(mail["attempts"], 0);
    // The next minute's sweep asks SES again, and it goes.
    place.pass(Duration::from_secs(120)).await;
    place.sweep().await;
    place.deliver_mails().await;
    assert_eq!(place.mails_to(ADA).len(), 1);
}
