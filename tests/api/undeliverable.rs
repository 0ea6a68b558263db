//! Addresses that no mail goes to any more: that is not to say that they are not
//! confirmed; and the way back, here and at SES.

use std::time::Duration;

use muster_core::mail::item::LINK_LIFETIME;
use muster_core::people::email_lock::{LockItem, lock_key};
use muster_core::people::profile::{ProfileItem, profile_key};
use muster_simulation::addresses::{BOUNCES, COMPLAINS};
use muster_simulation::faults::{Fault, Schedule};
use muster_simulation::ses::{Accepted, BOUNCE, COMPLAINT};
use serde_json::{Value, json};

use crate::place::{Answer, Place};

const ADA: &str = "ada@example.com";
const NOT_SPAM: &str = include_str!("../../functions/core/fixtures/ses/complaint-not-spam.json");
const SUPPRESSED: &str = include_str!("../../functions/core/fixtures/ses/bounce-suppressed.json");
const COOL_DOWN: Duration = Duration::from_secs(200);

async fn signed_up(address: &str) -> (Place, Accepted) {
    let place = Place::new();
    place.sign_up(address).await;
    place.deliver_mails().await;
    let mail = newest(&place, address);
    (place, mail)
}

/// A place with a confirmed profile, and the mail that confirmed it.
async fn confirmed(address: &str) -> (Place, Accepted) {
    let place = Place::new();
    place.confirmed(address).await;
    let mail = newest(&place, address);
    (place, mail)
}

fn newest(place: &Place, address: &str) -> Accepted {
    place.mails_to(address).pop().unwrap()
}

async fn profile(place: &Place, address: &str) -> Value {
    place.profile(address).await.unwrap()
}

async fn cause(place: &Place, address: &str) -> Value {
    profile(place, address).await["undeliverable"]["cause"].clone()
}

async fn post(place: &Place, token: &str) -> Answer {
    let form = ("content-type", "application/x-www-form-urlencoded");
    let body = json!(format!("token={token}"));
    place.ask_with("POST", "/confirm", form, body).await
}

async fn reactivate(place: &Place, id: &str) -> Answer {
    let path = format!("/profiles/{id}/undeliverable");
    place.ask("DELETE", &path, Value::Null).await
}

/// A stranger, or the owner, who signs up or asks for the mail again.
async fn ask_for_mail(place: &Place, address: &str) {
    for path in ["/signup", "/signup/resend"] {
        place.pass(COOL_DOWN).await;
        let mut body = json!({ "email": address });
        if path == "/signup" {
            body["name"] = json!("Somebody");
        }
        assert_eq!(place.ask("POST", path, body).await.status(), 202);
        place.deliver_mails().await;
    }
}

fn on_ses_list(place: &Place) -> Vec<String> {
    place.state.lock().ses.suppressed.keys().cloned().collect()
}

/// Mail goes there, is delivered, and neither list has the address.
async fn is_reachable(place: &Place, address: &str) {
    assert_eq!(on_ses_list(place), [""; 0]);
    assert_eq!(cause(place, address).await, Value::Null);
    let lock: LockItem = place
        .table()
        .get(&lock_key(address))
        .await
        .unwrap()
        .unwrap();
    assert!(!lock.undeliverable);
    let before = place.mails().len();
    ask_for_mail(place, address).await;
    let mails = place.mails();
    assert_eq!(mails.len(), before + 2);
    assert!(mails[before..].iter().all(|mail| !mail.suppressed));
}

