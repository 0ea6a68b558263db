//! Several sign-ups of one address: what a link confirms is what was said in the
//! sign-up that its mail was sent for.

use std::time::Duration;

use muster_core::people::erasure::Begun;
use muster_simulation::invariants::{number, text};
use muster_simulation::ses::Accepted;
use muster_simulation::state::Latency;
use serde_json::{Value, json};

use crate::place::{Answer, Place};

const VICTIM: &str = "victim@example.com";
/// Longer than an address hears nothing after a mail.
const COOL_DOWN: Duration = Duration::from_secs(200);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Signs the address up in somebody's name; answers with the mail that comes of it.
async fn sign_up_as(place: &Place, name: &str) -> Accepted {
    let person = json!({
        "email": VICTIM, "name": name, "locale": if name == "Mallory" { "de" } else { "en" },
        "attributes": { "by": name, name: "yes" },
    });
    place.pass(COOL_DOWN).await;
    assert_eq!(place.ask("POST", "/signup", person).await.status(), 202);
    newest(place).await
}

async fn resend(place: &Place) -> Accepted {
    place.pass(COOL_DOWN).await;
    let body = json!({ "email": VICTIM });
    let answer = place.ask("POST", "/signup/resend", body).await;
    assert_eq!(answer.status(), 202);
    newest(place).await
}

async fn newest(place: &Place) -> Accepted {
    let before = place.mails_to(VICTIM).len();
    place.deliver_mails().await;
    let mails = place.mails_to(VICTIM);
    assert_eq!(mails.len(), before + 1);
    mails.last().unwrap().clone()
}

async fn page(place: &Place, mail: &Accepted) -> Answer {
    place.get(&format!("/confirm?token={}", mail.token)).await
}

async fn click(place: &Place, mail: &Accepted) -> (u64, Value) {
    let answer = place
        .ask("POST", "/confirm", json!({ "token": mail.token }))
        .await;
    (answer.status(), answer.body()["status"].clone())
}

