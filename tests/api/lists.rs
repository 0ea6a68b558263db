//! Lists that are long, uneven, or full of what has expired.

use std::collections::BTreeSet;
use std::time::Duration;

use muster_api::pagination::{Found, Listing, Page};
use muster_core::people::email::Email;
use muster_core::people::new_profile::NewProfile;
use muster_core::people::person::{Attributes, Name};
use muster_core::people::profile::{ProfileItem, ProfileStatus, lists, profile_key};
use muster_core::people::source::Source;
use muster_core::platform::ids::ProfileId;
use muster_core::platform::random::Random;
use muster_core::platform::time::{Clock, Time};
use serde_json::Value;

use crate::place::Place;

const SEVEN_DAYS: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// What Lambda takes of an answer, in bytes.
const LAMBDA_TAKES: usize = 6_291_556;

/// A profile item whose only difference is when it was made.
fn profile(source: Source, made: Time, attributes: Attributes, random: &Random) -> ProfileItem {
    let id = ProfileId::new(made, random);
    let profile = NewProfile {
        id,
        email: Email::parse(&format!("{id}@example.com")).unwrap(),
        name: Some(Name::parse("Somebody").unwrap()),
        locale: None,
        attributes,
        source,
        created_by: "test".to_owned(),
        row: None,
        confirmed: false,
        now: made,
    };
    profile.item()
}

async fn store(place: &Place, item: &ProfileItem) {
    place.store(&profile_key(item.id), item).await;
}

/// All pages of `GET /profiles`; each has as many items as it may, or a cursor.
async fn pages(place: &Place, limit: usize) -> Vec<Vec<Value>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = place.get(&format!("/profiles?limit={limit}{cursor}")).await;
        assert_eq!(page.status(), 200, "{page:?}");
        let body = serde_json::to_string(page.text()).unwrap();
        assert!(body.len() < LAMBDA_TAKES, "{} bytes", body.len());
        pages.push(page.body()["items"].as_array().unwrap().clone());
        match page.body()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return pages,
        }
    }
}

fn ids(pages: &[Vec<Value>]) -> Vec<String> {
    let ids = pages.iter().flatten().map(|item| item["id"].as_str());
    ids.map(|id| id.unwrap().to_owned()).collect()
}

/// The next items may all lie in one partition of the index.
#[tokio::test(start_paused = true)]
async fn an_uneven_list_is_whole() {
    let place = Place::new();
    let random = Random::seeded(7);
    let mut made = place.now();
    let mut expected = Vec::new();
    while expected.len() < 60 {
        made = made.after(Duration::from_millis(1));
        let item = profile(Source::Operator, made, Attributes::default(), &random);
        if item.id.shard(16) == 3 {
            store(&place, &item).await;
            expected.push(item.id.to_string());
        }
    }
    expected.reverse();
    for limit in [1, 10, 25, 100] {
        let pages = pages(&place, limit).await;
        assert_eq!(ids(&pages), expected, "{limit}");
        let (last, full) = pages.split_last().unwrap();
        assert!(full.iter().all(|page| page.len() == limit), "{limit}");
        assert!(!last.is_empty(), "{limit}");
    }
}

/// Expired sign-ups stay in the index until time-to-live removes them, for days.
#[tokio::test(start_paused = true)]
async fn what_has_expired_is_stepped_over_in_few_calls() {
    let place = Place::new();
    let random = Random::seeded(7);
    let start = place.now();
    let mut expected = Vec::new();
    for n in 0..2_000 {
        let made = start.after(Duration::from_millis(n));
        let source = match n % 500 {
            0 => Source::Operator,
            _ => Source::Signup,
        };
        let item = profile(source, made, Attributes::default(), &random);
        store(&place, &item).await;
        if source == Source::Operator {
            expected.push(item.id.to_string());
        }
    }
    expected.reverse();
    place.pass(SEVEN_DAYS + Duration::from_secs(60)).await;
    place.calls();
    let begun = place.now();
    let pages = pages(&place, 20).await;
    assert_eq!(ids(&pages), expected);
    // Each of the 16 partitions has 125: 5, 10, 20, 40 and 80 of them.
    let calls = place.calls().len();
    assert!(calls <= 48 + 4 * 16, "{calls} calls");
    let took = place.now().as_millis() - begun.as_millis();
    assert!(took < 400, "{took} ms of simulated calls");
}

/// Attributes may be as long as 16 KiB, and each quote is four bytes on its way.
#[tokio::test(start_paused = true)]
async fn a_page_that_would_be_too_large_ends_early() {
    let place = Place::new();
    let random = Random::seeded(7);
    let start = place.now();
    let mut expected = BTreeSet::new();
    for n in 0..110 {
        let made = start.after(Duration::from_millis(n));
        let long = (0..16).map(|n| (format!("a{n}"), "\"".repeat(1_000)));
        let item = profile(
            Source::Operator,
            made,
            Attributes::parse(long).unwrap(),
            &random,
        );
        store(&place, &item).await;
        expected.insert(item.id.to_string());
    }
    let pages = pages(&place, 100).await;
    assert!(pages[0].len() < 100, "{} items", pages[0].len());
    assert!(pages[0].len() > 80, "{} items", pages[0].len());
    let found = ids(&pages);
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
}

/// A page whose time is up says where it stopped, also if it found nothing.
#[tokio::test(start_paused = true)]
async fn a_page_that_takes_too_long_ends_early() {
    let place = Place::new();
    let random = Random::seeded(7);
    let start = place.now();
    let mut expected = Vec::new();
    for n in 0..400 {
        let made = start.after(Duration::from_millis(n));
        let item = profile(Source::Operator, made, Attributes::default(), &random);
        store(&place, &item).await;
        if n % 100 == 0 {
            expected.push(item.id);
        }
    }
    expected.reverse();
    let table = place.table();
    let clock = Clock::manual(start);
    let listing = Listing {
        table: &table,
        clock: &clock,
    };
    // Each item that is looked at takes 100 ms, and few are wanted.
    let shown = |item: ProfileItem| {
        clock.advance(Duration::from_millis(100));
        expected.contains(&item.id).then_some(item.id)
    };
    let (mut found, mut short, mut after) = (Vec::new(), 0, None);
    loop {
        let page = Page { limit: 4, after };
        let lists = lists(ProfileStatus::Pending);
        let Found { items, next_cursor } = listing.page(lists, &page, shown).await.unwrap();
        short += usize::from(items.is_empty() && next_cursor.is_some());
        found.extend(items);
        let Some(cursor) = next_cursor else { break };
        after = Some(Page::position(&cursor).unwrap());
    }
    assert_eq!(found, expected);
    assert!(short > 0, "a page without items has a cursor");
}
