//! What people are sent, and in which language.

use std::time::Duration;

use muster_core::mail::item::{MailItem, MailKind, Recipient};
use muster_core::mail::nudge::MailNudge;
use muster_core::people::email_lock::{LockItem, lock_key};
use muster_core::platform::table::Condition;
use muster_simulation::queues::MAIL;
use muster_simulation::ses::Accepted;
use serde_json::{Value, json};

use crate::place::{Answer, Place};

const ADA: &str = "ada@example.com";
const COOL_DOWN: Duration = Duration::from_secs(200);
const GERMAN: &str = "Guten Tag";
const ENGLISH: &str = "Hello";

fn person(address: &str, locale: Value) -> Value {
    let mut person = json!({ "email": address, "name": "Ada" });
    if !locale.is_null() {
        person["locale"] = locale;
    }
    person
}

/// The newest mail to an address, when all that wait are sent.
async fn newest(place: &Place, address: &str) -> Accepted {
    place.deliver_mails().await;
    place.mails_to(address).pop().unwrap()
}

async fn resend(place: &Place, address: &str) -> Accepted {
    place.pass(COOL_DOWN).await;
    let body = json!({ "email": address });
    place.ask("POST", "/signup/resend", body).await;
    newest(place, address).await
}

async fn patch(place: &Place, address: &str, body: Value) -> Answer {
    let profile = place.profile(address).await.unwrap();
    let path = format!("/profiles/{}", profile["id"].as_str().unwrap());
    place
        .ask_with("PATCH", &path, ("if-match", "*"), body)
        .await
}

