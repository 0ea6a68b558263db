//! What sources said of a person is kept beside the profile: it goes with it, and
//! is in nobody's way.

use std::time::Duration;

use muster_core::people::erasure;
use muster_core::people::source_cache::{CachedItem, cached_key};
use muster_core::platform::ids::ProfileId;
use muster_core::platform::random::Random;
use muster_core::platform::time::Clock;
use muster_simulation::invariants::text;
use serde_json::{Value, json};

use crate::place::Place;

const ADDRESS: &str = "ada@example.com";
/// As many sources as there may be.
const SOURCES: usize = 32;
/// So that together they are more than a transaction takes.
const MUCH: usize = 200 * 1024;

/// A profile that an operator made, with its mail.
async fn created(place: &Place, address: &str) -> Value {
    let person = json!({ "email": address, "name": "Ada" });
    let answer = place.ask("POST", "/profiles", person).await;
    place.deliver_mails().await;
    answer.body().clone()
}

fn id(profile: &Value) -> ProfileId {
    profile["id"].as_str().unwrap().parse().unwrap()
}

fn path(profile: &Value) -> String {
    format!("/profiles/{}", id(profile))
}

/// Has every source have said that many bytes of somebody.
fn cache(place: &Place, profile: &Value, bytes: usize) {
    let now = place.now();
    let state = place.state.lock();
    for n in 0..SOURCES {
        let source = format!("source-{n}");
        let key = cached_key(id(profile), &source);
        let said = CachedItem {
            source,
            fingerprint: "0f".repeat(32),
            data: json!("x".repeat(bytes)).to_string(),
            etag: None,
            fetched_at: now,
            expires_at: now.after(Duration::from_secs(300)).as_seconds(),
        };
        state.dynamodb.put(&key, &said);
    }
}

/// The sort keys of what is left of somebody.
fn left(place: &Place, profile: &Value) -> Vec<String> {
    let pk = format!("PROFILE#{}", id(profile));
    let items = place.items().into_iter();
    items
        .filter(|item| text(item, "pk") == pk)
        .map(|item| text(&item, "sk"))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn who_is_erased_is_erased_with_all_that_sources_said() {
    let place = Place::new();
    let bystander = created(&place, "bystander@example.com").await;
    cache(&place, &bystander, 1);
    let of_bystander = left(&place, &bystander);
    let profile = created(&place, ADDRESS).await;
    cache(&place, &profile, MUCH);
    place.calls();
    let answer = place.ask("DELETE", &path(&profile), Value::Null).await;
    assert_eq!(answer.status(), 204);
    assert_eq!(left(&place, &profile), [""; 0]);
    let calls = place.calls().into_iter();
    let alone = calls.filter(|call| call.operation == "DynamoDb.DeleteItem");
    assert_eq!(alone.count(), SOURCES, "a transaction takes 4 MB");
    assert_eq!(left(&place, &bystander), of_bystander);
}

#[tokio::test(start_paused = true)]
async fn the_sweeper_removes_what_sources_said_too() {
    let place = Place::new();
    let profile = created(&place, ADDRESS).await;
    cache(&place, &profile, 1);
    let begun = place.mark_erasing(id(&profile)).await;
    assert_eq!(begun, erasure::Begun::Marked);
    // Whoever began it died here.
    place.pass(Duration::from_secs(61)).await;
    place.sweep().await;
    assert_eq!(left(&place, &profile), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_sources_said_stays_while_nobody_erases_the_profile() {
    let place = Place::new();
    let profile = created(&place, ADDRESS).await;
    cache(&place, &profile, 1);
    let before = left(&place, &profile);
    let (clock, random) = (Clock::manual(place.now()), Random::seeded(1));
    let time = erasure::PATIENCE;
    erasure::finish(&place.table(), id(&profile), time, &clock, &random)
        .await
        .unwrap();
    assert_eq!(left(&place, &profile), before);
}

#[tokio::test(start_paused = true)]
async fn who_did_not_sign_up_leaves_nothing_behind() {
    let place = Place::new();
    place.sign_up(ADDRESS).await;
    place.deliver_mails().await;
    let profile = place.profile(ADDRESS).await.unwrap();
    cache(&place, &profile, 1);
    let token = place.mails_to(ADDRESS).pop().unwrap().token;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let body = json!(format!("token={token}"));
    let answer = place.ask_with("POST", "/not-me", form, body).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(left(&place, &profile), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_expired_sign_up_leaves_to_time_to_live_what_sources_said() {
    for operator in [false, true] {
        let place = Place::new();
        place.sign_up(ADDRESS).await;
        let expired = place.profile(ADDRESS).await.unwrap();
        cache(&place, &expired, 1);
        place.pass(Duration::from_secs(8 * 24 * 60 * 60)).await;
        if operator {
            created(&place, ADDRESS).await;
        } else {
            place.sign_up(ADDRESS).await;
        }
        let profile = place.profile(ADDRESS).await.unwrap();
        assert_ne!(profile["id"], expired["id"]);
        let left = left(&place, &expired);
        assert_eq!(left.len(), SOURCES);
        for sk in left {
            let key = (format!("PROFILE#{}", id(&expired)), sk);
            assert!(place.expired().contains(&key), "{key:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_wants_a_profile_and_its_mails_does_not_pay_for_what_sources_said() {
    let costs = async |bytes: Option<usize>| {
        let place = Place::new();
        let profile = created(&place, ADDRESS).await;
        if let Some(bytes) = bytes {
            cache(&place, &profile, bytes);
        }
        place.calls();
        let mails = place.get(&format!("{}/mails", path(&profile))).await;
        assert_eq!(mails.status(), 200, "{mails:?}");
        let change = json!({ "email": "new@example.com" });
        let changed = place
            .ask_with("PATCH", &path(&profile), ("if-match", "*"), change)
            .await;
        assert_eq!(changed.status(), 200, "{changed:?}");
        place.calls().iter().map(|call| call.units).sum::<f64>()
    };
    assert_eq!(costs(Some(MUCH)).await, costs(None).await);
}