#[tokio::test(start_paused = true)]
async fn a_complaint_does_not_unconfirm_an_address() {
    for (event, expected, said) in [
        (
            BOUNCE,
            "bounced",
            "Permanent/General: smtp; 550 5.1.1 user unknown",
        ),
        (COMPLAINT, "complained", "complaint: abuse"),
    ] {
        let (place, sent) = confirmed(ADA).await;
        let before = profile(&place, ADA).await;
        assert!(!place.report(&sent.report(event)).await);
        let after = profile(&place, ADA).await;
        assert_eq!(after["status"], "confirmed");
        let since = &after["updated_at"];
        let why = json!({ "since": since, "cause": expected, "reason": said });
        assert_eq!(after["undeliverable"], why);
        assert_eq!(after["updated_by"], "feedback");
        assert_eq!(before["undeliverable"], Value::Null);
        // And again changes nothing.
        assert!(!place.report(&sent.report(event)).await);
        assert_eq!(profile(&place, ADA).await, after);
        // Whoever asks: nothing goes there.
        ask_for_mail(&place, ADA).await;
        assert_eq!(place.mails_to(ADA).len(), 1);
        assert_eq!(on_ses_list(&place), [ADA]);
    }
}

#[tokio::test(start_paused = true)]
async fn who_takes_a_complaint_back_has_not_complained() {
    let (place, sent) = confirmed(ADA).await;
    assert!(!place.report(&sent.report(NOT_SPAM)).await);
    is_reachable(&place, ADA).await;
}