#[tokio::test(start_paused = true)]
async fn whoever_signs_up_is_written_to_in_the_language_that_they_or_their_browser_name() {
    let place = Place::new();
    for (locale, accepted, stored, greeting) in [
        (json!("de-at"), "en", json!("de-AT"), GERMAN),
        (
            Value::Null,
            "fr, de-CH;q=0.7, en;q=0.5",
            json!("de-CH"),
            GERMAN,
        ),
        (Value::Null, "en-GB, de;q=0.5", json!("en-GB"), ENGLISH),
        (Value::Null, "fr, *;q=0.5", Value::Null, ENGLISH),
        (Value::Null, "de;q=hunter2, <script>", Value::Null, ENGLISH),
        (json!("fr"), "de", json!("fr"), ENGLISH),
    ] {
        let address = format!("{}@example.com", place.mails().len());
        let header = ("accept-language", accepted);
        let body = person(&address, locale);
        let answer = place.ask_with("POST", "/signup", header, body).await;
        assert_eq!(answer.status(), 202, "{answer:?}");
        let mail = newest(&place, &address).await;
        assert!(mail.text.starts_with(greeting), "{accepted}: {}", mail.text);
        let profile = place.profile(&address).await.unwrap();
        assert_eq!(profile["locale"], stored, "{accepted}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_browsers_language_is_not_that_of_whom_an_operator_enters() {
    let place = Place::new();
    let create = async |address, locale| {
        let header = ("accept-language", "de");
        place
            .ask_with("POST", "/profiles", header, person(address, locale))
            .await
    };
    assert_eq!(create(ADA, Value::Null).await.body()["locale"], Value::Null);
    assert!(newest(&place, ADA).await.text.starts_with(ENGLISH));
    let eve = "eve@example.com";
    assert_eq!(create(eve, json!("DE")).await.body()["locale"], "de");
    assert!(newest(&place, eve).await.text.starts_with(GERMAN));
}

#[tokio::test(start_paused = true)]
async fn a_stranger_does_not_choose_the_language_of_mails_to_a_known_address() {
    for (own, foreign, greeting, other) in [
        (json!("de"), json!("en"), GERMAN, ENGLISH),
        (Value::Null, json!("de"), ENGLISH, GERMAN),
    ] {
        for confirmed in [false, true] {
            let place = Place::new();
            place.ask("POST", "/signup", person(ADA, own.clone())).await;
            let token = newest(&place, ADA).await.token;
            if confirmed {
                place
                    .ask("POST", "/confirm", json!({ "token": token }))
                    .await;
            }
            let before = place.profile(ADA).await;
            place.pass(COOL_DOWN).await;
            let header = ("accept-language", foreign.as_str().unwrap());
            let body = person(ADA, foreign.clone());
            place.ask_with("POST", "/signup", header, body).await;
            let mail = newest(&place, ADA).await;
            assert_eq!(place.mails_to(ADA).len(), 2);
            // A sign-up that is not confirmed is nobody's yet: each of them is
            // written to in its own language, and so is who has its mail sent again.
            let expected = if confirmed { greeting } else { other };
            assert!(mail.text.starts_with(expected), "{}", mail.text);
            assert_eq!(place.profile(ADA).await, before);
            place.pass(COOL_DOWN).await;
            let body = json!({ "email": ADA });
            place.ask("POST", "/signup/resend", body).await;
            let mail = newest(&place, ADA).await;
            assert!(mail.text.starts_with(expected), "{}", mail.text);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_changes_the_language_of_mails_to_come() {
    let place = Place::new();
    place.sign_up(ADA).await;
    place.deliver_mails().await;
    for (locale, stored, greeting) in [
        (json!("DE-ch"), json!("de-CH"), GERMAN),
        (json!("en"), json!("en"), ENGLISH),
        (json!("de"), json!("de"), GERMAN),
        (Value::Null, Value::Null, ENGLISH),
    ] {
        let answer = patch(&place, ADA, json!({ "locale": locale })).await;
        assert_eq!((answer.status(), &answer.body()["locale"]), (200, &stored));
        let lock: LockItem = place.table().get(&lock_key(ADA)).await.unwrap().unwrap();
        assert_eq!(json!(lock.locale), stored);
        assert!(
            resend(&place, ADA).await.text.starts_with(greeting),
            "{stored}"
        );
    }
    let before = place.items();
    let answer = patch(&place, ADA, json!({ "locale": null })).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(place.items(), before, "nothing changes, no version");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_language_that_came_too_late_changes_nothing() {
    let place = Place::new();
    place.sign_up(ADA).await;
    let profile = place.profile(ADA).await.unwrap();
    let path = format!("/profiles/{}", profile["id"].as_str().unwrap());
    patch(&place, ADA, json!({ "name": "Ada King" })).await;
    let before = place.items();
    let late = json!({ "locale": "de" });
    let answer = place
        .ask_with("PATCH", &path, ("if-match", "\"1\""), late)
        .await;
    assert_eq!(answer.status(), 412);
    assert_eq!(place.items(), before);
}

#[tokio::test(start_paused = true)]
async fn a_new_address_keeps_the_language() {
    let place = Place::new();
    place.confirmed(ADA).await;
    let new = "new@example.com";
    patch(&place, ADA, json!({ "locale": "de", "email": new })).await;
    for address in [ADA, new] {
        let mail = newest(&place, address).await;
        assert!(mail.text.starts_with(GERMAN), "{address}: {}", mail.text);
    }
    assert!(resend(&place, new).await.text.starts_with(GERMAN));
}

#[tokio::test(start_paused = true)]
async fn a_row_brings_the_language_of_its_person() {
    let place = Place::new();
    let csv = "email,name,Locale,team\n\
        ada@example.com,Ada,de-at,engines\n\
        eve@example.com,Eve,,engines\n\
        bob@example.com,Bob,German,engines\n";
    let import = place.import(csv).await;
    let rows = &import["rows"];
    assert_eq!((&rows["created"], &rows["failed"]), (&json!(2), &json!(1)));
    let report = place.report_of(&import);
    assert!(
        report.contains("bob@example.com,Bob,German,engines,4,Locale,invalid_locale,"),
        "{report}"
    );
    for (address, locale, greeting) in [
        (ADA, json!("de-AT"), GERMAN),
        ("eve@example.com", Value::Null, ENGLISH),
    ] {
        let profile = place.profile(address).await.unwrap();
        assert_eq!(profile["locale"], locale);
        assert_eq!(profile["attributes"], json!({ "team": "engines" }));
        assert!(
            resend(&place, address).await.text.starts_with(greeting),
            "{address}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_reminder_has_both_links_and_they_work() {
    for path in ["/confirm", "/not-me"] {
        let place = Place::new();
        place.ask("POST", "/signup", person(ADA, json!("de"))).await;
        place.deliver_mails().await;
        remind(&place).await;
        let mail = newest(&place, ADA).await;
        assert!(mail.subject.starts_with("Erinnerung: "), "{}", mail.subject);
        let link = format!("{path}?token={}", mail.token);
        assert!(mail.text.contains(&link), "{}", mail.text);
        let headers = json!({ "content-type": "application/x-www-form-urlencoded" });
        let body = format!("token={}", mail.token);
        let request = json!({ "method": "POST", "path": path, "headers": headers, "body": body });
        assert_eq!(place.request(request).await.status(), 200);
        let status = place
            .profile(ADA)
            .await
            .map(|profile| profile["status"].clone());
        let expected = (path == "/confirm").then(|| json!("confirmed"));
        assert_eq!(status, expected);
    }
}

/// Has Ada reminded, as whoever schedules reminders would.
async fn remind(place: &Place) {
    let table = place.table();
    let lock: LockItem = table.get(&lock_key(ADA)).await.unwrap().unwrap();
    let number = lock.mails + 1;
    let recipient = Recipient {
        profile_id: lock.profile_id,
        to: ADA,
        email_key: ADA,
        name: Some("Ada"),
        locale: lock.locale.as_ref(),
        expires_at: lock.expires_at,
    };
    let mail = MailItem::new(MailKind::Reminder, number, recipient, place.now());
    let lock = LockItem {
        mails: number,
        ..lock
    };
    let actions = vec![
        table.put(&mail.key(), &mail, &Condition::absent()).unwrap(),
        table.put(&lock_key(ADA), &lock, &Condition::any()).unwrap(),
    ];
    table.transact(actions, "remind").await.unwrap();
    let nudge = MailNudge {
        profile_id: lock.profile_id,
        mail: number,
    };
    let nudge = serde_json::to_string(&nudge).unwrap();
    let mut state = place.state.lock();
    let now = state.now();
    state.queues.send(MAIL, &nudge, Duration::ZERO, now);
}

/// What asks for `List-Unsubscribe` is mail by subscription: RFC 8058.
#[tokio::test(start_paused = true)]
async fn no_mail_has_a_header_of_its_own() {
    let place = Place::new();
    place.sign_up(ADA).await;
    remind(&place).await;
    let token = newest(&place, ADA).await.token;
    place
        .ask("POST", "/confirm", json!({ "token": token }))
        .await;
    place.pass(COOL_DOWN).await;
    place.sign_up(ADA).await;
    place.deliver_mails().await;
    patch(&place, ADA, json!({ "email": "new@example.com" })).await;
    place.deliver_mails().await;
    let mails = place.mails();
    let mut subjects: Vec<_> = mails.iter().map(|mail| mail.subject.as_str()).collect();
    subjects.sort_unstable();
    assert_eq!(
        subjects,
        [
            "Confirm your e-mail address for local",
            "Confirm your new e-mail address for local",
            "Reminder: confirm your e-mail address for local",
            "The e-mail address of your local profile was changed",
            "You already have a local profile",
        ]
    );
    for mail in mails {
        assert_eq!(mail.headers, Value::Null, "{}", mail.subject);
    }
}
