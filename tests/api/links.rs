//! The links in mails: what each is good for, and until when, however it arrives.

use std::time::Duration;

use muster_core::mail::item::LINK_LIFETIME;
use muster_core::people::profile::{ProfileItem, profile_key};
use muster_simulation::ses::Accepted;
use serde_json::{Value, json};

use crate::place::{Answer, Place};

const ADA: &str = "ada@example.com";
const KING: &str = "king@example.com";

async fn signed_up() -> (Place, Accepted) {
    let place = Place::new();
    place.sign_up(ADA).await;
    place.deliver_mails().await;
    let mail = newest(&place, ADA);
    (place, mail)
}

fn newest(place: &Place, address: &str) -> Accepted {
    place.mails_to(address).pop().unwrap()
}

async fn post(place: &Place, page: &str, token: &str) -> Answer {
    let form = ("content-type", "application/x-www-form-urlencoded");
    let body = json!(format!("token={token}"));
    place.ask_with("POST", page, form, body).await
}

/// An operator gives the profile another address, which gets a mail.
async fn move_to(place: &Place, id: &str, address: &str) {
    let path = format!("/profiles/{id}");
    let patch = json!({ "email": address });
    let changed = place
        .ask_with("PATCH", &path, ("if-match", "*"), patch)
        .await;
    assert_eq!(changed.status(), 200, "{changed:?}");
    place.deliver_mails().await;
}

