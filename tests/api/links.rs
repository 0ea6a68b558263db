//! The links in mails: what each is good for, and until when, however it arrives.

use muster_simulation::ses::Accepted;
use serde_json::{Value, json};

use crate::place::{Answer, Place};

const ADA: &str = "ada@example.com";

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
