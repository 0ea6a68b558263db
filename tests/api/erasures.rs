//! Erasures while others are at work: mailers, operators, AWS's bad moments.

use std::time::Duration;

use futures_util::future::join;
use muster_core::mail::item::{MailItem, mail_key};
use muster_core::people::email_lock::{LockItem, lock_key};
use muster_core::people::erasure::{self, Begun, PATIENCE};
use muster_core::platform::random::Random;
use muster_core::platform::time::Clock;
use muster_simulation::faults::{Fault, Schedule};
use muster_simulation::invariants::text;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::place::Place;

const ADA: &str = "ada@example.com";

/// A place where an operator has made a profile whose mail waits, and its id.
async fn made() -> (Place, String) {
    let place = Place::new();
    let person = json!({ "email": ADA, "name": "Ada" });
    let answer = place.ask("POST", "/profiles", person).await;
    let id = answer.body()["id"].as_str().unwrap().to_owned();
    (place, id)
}

async fn finish(place: &Place, id: &str) -> bool {
    let (clock, random) = (Clock::manual(place.now()), Random::seeded(3));
    let id = id.parse().unwrap();
    let finished = erasure::finish(&place.table(), id, PATIENCE, &clock, &random).await;
    finished.is_ok()
}

/// The status of each of its mails.
fn mails(place: &Place) -> Vec<String> {
    let items = place.items();
    let mails = items
        .iter()
        .filter(|item| text(item, "sk").starts_with("MAIL#"));
    mails.map(|mail| text(mail, "status")).collect()
}

fn left(place: &Place) -> Vec<String> {
    let items = place.items();
    let of_person = items.iter().filter(|item| {
        let pk = text(item, "pk");
        pk.starts_with("PROFILE#") || pk.starts_with("EMAIL#")
    });
    of_person
        .map(|item| format!("{} {}", text(item, "pk"), text(item, "sk")))
        .collect()
}

/// The conflicts and throttles of a bad moment.
fn bad_moment(place: &Place, left: u64) {
    place.state.lock().schedule = Schedule::Rate {
        per_mille: 1000,
        left,
        kinds: &[Fault::Conflict],
        random: Random::seeded(4),
    };
}

#[tokio::test(start_paused = true)]
async fn no_mail_goes_to_who_is_being_erased() {
    let (place, id) = made().await;
    assert_eq!(place.mark_erasing(id.parse().unwrap()).await, Begun::Marked);
    place.deliver_mails().await;
    assert_eq!(place.mails(), []);
    assert_eq!(mails(&place), ["abandoned"]);

    // Nor a reminder, whose time comes before the erasure is finished.
    let (place, id) = made().await;
    place.deliver_mails().await;
    assert_eq!(place.mark_erasing(id.parse().unwrap()).await, Begun::Marked);
    place.pass(Duration::from_secs(24 * 60 * 60)).await;
    let nudge = json!({ "profile_id": id, "mail": 0 }).to_string();
    {
        let mut state = place.state.lock();
        let now = state.now();
        let queue = muster_simulation::queues::BULK_MAIL;
        state.queues.send(queue, &nudge, Duration::ZERO, now);
    }
    place.deliver_mails().await;
    assert_eq!(place.mails().len(), 1, "the confirmation, long before");
    place.sweep().await;
    assert_eq!(left(&place), [""; 0]);
}

/// Whether the mailer claims, sends or marks its mail before, while or after the
/// profile is read, marked and removed.
#[tokio::test(start_paused = true)]
async fn what_the_mailer_writes_does_not_outlive_an_erasure() {
    let (mut sent, mut kept_back) = (0, 0);
    for head_start in 0..90 {
        let (place, id) = made().await;
        let erase = async {
            sleep(Duration::from_millis(head_start)).await;
            place
                .ask("DELETE", &format!("/profiles/{id}"), Value::Null)
                .await
        };
        let (answer, ()) = join(erase, place.deliver_mails()).await;
        assert_eq!(answer.status(), 204);
        assert_eq!(left(&place), [""; 0], "{head_start} ms");
        *(if place.mails().is_empty() {
            &mut kept_back
        } else {
            &mut sent
        }) += 1;
    }
    assert!(sent > 0 && kept_back > 0, "{sent} sent, {kept_back} not");
}

/// Whichever is faster: an operator who wants another mail, or who erases.
#[tokio::test(start_paused = true)]
async fn a_mail_that_is_written_meanwhile_does_not_go() {
    let (mut written, mut refused) = (0, 0);
    for head_start in -40_i64..40 {
        let (place, id) = made().await;
        place.deliver_mails().await;
        let wait = |time: i64| sleep(Duration::from_millis(u64::try_from(time).unwrap_or(0)));
        let mark = async {
            wait(-head_start).await;
            place.mark_erasing(id.parse().unwrap()).await
        };
        let resend = async {
            wait(head_start).await;
            let path = format!("/profiles/{id}/resend");
            place.ask("POST", &path, Value::Null).await.status()
        };
        let (begun, status) = join(mark, resend).await;
        assert_eq!(begun, Begun::Marked);
        let open = ["scheduled", "queued", "sending"];
        let waiting: Vec<_> = mails(&place)
            .into_iter()
            .filter(|status| open.contains(&&**status))
            .collect();
        assert_eq!(waiting, [""; 0], "{head_start} ms: {status}");
        *(if status == 202 {
            &mut written
        } else {
            &mut refused
        }) += 1;
    }
    assert!(
        written > 0 && refused > 0,
        "{written} written, {refused} refused"
    );
}

/// Profile, lock and request record need room in the last transaction.
#[tokio::test(start_paused = true)]
async fn more_mails_than_one_transaction_takes_are_erased() {
    for count in [97, 98, 100, 250] {
        let (place, id) = made().await;
        place.deliver_mails().await;
        let profile = id.parse().unwrap();
        let table = place.table();
        let first: MailItem = table.get(&mail_key(profile, 1)).await.unwrap().unwrap();
        for number in 2..count {
            let mail = MailItem {
                number,
                ..first.clone()
            };
            place.store(&mail.key(), &mail).await;
        }
        let lock = lock_key(ADA);
        let counted = LockItem {
            mails: count - 1,
            ..table.get(&lock).await.unwrap().unwrap()
        };
        place.store(&lock, &counted).await;
        // The reminder is one, too.
        assert_eq!(mails(&place).len(), count as usize);
        let erased = place
            .ask("DELETE", &format!("/profiles/{id}"), Value::Null)
            .await;
        assert_eq!(erased.status(), 204, "{count} mails: {erased:?}");
        assert_eq!(left(&place), [""; 0], "{count} mails");
    }
}

#[tokio::test(start_paused = true)]
async fn an_erasure_outlasts_a_bad_moment() {
    let (place, id) = made().await;
    assert_eq!(place.mark_erasing(id.parse().unwrap()).await, Begun::Marked);
    bad_moment(&place, 4);
    assert!(finish(&place, &id).await);
    assert_eq!(left(&place), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_erasure_ends_with_its_time_and_the_sweeper_goes_on() {
    let (place, id) = made().await;
    assert_eq!(place.mark_erasing(id.parse().unwrap()).await, Begun::Marked);
    bad_moment(&place, u64::MAX);
    let began = Instant::now();
    assert!(!finish(&place, &id).await);
    assert_eq!(began.elapsed(), PATIENCE);
    bad_moment(&place, 0);
    place.pass(Duration::from_secs(61)).await;
    place.sweep().await;
    assert_eq!(left(&place), [""; 0]);
}