/// Neither the page nor its button offers to remove a profile by this link.
async fn cannot_disown(place: &Place, token: &str) {
    let before = place.items();
    let page = place.get(&format!("/not-me?token={token}")).await;
    assert_eq!(page.status(), 404, "{}", page.text());
    let answer = post(place, "/not-me", token).await;
    assert_eq!(answer.status(), 404, "{}", answer.text());
    assert_eq!(place.items(), before);
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_profile_is_not_removed_by_who_got_its_change() {
    let place = Place::new();
    let profile = place.confirmed(ADA).await;
    move_to(&place, profile["id"].as_str().unwrap(), KING).await;
    let change = newest(&place, KING);
    assert!(!change.text.contains("/not-me"), "{}", change.text);
    cannot_disown(&place, &change.token).await;
    // Nor when it is too late to confirm.
    place.pass(LINK_LIFETIME).await;
    cannot_disown(&place, &change.token).await;
    assert!(place.profile(KING).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_new_address_of_a_sign_up_does_not_remove_it_either() {
    let (place, sent) = signed_up().await;
    move_to(&place, &sent.profile_id, KING).await;
    cannot_disown(&place, &newest(&place, KING).token).await;
    // The old one is not its address any more.
    cannot_disown(&place, &sent.token).await;
}

#[tokio::test(start_paused = true)]
async fn who_said_not_me_hears_no_more_that_day_whatever_expires() {
    let (place, sent) = signed_up().await;
    assert_eq!(post(&place, "/not-me", &sent.token).await.status(), 200);
    for hours in [13, 10] {
        place.pass(Duration::from_secs(hours * 60 * 60)).await;
        place.expired().iter().for_each(|key| place.remove(key));
        place.sign_up(ADA).await;
        place.deliver_mails().await;
    }
    assert_eq!(place.mails_to(ADA).len(), 1);
    // A new sign-up is kept until the next day, and its mail goes then.
    place.pass(Duration::from_secs(2 * 60 * 60)).await;
    place.sweep().await;
    place.deliver_mails().await;
    assert_eq!(place.mails_to(ADA).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_expired_link_removes_nothing() {
    let (place, sent) = signed_up().await;
    place.pass(LINK_LIFETIME).await;
    cannot_disown(&place, &sent.token).await;
    assert!(place.profile(ADA).await.is_some());
    // A mail that is not that old does.
    let resend = json!({ "email": ADA });
    place.ask("POST", "/signup/resend", resend).await;
    place.deliver_mails().await;
    let page = post(&place, "/not-me", &newest(&place, ADA).token).await;
    assert_eq!(page.status(), 200, "{}", page.text());
    assert!(place.profile(ADA).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_link_works_for_three_days() {
    let (place, sent) = signed_up().await;
    let link = format!("/confirm?token={}", sent.token);
    let (minute, day) = (Duration::from_secs(60), Duration::from_secs(24 * 60 * 60));
    place.pass(3 * day - minute).await;
    assert_eq!(place.get(&link).await.status(), 200);
    place.pass(minute).await;
    assert_eq!(place.get(&link).await.status(), 410);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_expire_is_not_removed() {
    let (place, sent) = signed_up().await;
    let key = profile_key(sent.profile_id.parse().unwrap());
    let item: ProfileItem = place.table().get(&key).await.unwrap().unwrap();
    let kept = ProfileItem {
        expires_at: None,
        ..item
    };
    place.store(&key, &kept).await;
    cannot_disown(&place, &sent.token).await;
}

#[tokio::test(start_paused = true)]
async fn the_reminders_link_removes_a_sign_up() {
    let (place, _) = signed_up().await;
    place.pass(Duration::from_secs(24 * 60 * 60)).await;
    place.sweep().await;
    place.deliver_mails().await;
    let reminder = newest(&place, ADA);
    assert_eq!(reminder.mail, "0");
    let page = post(&place, "/not-me", &reminder.token).await;
    assert_eq!(page.status(), 200, "{}", page.text());
    assert!(place.profile(ADA).await.is_none());
}

/// What a page says of a link is true.
#[tokio::test(start_paused = true)]
async fn a_link_says_whether_the_address_is_another_one() {
    let place = Place::new();
    place.confirmed(ADA).await;
    let first = newest(&place, ADA);
    move_to(&place, &first.profile_id, KING).await;
    let link = format!("/confirm?token={}", first.token);
    let page = place.get(&link).await;
    assert_eq!(page.status(), 410);
    assert!(
        page.text().contains("another e-mail address by now"),
        "{}",
        page.text()
    );
    move_to(&place, &first.profile_id, ADA).await;
    let page = place.get(&link).await;
    assert_eq!(page.status(), 410);
    assert!(
        page.text().contains("It confirmed this address before"),
        "{}",
        page.text()
    );
    let click = json!({ "token": first.token });
    let answer = place.ask("POST", "/confirm", click).await;
    let detail = answer.body()["detail"].as_str().unwrap();
    assert!(detail.contains("the newest mail's token"), "{detail}");
    let page = post(&place, "/confirm", &newest(&place, ADA).token).await;
    assert_eq!(page.status(), 200, "{}", page.text());
}

/// Where a relative address leads from there.
fn followed(from: &str, location: &str) -> String {
    let base = url(&format!("https://muster.example{from}"));
    let to = base.join(location).unwrap();
    format!("{}?{}", to.path(), to.query().unwrap_or_default())
}

fn url(text: &str) -> reqwest::Url {
    text.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_link_leads_to_its_page_however_it_is_written() {
    let (place, sent) = signed_up().await;
    let token = &sent.token;
    for (page, button) in [
        ("confirm", "Yes, this address is mine"),
        ("not-me", "It was not me"),
    ] {
        let upper = page.to_uppercase();
        for path in [
            format!("/{page}?token={token}."),
            format!("/{page}?token={token}%3E"),
            format!("/{page}?token={token}&utm_source=mail"),
            format!("/{page}?utm_source=mail&amp;token={token}"),
            format!("/{page}/?token={token}"),
            format!("/{page}//?token={token}&utm_source=mail"),
            format!("/{upper}?token={token}"),
            format!("/{upper}/?token={token}."),
        ] {
            let mut answer = place.get(&path).await;
            if answer.status() == 308 {
                let to = followed(&path, answer.header("location").unwrap());
                assert_eq!(answer.header("cache-control"), Some("no-store"));
                answer = place.get(&to).await;
            }
            assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
            assert!(answer.text().contains(button), "{path}: {}", answer.text());
            assert!(answer.text().contains(&format!("value=\"{token}\"")));
        }
        let wrong = place.get(&format!("/{page}?token={token}x.")).await;
        assert_eq!(wrong.status(), 404, "{}", wrong.text());
    }
}

/// Where the form of a page leads; none, if it has no form.
fn form(page: &Answer) -> Option<String> {
    let (_, rest) = page.text().split_once("action=\"")?;
    Some(rest.split_once('"')?.0.to_owned())
}

#[tokio::test(start_paused = true)]
async fn the_page_of_an_expired_link_has_a_new_mail_sent() {
    let (place, sent) = signed_up().await;
    place.pass(LINK_LIFETIME).await;
    let link = format!("/confirm?token={}", sent.token);
    let to = followed(&link, &form(&place.get(&link).await).unwrap());
    let fields = ("content-type", "application/x-www-form-urlencoded");
    // The form is there again where its address was mistyped.
    let typo = place
        .ask_with("POST", &to, fields, json!("email=ada"))
        .await;
    assert_eq!(typo.status(), 422);
    let to = followed(&to, &form(&typo).unwrap());
    let body = json!(format!("email={ADA}"));
    let page = place.ask_with("POST", &to, fields, body).await;
    assert_eq!((page.status(), form(&page)), (202, None), "{}", page.text());
    place.deliver_mails().await;
    assert_eq!(newest(&place, ADA).mail, "2");
    let page = post(&place, "/confirm", &newest(&place, ADA).token).await;
    assert_eq!((page.status(), form(&page)), (200, None), "{}", page.text());
}

#[tokio::test(start_paused = true)]
async fn a_token_confirms_with_what_was_added_to_it() {
    for added in ["", ".", ">", ",", ")", "\u{200b}", " "] {
        let (place, sent) = signed_up().await;
        let token = format!("{}{added}", sent.token);
        let body = json!({ "token": token });
        let answer = place.ask("POST", "/confirm", body).await;
        assert_eq!(answer.body()["status"], "confirmed", "{added:?}");

        let (place, sent) = signed_up().await;
        let page = post(&place, "/confirm", &format!("{}{added}", sent.token)).await;
        assert_eq!(page.status(), 200, "{added:?}: {}", page.text());
    }
    let (place, sent) = signed_up().await;
    let body = json!({ "token": format!("{}A", sent.token) });
    assert_eq!(place.ask("POST", "/confirm", body).await.status(), 404);
    let page = post(&place, "/confirm", &format!("{}A", sent.token)).await;
    assert_eq!(page.status(), 404);
    // The method and the body go where the redirect leads.
    let moved = post(&place, "/Confirm/", &sent.token).await;
    assert_eq!(
        (moved.status(), moved.header("location")),
        (308, Some("../confirm"))
    );
    assert_eq!(
        place.ask("GET", "/profiles/", Value::Null).await.status(),
        404
    );
}
