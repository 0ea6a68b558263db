//! Sign-ups that nobody confirms expire. Time-to-live removes their items one
//! by one and late: whichever of them are still there, they count as absent.

use std::time::Duration;

use muster_simulation::invariants::text;
use serde_json::json;

use crate::place::Place;

const ADDRESS: &str = "ada@example.com";
const EIGHT_DAYS: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// A sign-up with two mails that has expired.
async fn expired() -> (Place, String) {
    let place = Place::new();
    place.sign_up(ADDRESS).await;
    place.deliver_mails().await;
    place.pass(Duration::from_secs(200)).await;
    place
        .ask("POST", "/signup/resend", json!({ "email": ADDRESS }))
        .await;
    place.deliver_mails().await;
    let token = place.mails_to(ADDRESS).pop().unwrap().token;
    place.pass(EIGHT_DAYS).await;
    (place, token)
}

fn persons(place: &Place) -> Vec<(String, String)> {
    let of_person = |pk: &str| pk.starts_with("PROFILE#") || pk.starts_with("EMAIL#");
    let mut items = place.expired();
    items.retain(|(pk, _)| of_person(pk));
    items
}

#[tokio::test(start_paused = true)]
async fn whatever_is_left_of_an_expired_sign_up_counts_as_absent() {
    let (place, _) = expired().await;
    let items = persons(&place);
    assert_eq!(
        items.len(),
        5,
        "profile, lock, two mails, a reminder: {items:?}"
    );
    for subset in 0..1 << items.len() {
        let (place, token) = expired().await;
        let removed = (0..items.len()).filter(|bit| subset & (1 << bit) != 0);
        for index in removed {
            place.remove(&items[index]);
        }
        assert_eq!(place.profile(ADDRESS).await, None, "{subset:b}");
        let list = place.get("/profiles").await;
        assert_eq!(list.body()["items"], json!([]), "{subset:b}");

        // The old link confirms nothing, and asking again sends nothing.
        let answer = place
            .ask("POST", "/confirm", json!({ "token": token }))
            .await;
        assert_eq!(answer.status(), 404, "{subset:b}");
        let page = place.get(&format!("/confirm?token={token}")).await;
        assert!(page.text().contains("Send a new mail"), "{subset:b}");
        let before = place.mails_to(ADDRESS).len();
        let answer = place
            .ask("POST", "/signup/resend", json!({ "email": ADDRESS }))
            .await;
        assert_eq!(answer.status(), 202);
        place.deliver_mails().await;
        assert_eq!(place.mails_to(ADDRESS).len(), before, "{subset:b}");

        // A new sign-up is a new profile, and confirms.
        assert_eq!(place.sign_up(ADDRESS).await.status(), 202);
        place.deliver_mails().await;
        let mails = place.mails_to(ADDRESS);
        assert_eq!(mails.len(), before + 1, "{subset:b}");
        let answer = place
            .ask(
                "POST",
                "/confirm",
                json!({ "token": mails.last().unwrap().token }),
            )
            .await;
        assert_eq!(answer.status(), 200, "{subset:b}");
        let profile = place.profile(ADDRESS).await.unwrap();
        assert_eq!(profile["status"], "confirmed", "{subset:b}");
        let lock_was_there = !items
            .iter()
            .enumerate()
            .any(|(bit, (pk, _))| pk.starts_with("EMAIL#") && subset & (1 << bit) != 0);
        if lock_was_there {
            assert_eq!(
                persons(&place),
                [],
                "the rest went with the takeover: {subset:b}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_takes_over_what_has_expired_too() {
    let (place, _) = expired().await;
    let person = json!({ "email": ADDRESS, "name": "Ada" });
    assert_eq!(place.ask("POST", "/profiles", person).await.status(), 201);
    assert_eq!(persons(&place), []);
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_makes_and_what_is_confirmed_does_not_expire() {
    let place = Place::new();
    place.confirmed("confirmed@example.com").await;
    let person = json!({ "email": "made@example.com", "name": "Made" });
    place.ask("POST", "/profiles", person).await;
    place.pass(EIGHT_DAYS * 100).await;
    assert!(place.profile("confirmed@example.com").await.is_some());
    assert!(place.profile("made@example.com").await.is_some());
    let keys: Vec<_> = place.expired();
    assert!(
        keys.iter().all(|(pk, _)| pk.starts_with("RATE#")),
        "{keys:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn everything_of_a_sign_up_expires_at_the_same_moment() {
    let place = Place::new();
    place.sign_up(ADDRESS).await;
    place.deliver_mails().await;
    place.pass(Duration::from_secs(200)).await;
    place.sign_up(ADDRESS).await;
    let of_person: Vec<_> = place
        .items()
        .into_iter()
        .filter(|item| {
            let pk = text(item, "pk");
            pk.starts_with("PROFILE#") || pk.starts_with("EMAIL#")
        })
        .collect();
    assert_eq!(of_person.len(), 5, "profile, lock, two mails, a reminder");
    for item in &of_person {
        assert_eq!(item["expires_at"], of_person[0]["expires_at"]);
    }
}
