//! A sign-up that is not confirmed keeps no operator from its address, and what an
//! operator touches does not expire.

use std::time::Duration;

use muster_core::platform::table::Item;
use muster_simulation::invariants::text;
use serde_json::{Value, json};

use crate::place::{Answer, Place};

const ADDRESS: &str = "ada@example.com";

async fn create(place: &Place) -> Answer {
    let person = json!({ "email": ADDRESS, "name": "Ada", "attributes": { "by": "operator" } });
    place.ask("POST", "/profiles", person).await
}

/// Signs up, and once more after the cool-down.
async fn signed_up_twice(place: &Place) {
    place.sign_up(ADDRESS).await;
    place.deliver_mails().await;
    place.pass(Duration::from_secs(200)).await;
    place.sign_up(ADDRESS).await;
    place.deliver_mails().await;
}

/// The items that hold the profile of the address, its mails, its lock.
fn person(place: &Place) -> Vec<(String, String, bool)> {
    let items = place.items();
    let of_person = |pk: &str| pk.starts_with("PROFILE#") || pk.starts_with("EMAIL#");
    let items = items.iter().filter(|item| of_person(&text(item, "pk")));
    items
        .map(|item| {
            let expires = item.contains_key("expires_at");
            (text(item, "pk"), text(item, "sk"), expires)
        })
        .collect()
}

async fn click(place: &Place, token: &str) -> (u64, Value) {
    let answer = place
        .ask("POST", "/confirm", json!({ "token": token }))
        .await;
    (answer.status(), answer.body()["status"].clone())
}

#[tokio::test(start_paused = true)]
async fn an_operator_takes_over_a_pending_sign_up() {
    let place = Place::new();
    signed_up_twice(&place).await;
    let links: Vec<_> = place
        .mails_to(ADDRESS)
        .into_iter()
        .map(|m| m.token)
        .collect();
    let before = place.profile(ADDRESS).await.unwrap();
    let made = create(&place).await;
    assert_eq!(made.status(), 201, "{made:?}");
    assert_ne!(made.body()["id"], before["id"]);
    assert_eq!(place.profile(ADDRESS).await.as_ref(), Some(made.body()));
    let id = made.body()["id"].as_str().unwrap();
    let profile = format!("PROFILE#{id}");
    let expected = [
        (format!("EMAIL#{ADDRESS}"), "EMAIL", false),
        (profile.clone(), "MAIL#1", false),
        (profile, "PROFILE", false),
    ];
    let expected = expected.map(|(pk, sk, expires)| (pk, sk.to_owned(), expires));
    assert_eq!(person(&place), expected, "nothing of the sign-up is left");

    // Its links lead nowhere now, and the page offers a new mail.
    for link in &links {
        assert_eq!(click(&place, link).await.0, 404);
        let page = place.get(&format!("/confirm?token={link}")).await;
        assert!(page.text().contains("Send a new mail"), "{}", page.text());
    }
    place.deliver_mails().await;
    let link = place.mails_to(ADDRESS).pop().unwrap().token;
    assert_eq!(click(&place, &link).await, (200, json!("confirmed")));
    let profile = place.profile(ADDRESS).await.unwrap();
    assert_eq!(profile["attributes"], json!({ "by": "operator" }));
}