/// Follows the link, whose page names that person, and whose button makes the
/// profile that person's and leaves nothing of the others.
async fn confirms(place: &Place, mail: &Accepted, name: &str, other: &str) {
    let page = page(place, mail).await;
    assert_eq!(page.status(), 200);
    assert!(page.text().contains(name), "{}", page.text());
    assert!(page.text().contains(VICTIM), "{}", page.text());
    assert!(!page.text().contains(other), "{}", page.text());
    assert_eq!(click(place, mail).await, (200, json!("confirmed")));
    let profile = place.profile(VICTIM).await.unwrap();
    assert_eq!(profile["name"], name);
    assert_eq!(profile["attributes"], json!({ "by": name, name: "yes" }));
    let items = place.items();
    assert!(!format!("{items:?}").contains(other), "{items:?}");
    let lock = items.iter().find(|item| text(item, "sk") == "EMAIL");
    assert_eq!(text(lock.unwrap(), "locale"), profile["locale"]);
    assert_eq!(
        profile["locale"],
        if name == "Mallory" { "de" } else { "en" }
    );
    let expiring = items.iter().filter(|item| item.contains_key("expires_at"));
    let expiring: Vec<_> = expiring.map(|item| text(item, "pk")).collect();
    assert!(
        expiring.iter().all(|pk| pk.starts_with("RATE#")),
        "{expiring:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_strangers_earlier_sign_up_is_not_what_the_owner_confirms() {
    let place = Place::new();
    sign_up_as(&place, "Mallory").await;
    let own = sign_up_as(&place, "Victoria").await;
    assert!(own.text.contains("Victoria") && !own.text.contains("Mallory"));
    confirms(&place, &own, "Victoria", "Mallory").await;
}

#[tokio::test(start_paused = true)]
async fn a_strangers_later_sign_up_is_not_what_the_owner_confirms() {
    let place = Place::new();
    let own = sign_up_as(&place, "Victoria").await;
    let strangers = sign_up_as(&place, "Mallory").await;
    confirms(&place, &own, "Victoria", "Mallory").await;
    assert_eq!(
        click(&place, &strangers).await,
        (200, json!("already_confirmed"))
    );
    assert_eq!(place.profile(VICTIM).await.unwrap()["name"], "Victoria");
}

#[tokio::test(start_paused = true)]
async fn a_link_keeps_to_its_sign_up_whatever_comes_after_it() {
    let place = Place::new();
    sign_up_as(&place, "Mallory").await;
    let own = sign_up_as(&place, "Victoria").await;
    let again = resend(&place).await;
    sign_up_as(&place, "Mallory").await;
    // Whoever asks for the mail again gets that of the newest sign-up, and its page
    // says whose that is.
    let strangers = resend(&place).await;
    assert!(page(&place, &strangers).await.text().contains("Mallory"));
    assert!(page(&place, &own).await.text().contains("Victoria"));
    confirms(&place, &again, "Victoria", "Mallory").await;
    for mail in [&own, &strangers] {
        assert_eq!(click(&place, mail).await, (200, json!("already_confirmed")));
    }
    assert_eq!(place.profile(VICTIM).await.unwrap()["name"], "Victoria");
}

#[tokio::test(start_paused = true)]
async fn an_operators_resend_stands_for_the_newest_sign_up() {
    let place = Place::new();
    sign_up_as(&place, "Mallory").await;
    sign_up_as(&place, "Victoria").await;
    let id = place.profile(VICTIM).await.unwrap()["id"].clone();
    let path = format!("/profiles/{}/resend", id.as_str().unwrap());
    assert_eq!(place.ask("POST", &path, Value::Null).await.status(), 202);
    let own = newest(&place).await;
    assert!(own.text.contains("Victoria"), "{}", own.text);
    confirms(&place, &own, "Victoria", "Mallory").await;
}

#[tokio::test(start_paused = true)]
async fn a_reminder_stands_for_the_first_sign_up() {
    let place = Place::new();
    sign_up_as(&place, "Victoria").await;
    sign_up_as(&place, "Mallory").await;
    place.pass(DAY).await;
    place.sweep().await;
    let reminder = newest(&place).await;
    assert_eq!(reminder.mail, "0");
    confirms(&place, &reminder, "Victoria", "Mallory").await;
}

#[tokio::test(start_paused = true)]
async fn a_page_shows_a_name_and_never_runs_it() {
    let place = Place::new();
    let name = "<script>Eve & Co</script>";
    let person = json!({ "email": VICTIM, "name": name });
    place.ask("POST", "/signup", person).await;
    let page = page(&place, &newest(&place).await).await;
    assert!(!page.text().contains("<script>"), "{}", page.text());
    assert!(page.text().contains("Eve &#38; Co"), "{}", page.text());
}

/// A later sign-up replaces what the first one said; what it leaves out, too.
#[tokio::test(start_paused = true)]
async fn a_confirmed_sign_up_replaces_and_does_not_merge() {
    let place = Place::new();
    sign_up_as(&place, "Mallory").await;
    place.pass(COOL_DOWN).await;
    let person = json!({ "email": "Victim@example.com", "name": "Victoria" });
    place.ask("POST", "/signup", person).await;
    place.deliver_mails().await;
    let own = place.mails_to("Victim@example.com").pop().unwrap();
    assert_eq!(click(&place, &own).await.0, 200);
    let profile = place.profile(VICTIM).await.unwrap();
    assert_eq!(profile["email"], "Victim@example.com", "as it was typed");
    assert_eq!(profile["name"], "Victoria");
    assert_eq!(profile["attributes"], json!({}));
    assert_eq!(profile["locale"], Value::Null);
}

/// What strangers type is nothing to a profile that an operator made or changed.
#[tokio::test(start_paused = true)]
async fn what_operators_said_is_not_a_strangers_to_replace() {
    for patched in [false, true] {
        let place = Place::new();
        let mut stranger = None;
        if patched {
            stranger = Some(sign_up_as(&place, "Mallory").await);
            let before = sign_up_as(&place, "Mallory").await;
            let path = format!("/profiles/{}", before.profile_id);
            let patch = json!({ "name": "Ada", "attributes": null, "locale": "en" });
            let answer = place.ask_with("PATCH", &path, ("if-match", "*"), patch);
            assert_eq!(answer.await.status(), 200);
        } else {
            let person = json!({ "email": VICTIM, "name": "Ada", "locale": "en" });
            assert_eq!(place.ask("POST", "/profiles", person).await.status(), 201);
            newest(&place).await;
        }
        let later = sign_up_as(&place, "Mallory").await;
        assert!(!later.text.contains("Mallory"), "{}", later.text);
        let shown = page(&place, &later).await;
        assert!(shown.text().contains("Ada"), "{}", shown.text());
        assert_eq!(click(&place, &stranger.unwrap_or(later)).await.0, 200);
        let profile = place.profile(VICTIM).await.unwrap();
        assert_eq!(profile["name"], "Ada");
        assert_eq!(profile["attributes"], json!({}));
    }
}

/// A mail to the owner of a profile holds nothing of a stranger's when it went.
#[tokio::test(start_paused = true)]
async fn filler_goes_with_the_mail() {
    let place = Place::new();
    place.confirmed(VICTIM).await;
    sign_up_as(&place, "Mallory").await;
    let items = place.items();
    assert!(!format!("{items:?}").contains("Mallory"));
    let fillers = items.iter().filter(|item| item.contains_key("filler"));
    assert_eq!(fillers.count(), 0);
}

/// A stranger is not told that there was a profile, nor kept from being answered.
#[tokio::test(start_paused = true)]
async fn a_profile_that_is_being_erased_is_no_strangers_business() {
    let person = json!({ "email": VICTIM, "name": "Mallory" });
    for (path, body) in [
        ("/signup", person),
        ("/signup/resend", json!({ "email": VICTIM })),
    ] {
        for expired in [false, true] {
            let place = Place::new();
            let mail = sign_up_as(&place, "Victoria").await;
            let id = mail.profile_id.parse().unwrap();
            assert_eq!(place.mark_erasing(id).await, Begun::Marked);
            place.pass(if expired { DAY * 8 } else { COOL_DOWN }).await;
            let before = hour_count(&place);
            place.calls();
            let answer = place.ask("POST", path, body.clone()).await;
            assert_eq!(answer.status(), 202, "{path} {answer:?}");
            let calls = place.calls();
            let tries = calls
                .iter()
                .filter(|call| call.operation.contains("Transact"));
            assert!(tries.count() <= 2, "{calls:#?}");
            // Only a mail that goes uses up one of the hour's.
            assert_eq!(hour_count(&place), before, "{path}, counted");
            place.deliver_mails().await;
            assert_eq!(place.mails_to(VICTIM).len(), 1, "nothing goes");
            assert!(!format!("{:?}", place.items()).contains("Mallory"));
        }
    }
}

fn hour_count(place: &Place) -> u64 {
    let items = place.items();
    let hours = items
        .iter()
        .filter(|item| text(item, "pk").starts_with("RATE#hour"));
    hours.map(|item| number(item, "requests")).sum()
}

/// A place whose calls take no time, a link, and when it expires.
async fn link_with_an_end(early: Duration) -> (Place, Accepted) {
    let place = Place::new();
    let mail = sign_up_as(&place, "Victoria").await;
    place.state.lock().latency = Latency::Off;
    let items = place.items();
    let item = items.iter().find(|item| text(item, "sk") == "MAIL#1");
    let until = number(item.unwrap(), "links_until");
    let now = u64::try_from(place.now().as_millis()).unwrap();
    place.pass(Duration::from_millis(until - now) - early).await;
    (place, mail)
}

#[tokio::test(start_paused = true)]
async fn a_link_works_until_the_millisecond_before_its_end() {
    let (place, mail) = link_with_an_end(Duration::from_millis(1)).await;
    assert_eq!(page(&place, &mail).await.status(), 200);
    assert_eq!(click(&place, &mail).await, (200, json!("confirmed")));
}

#[tokio::test(start_paused = true)]
async fn a_link_has_expired_at_its_end() {
    let (place, mail) = link_with_an_end(Duration::ZERO).await;
    let shown = page(&place, &mail).await;
    assert_eq!(shown.status(), 410);
    assert!(shown.text().contains("This link has expired"));
    let before = place.items();
    assert_eq!(click(&place, &mail).await.0, 404);
    let form = ("content-type", "application/x-www-form-urlencoded");
    let body = json!(format!("token={}", mail.token));
    let answer = place.ask_with("POST", "/confirm", form, body).await;
    assert_eq!(answer.status(), 410);
    assert_eq!(place.items(), before);
}