#[tokio::test(start_paused = true)]
async fn the_owner_has_mail_go_again_by_the_link_that_confirmed() {
    for (event, said) in [
        (BOUNCE, "came back on 2026-01-01"),
        (COMPLAINT, "was reported as spam on 2026-01-01"),
    ] {
        let (place, sent) = confirmed(ADA).await;
        place.report(&sent.report(event)).await;
        let before = place.items();
        let page = place.get(&format!("/confirm?token={}", sent.token)).await;
        assert_eq!(page.status(), 200);
        assert!(page.text().contains(said), "{}", page.text());
        assert!(
            !page.text().contains("another e-mail address"),
            "{}",
            page.text()
        );
        assert_eq!(place.items(), before, "looking changes nothing");
        assert_eq!(on_ses_list(&place), [ADA]);

        let page = post(&place, &sent.token).await;
        assert!(
            page.text().contains("Mail goes to your address again"),
            "{}",
            page.text()
        );
        assert_eq!(profile(&place, ADA).await["status"], "confirmed");
        assert_eq!(profile(&place, ADA).await["updated_by"], "owner");
        is_reachable(&place, ADA).await;
        let page = post(&place, &sent.token).await;
        assert!(page.text().contains("already confirmed"), "{}", page.text());
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_as_json() {
    let (place, sent) = confirmed(ADA).await;
    place.report(&sent.report(COMPLAINT)).await;
    let click = json!({ "token": sent.token });
    for expected in ["mail_resumed", "already_confirmed"] {
        let answer = place.ask("POST", "/confirm", click.clone()).await;
        assert_eq!(
            (answer.status(), &answer.body()["status"]),
            (200, &json!(expected))
        );
    }
}

/// The link is good, so it confirms as well; the next mail does not come back.
#[tokio::test(start_paused = true)]
async fn a_click_that_confirms_takes_the_address_off_the_list_of_ses() {
    for event in [BOUNCE, COMPLAINT] {
        let (place, sent) = signed_up(ADA).await;
        place.report(&sent.report(event)).await;
        assert_eq!(on_ses_list(&place), [ADA]);
        let page = post(&place, &sent.token).await;
        assert!(page.text().contains("is confirmed"), "{}", page.text());
        assert_eq!(profile(&place, ADA).await["status"], "confirmed");
        is_reachable(&place, ADA).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_too_old_to_confirm_still_shows_whose_address_it_is() {
    let (place, sent) = signed_up(ADA).await;
    place.report(&sent.report(COMPLAINT)).await;
    place.pass(LINK_LIFETIME).await;
    let page = place.get(&format!("/confirm?token={}", sent.token)).await;
    assert!(
        page.text().contains("was reported as spam"),
        "{}",
        page.text()
    );
    let page = post(&place, &sent.token).await;
    assert!(page.text().contains("not confirmed yet"), "{}", page.text());
    assert!(page.text().contains("Send a new mail"), "{}", page.text());
    assert_eq!(profile(&place, ADA).await["status"], "pending");
    is_reachable(&place, ADA).await;
    let page = post(&place, &newest(&place, ADA).token).await;
    assert!(page.text().contains("is confirmed"), "{}", page.text());
}

#[tokio::test(start_paused = true)]
async fn an_operator_has_mail_go_again() {
    let (place, sent) = signed_up(ADA).await;
    place.report(&sent.report(BOUNCE)).await;
    let resend = format!("/profiles/{}/resend", sent.profile_id);
    let refused = place.ask("POST", &resend, Value::Null).await;
    assert_eq!((refused.status(), refused.problem()), (409, "conflict"));
    let detail = refused.body()["detail"].as_str().unwrap();
    for said in [
        "came back for good (2026-01-01T00:00:0",
        "550 5.1.1 user unknown",
        "PATCH",
        "DELETE /profiles/{id}/undeliverable",
    ] {
        assert!(detail.contains(said), "{detail}");
    }
    for _ in 0..2 {
        assert_eq!(reactivate(&place, &sent.profile_id).await.status(), 204);
        let profile = profile(&place, ADA).await;
        assert_eq!(profile["updated_by"], "operator");
        assert_eq!(profile["status"], "pending");
    }
    assert_eq!(place.ask("POST", &resend, Value::Null).await.status(), 202);
    place.deliver_mails().await;
    assert!(!newest(&place, ADA).suppressed);
    is_reachable(&place, ADA).await;

    for id in ["019aafb0-0000-7000-8000-000000000000", "x"] {
        assert_eq!(reactivate(&place, id).await.status(), 404, "{id}");
    }
    place.pass(Duration::from_secs(8 * 24 * 60 * 60)).await;
    assert_eq!(reactivate(&place, &sent.profile_id).await.status(), 404);
}

/// So that who looked at it before does not change it unseen.
#[tokio::test(start_paused = true)]
async fn a_profile_with_mail_again_is_another_version() {
    let (place, sent) = signed_up(ADA).await;
    place.report(&sent.report(BOUNCE)).await;
    let path = format!("/profiles/{}", sent.profile_id);
    let etag = async || place.get(&path).await.header("etag").unwrap().to_owned();
    let before = etag().await;
    assert_eq!(reactivate(&place, &sent.profile_id).await.status(), 204);
    let version = |etag: &str| etag.trim_matches('"').parse::<u64>().unwrap();
    assert_eq!(version(&etag().await), version(&before) + 1);
    let name = json!({ "name": "Ada" });
    let stale = ("if-match", &*before);
    assert_eq!(
        place.ask_with("PATCH", &path, stale, name).await.status(),
        412
    );
}

/// What was sent before the way was clear again tells nothing about it.
#[tokio::test(start_paused = true)]
async fn old_news_do_not_close_the_way_again() {
    let (place, sent) = confirmed(ADA).await;
    place.report(&sent.report(BOUNCE)).await;
    assert_eq!(reactivate(&place, &sent.profile_id).await.status(), 204);
    assert!(!place.report(&sent.report(COMPLAINT)).await);
    assert_eq!(cause(&place, ADA).await, Value::Null);
    place.state.lock().ses.suppressed.clear();
    ask_for_mail(&place, ADA).await;
    let next = newest(&place, ADA);
    assert!(!place.report(&next.report(COMPLAINT)).await);
    assert_eq!(cause(&place, ADA).await, "complained");
}

/// Another application of the account has seen it bounce.
#[tokio::test(start_paused = true)]
async fn what_ses_keeps_back_is_known_as_that() {
    let (place, sent) = signed_up(ADA).await;
    assert!(!place.report(&sent.report(SUPPRESSED)).await);
    assert_eq!(cause(&place, ADA).await, "suppressed");
    let mails = place
        .get(&format!("/profiles/{}/mails", sent.profile_id))
        .await;
    let mail = &mails.body()["items"][1];
    assert_eq!(mail["status"], "bounced");
    assert!(
        mail["reason"]
            .as_str()
            .unwrap()
            .contains("OnAccountSuppressionList")
    );
    let page = place.get(&format!("/confirm?token={}", sent.token)).await;
    assert!(
        page.text().contains("Yes, this address is mine"),
        "it is in time"
    );
}

#[tokio::test(start_paused = true)]
async fn what_ses_reports_by_itself_is_taken_in() {
    for (address, expected) in [(BOUNCES, "bounced"), (COMPLAINS, "complained")] {
        let (place, sent) = signed_up(address).await;
        place.hear().await;
        assert_eq!(cause(&place, address).await, expected);
        assert_eq!(on_ses_list(&place), [address]);
        // The sign-up ends, and SES remembers: another is not mailed either.
        let path = format!("/profiles/{}", sent.profile_id);
        assert_eq!(place.ask("DELETE", &path, Value::Null).await.status(), 204);
        place.pass(COOL_DOWN).await;
        place.sign_up(address).await;
        place.deliver_mails().await;
        assert!(newest(&place, address).suppressed);
        place.hear().await;
        assert_eq!(cause(&place, address).await, "suppressed");
        // Until an operator lets mail go there.
        let id = newest(&place, address).profile_id;
        assert_eq!(reactivate(&place, &id).await.status(), 204);
        assert_eq!(on_ses_list(&place), [""; 0]);
    }
}

/// SES knows an address as it was sent to; we, by its key.
#[tokio::test(start_paused = true)]
async fn an_address_is_taken_off_as_it_is_spelled() {
    let typed = "Ada.King@B\u{fc}cher.example";
    let sent_to = "Ada.King@xn--bcher-kva.example";
    let place = Place::new();
    place.sign_up(typed).await;
    place.deliver_mails().await;
    let sent = newest(&place, sent_to);
    place.report(&sent.report(BOUNCE)).await;
    assert_eq!(on_ses_list(&place), [sent_to]);
    assert_eq!(reactivate(&place, &sent.profile_id).await.status(), 204);
    assert_eq!(on_ses_list(&place), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn while_ses_does_not_answer_nothing_changes() {
    let (place, sent) = confirmed(ADA).await;
    place.report(&sent.report(COMPLAINT)).await;
    let before = place.items();
    let delete = "Ses.DeleteSuppressedDestination";
    for fault in [Fault::ServerError, Fault::Throttle, Fault::DroppedReply] {
        place.calls();
        place.state.lock().schedule = Schedule::Operation {
            name: delete,
            fault,
        };
        let answer = reactivate(&place, &sent.profile_id).await;
        assert_eq!(
            (answer.status(), answer.problem()),
            (503, "unavailable"),
            "{fault}"
        );
        let page = post(&place, &sent.token).await;
        assert_eq!(page.status(), 503, "{fault}: {}", page.text());
        assert_eq!(place.items(), before, "{fault}");
        let calls = place.calls();
        assert!(
            calls.iter().any(|call| call.operation == delete),
            "{calls:?}"
        );
    }
    place.state.lock().schedule = Schedule::Clean;
    assert_eq!(reactivate(&place, &sent.profile_id).await.status(), 204);
    is_reachable(&place, ADA).await;
}

#[tokio::test(start_paused = true)]
async fn a_list_tells_status_and_reach_apart() {
    let place = Place::new();
    let mut ids = std::collections::BTreeMap::new();
    for (name, confirms, event) in [
        ("pending", false, None),
        ("bounced", false, Some(BOUNCE)),
        ("confirmed", true, None),
        ("complained", true, Some(COMPLAINT)),
    ] {
        let address = format!("{name}@example.com");
        if confirms {
            place.confirmed(&address).await;
        } else {
            place.sign_up(&address).await;
            place.deliver_mails().await;
        }
        let sent = newest(&place, &address);
        if let Some(event) = event {
            place.report(&sent.report(event)).await;
        }
        ids.insert(sent.profile_id, name);
        place.pass(Duration::from_millis(5)).await;
    }
    for (query, expected) in [
        ("", &["complained", "confirmed", "bounced", "pending"][..]),
        ("?status=pending", &["bounced", "pending"]),
        ("?status=confirmed", &["complained", "confirmed"]),
        ("?status=undeliverable", &["complained", "bounced"]),
        (
            "?status=undeliverable&email=bounced@example.com",
            &["bounced"],
        ),
        ("?status=undeliverable&email=pending@example.com", &[]),
        ("?status=pending&email=bounced@example.com", &["bounced"]),
    ] {
        let list = place.get(&format!("/profiles{query}")).await;
        let items = list.body()["items"].as_array().unwrap();
        let found: Vec<_> = items
            .iter()
            .map(|item| ids[item["id"].as_str().unwrap()])
            .collect();
        assert_eq!(found, expected, "{query}");
    }
    // Back in the list of its status.
    let id = newest(&place, "complained@example.com").profile_id;
    assert_eq!(reactivate(&place, &id).await.status(), 204);
    let list = place.get("/profiles?status=undeliverable").await;
    assert_eq!(list.body()["items"].as_array().unwrap().len(), 1);
    let list = place.get("/profiles?status=confirmed").await;
    assert_eq!(list.body()["items"].as_array().unwrap().len(), 2);
}

/// A new address starts anew, whatever became of the old one.
#[tokio::test(start_paused = true)]
async fn another_address_is_another_matter() {
    let (place, sent) = confirmed(ADA).await;
    place.report(&sent.report(COMPLAINT)).await;
    reactivate(&place, &sent.profile_id).await;
    let path = format!("/profiles/{}", sent.profile_id);
    let patch = json!({ "email": "king@example.com" });
    place
        .ask_with("PATCH", &path, ("if-match", "*"), patch)
        .await;
    let key = profile_key(sent.profile_id.parse().unwrap());
    let item: ProfileItem = place.table().get(&key).await.unwrap().unwrap();
    assert_eq!((item.undeliverable, item.reachable_since), (None, None));
}

/// SES heeds its list whatever the case of the letters, and takes off it only what is
/// spelled like the entry.
#[tokio::test(start_paused = true)]
async fn each_spelling_is_taken_off_the_list_of_ses() {
    for by_link in [false, true] {
        let (place, sent) = confirmed(ADA).await;
        place.pass(COOL_DOWN).await;
        place.sign_up("aDa@example.com").await;
        place.deliver_mails().await;
        let told = newest(&place, "aDa@example.com");
        place.report(&told.report(COMPLAINT)).await;
        assert_eq!(on_ses_list(&place), ["aDa@example.com"]);
        assert_eq!(cause(&place, ADA).await, "complained");
        match by_link {
            true => assert_eq!(post(&place, &sent.token).await.status(), 200),
            false => assert_eq!(reactivate(&place, &sent.profile_id).await.status(), 204),
        }
        is_reachable(&place, ADA).await;
    }
}

/// What SES refuses for good keeps nobody from confirming.
#[tokio::test(start_paused = true)]
async fn an_address_that_ses_keeps_on_its_list_can_be_confirmed() {
    let address = "a/b@example.com";
    let (place, sent) = signed_up(address).await;
    place.report(&sent.report(BOUNCE)).await;
    assert_eq!(post(&place, &sent.token).await.status(), 200);
    assert_eq!(profile(&place, address).await["status"], "confirmed");
    assert_eq!(cause(&place, address).await, Value::Null);
    place.report(&sent.report(COMPLAINT)).await;
    assert_eq!(reactivate(&place, &sent.profile_id).await.status(), 204);
    assert_eq!(cause(&place, address).await, Value::Null);
}
