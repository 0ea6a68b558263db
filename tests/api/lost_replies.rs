//! A call whose reply is lost has done its work. The SDK sends it again, and its own
//! work must not be taken for another's.

use muster_core::platform::table::Item;
use muster_simulation::faults::{Fault, Schedule};
use muster_simulation::invariants::text;
use serde_json::{Value, json};

use crate::place::{Answer, Place};

/// The reply of this call is lost, counted from the last time calls were taken.
const fn lose(call: u64) -> Schedule {
    Schedule::Single {
        call,
        fault: Fault::DroppedReply,
    }
}

/// Asks, while the reply of one call is lost. None if there are fewer calls.
async fn ask_losing(place: &Place, lost: u64, request: &Value) -> Option<Answer> {
    place.calls();
    place.state.lock().schedule = lose(lost);
    let answer = place.request(request.clone()).await;
    place.state.lock().schedule = Schedule::Clean;
    let hit = place.calls().iter().any(|call| call.fault.is_some());
    hit.then_some(answer)
}

async fn made(place: &Place) -> String {
    let person = json!({ "email": "ada@example.com", "name": "Ada" });
    let answer = place.ask("POST", "/profiles", person).await;
    assert_eq!(answer.status(), 201);
    answer.header("location").unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_profile_is_made_once_and_answered() {
    for change in [
        json!({ "name": "Augusta" }),
        json!({ "locale": "de" }),
        json!({ "email": "new@example.com" }),
    ] {
        for lost in 0.. {
            let place = Place::new();
            let path = made(&place).await;
            let headers =
                json!({ "if-match": "\"1\"", "content-type": "application/merge-patch+json" });
            let patch =
                json!({ "method": "PATCH", "path": path, "headers": headers, "body": change });
            let Some(answer) = ask_losing(&place, lost, &patch).await else {
                assert!(lost > 1, "a read and a write at least");
                break;
            };
            assert_eq!(answer.status(), 200, "{change}, call {lost}: {answer:?}");
            assert_eq!(
                answer.header("etag"),
                Some("\"2\""),
                "{change}, call {lost}"
            );
            let found = place.get(&path).await;
            assert_eq!(found.header("etag"), Some("\"2\""), "{change}, call {lost}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_erasure_is_answered_as_one() {
    for lost in 0.. {
        let place = Place::new();
        let path = made(&place).await;
        let erase = json!({ "method": "DELETE", "path": path });
        let Some(answer) = ask_losing(&place, lost, &erase).await else {
            assert!(lost > 2);
            break;
        };
        assert_eq!(answer.status(), 204, "call {lost}: {answer:?}");
        assert_eq!(place.get(&path).await.status(), 404);
    }
}

/// A function that did not hear of its own claim would wait until its lease is over.
#[tokio::test(start_paused = true)]
async fn a_claim_is_known_by_its_owner() {
    let leased = |item: &Item| item.contains_key("lease_owner");
    for lost in 0.. {
        let place = Place::new();
        place.sign_up("ada@example.com").await;
        place.calls();
        place.state.lock().schedule = lose(lost);
        place.deliver_mails().await;
        place.state.lock().schedule = Schedule::Clean;
        let calls = place.calls();
        let Some(hit) = calls.iter().find(|call| call.fault.is_some()) else {
            assert!(lost > 2);
            break;
        };
        assert_eq!(place.mails_to("ada@example.com").len(), 1, "{hit}");
        // That SES took it is not known if that is the reply that was lost.
        if hit.operation != "Ses.SendEmail" {
            assert!(!place.items().iter().any(leased), "{hit}");
        }
    }
    for lost in 0.. {
        let place = Place::new();
        let csv = "email,name\nada@example.com,Ada\n";
        place.state.lock().schedule = lose(lost);
        place.upload("uploads/people.csv", csv).await;
        place.work().await;
        place.state.lock().schedule = Schedule::Clean;
        let calls = place.calls();
        let Some(hit) = calls.iter().find(|call| call.fault.is_some()) else {
            assert!(lost > 10);
            break;
        };
        let items = place.items();
        let waits = items.iter().find(|item| leased(item));
        assert!(waits.is_none(), "{hit}: {}", text(waits.unwrap(), "sk"));
    }
}