#[tokio::test(start_paused = true)]
async fn a_takeover_repeated_under_its_key_is_one() {
    let place = Place::new();
    signed_up_twice(&place).await;
    let person = json!({ "email": ADDRESS, "name": "Ada" });
    let key = ("idempotency-key", "1");
    let create = async || {
        let answer = place.ask_with("POST", "/profiles", key, person.clone());
        answer.await
    };
    let made = create().await;
    assert_eq!(made.status(), 201, "{made:?}");
    let items = place.items();
    assert_eq!(create().await, made);
    assert_eq!(place.items(), items);
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_sign_up_is_not_taken_over() {
    let place = Place::new();
    let before = place.confirmed(ADDRESS).await;
    assert_eq!(create(&place).await.status(), 409);
    assert_eq!(place.profile(ADDRESS).await, Some(before));
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_is_being_sent_does_not_stop_a_takeover() {
    let place = Place::new();
    place.sign_up(ADDRESS).await;
    place.state.lock().ses.takes = Duration::from_secs(5);
    let take_over = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let items = place.items();
        let sending = items
            .iter()
            .filter(|item| text(item, "status") == "sending");
        assert_eq!(sending.count(), 1);
        create(&place).await
    };
    let ((), made) = tokio::join!(place.deliver_mails(), take_over);
    assert_eq!(made.status(), 201, "{made:?}");
    // It went, and left nothing: neither itself nor a reminder.
    place.deliver_mails().await;
    let [sent, made] = place.mails_to(ADDRESS).try_into().unwrap();
    assert_eq!(person(&place).len(), 3 + 1, "lock, profile, mail, reminder");
    assert_eq!(click(&place, &sent.token).await.0, 404);
    assert_eq!(click(&place, &made.token).await.0, 200);
}

async fn patch(place: &Place, id: &str, body: Value) -> Answer {
    let path = format!("/profiles/{id}");
    place
        .ask_with("PATCH", &path, ("if-match", "*"), body)
        .await
}

#[tokio::test(start_paused = true)]
async fn a_sign_up_that_an_operator_changes_does_not_expire() {
    for change in [
        json!({}),
        json!({ "name": "Ada" }),
        json!({ "locale": "de" }),
        json!({ "email": "king@example.com" }),
    ] {
        let place = Place::new();
        signed_up_twice(&place).await;
        let id = place.mails_to(ADDRESS)[0].profile_id.clone();
        let changed = patch(&place, &id, change.clone()).await;
        assert_eq!(changed.status(), 200, "{change}: {changed:?}");
        place.deliver_mails().await;
        let items = person(&place);
        let expiring: Vec<_> = items.iter().filter(|(.., expires)| *expires).collect();
        assert!(expiring.is_empty(), "{change}: {expiring:?}");
        let held = |item: &Item| item.contains_key("signup");
        assert!(!place.items().iter().any(held), "{change}");
        place.pass(Duration::from_secs(100 * 24 * 60 * 60)).await;
        let read = place.get(&format!("/profiles/{id}")).await;
        assert_eq!(read.body(), changed.body(), "{change}");
        // It is no free address either.
        let address = changed.body()["email"].as_str().unwrap();
        let person = json!({ "email": address, "name": "Eve" });
        let refused = place.ask("POST", "/profiles", person).await;
        assert_eq!(refused.status(), 409, "{change}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_profile_takes_the_address_of_a_pending_sign_up() {
    let place = Place::new();
    signed_up_twice(&place).await;
    let other = json!({ "email": "king@example.com", "name": "Ada" });
    let other = place.ask("POST", "/profiles", other).await;
    let id = other.body()["id"].as_str().unwrap();
    let moved = patch(&place, id, json!({ "email": ADDRESS })).await;
    assert_eq!(moved.status(), 200, "{moved:?}");
    assert_eq!(place.profile(ADDRESS).await.as_ref(), Some(moved.body()));
    let pk = format!("PROFILE#{id}");
    let others: Vec<_> = person(&place)
        .into_iter()
        .filter(|(found, ..)| *found != pk)
        .collect();
    let lock = (format!("EMAIL#{ADDRESS}"), "EMAIL".to_owned(), false);
    assert_eq!(others, [lock], "nothing of the sign-up is left");
}

/// The reminder is written when a mail is marked as sent, and would expire with it.
#[tokio::test(start_paused = true)]
async fn a_mail_that_is_being_sent_leaves_no_reminder_that_expires() {
    let place = Place::new();
    place.sign_up(ADDRESS).await;
    let id = place.profile(ADDRESS).await.unwrap()["id"].clone();
    place.state.lock().ses.takes = Duration::from_secs(5);
    let change = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        patch(&place, id.as_str().unwrap(), json!({ "name": "Ada" })).await
    };
    let ((), changed) = tokio::join!(place.deliver_mails(), change);
    assert_eq!(changed.status(), 200, "{changed:?}");
    let expected = [
        (format!("EMAIL#{ADDRESS}"), "EMAIL"),
        (format!("PROFILE#{}", id.as_str().unwrap()), "MAIL#1"),
        (format!("PROFILE#{}", id.as_str().unwrap()), "PROFILE"),
    ];
    let expected = expected.map(|(pk, sk)| (pk, sk.to_owned(), false));
    assert_eq!(person(&place), expected);
}

/// A mail that moves on meanwhile is no other version of the profile.
#[tokio::test(start_paused = true)]
async fn a_change_looks_again_when_only_a_mail_moved_on() {
    for delay in 0..60 {
        let place = Place::new();
        place.sign_up(ADDRESS).await;
        let id = place.profile(ADDRESS).await.unwrap()["id"].clone();
        let change = async {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            patch(&place, id.as_str().unwrap(), json!({ "name": "Ada" })).await
        };
        let ((), changed) = tokio::join!(place.deliver_mails(), change);
        assert_eq!(changed.status(), 200, "after {delay} ms: {changed:?}");
        let expiring = person(&place).into_iter().filter(|(.., expires)| *expires);
        assert_eq!(expiring.collect::<Vec<_>>(), [], "after {delay} ms");
    }
}
