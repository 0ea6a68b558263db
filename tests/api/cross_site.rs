//! Forms of other sites, which have people's browsers ask.

use serde_json::{Value, json};

use crate::place::{Answer, Place};

const FORM: &str = "application/x-www-form-urlencoded";

async fn send(place: &Place, path: &str, body: &str, browser: &[(&str, &str)]) -> Answer {
    let mut headers = json!({ "content-type": FORM, "host": "muster.example" });
    for (name, value) in browser {
        headers[name] = json!(value);
    }
    let request = json!({ "method": "POST", "path": path, "headers": headers, "body": body });
    place.request(request).await
}

async fn signed_up() -> (Place, String) {
    let place = Place::new();
    place.sign_up("ada@example.com").await;
    place.deliver_mails().await;
    let token = place.mails_to("ada@example.com").pop().unwrap().token;
    (place, token)
}

#[tokio::test(start_paused = true)]
async fn a_form_of_another_site_does_nothing() {
    let (place, token) = signed_up().await;
    let token = format!("token={token}");
    let before = place.items();
    for browser in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        for (path, body) in [
            ("/signup/resend", "email=ada@example.com"),
            ("/confirm", &token),
            ("/not-me", &token),
        ] {
            let answer = send(&place, path, body, &[browser]).await;
            let found = (answer.status(), answer.problem());
            assert_eq!(found, (403, "forbidden"), "{path} {browser:?}");
        }
    }
    assert_eq!(place.items(), before);
}

#[tokio::test(start_paused = true)]
async fn the_forms_of_the_pages_and_old_browsers_work() {
    let own = ("origin", "https://muster.example");
    for browser in [
        &[("sec-fetch-site", "same-origin"), own][..],
        &[("sec-fetch-site", "none")],
        &[own],
        &[],
    ] {
        let (place, token) = signed_up().await;
        let resent = send(&place, "/signup/resend", "email=ada@example.com", browser).await;
        assert_eq!(resent.status(), 202, "{browser:?}");
        let confirmed = send(&place, "/confirm", &format!("token={token}"), browser).await;
        assert_eq!(confirmed.status(), 200, "{browser:?}");
    }
}

/// A link in a mail that is read in a browser comes from another site, too; and JSON
/// cannot be sent from one.
#[tokio::test(start_paused = true)]
async fn links_and_json_may_come_from_anywhere() {
    let (place, token) = signed_up().await;
    let elsewhere = ("sec-fetch-site", "cross-site");
    for path in ["/confirm", "/not-me"] {
        let path = format!("{path}?token={token}");
        let page = place.ask_with("GET", &path, elsewhere, Value::Null).await;
        assert_eq!(page.status(), 200, "{path}");
    }
    let answer = place
        .ask_with("POST", "/confirm", elsewhere, json!({ "token": token }))
        .await;
    assert_eq!(answer.status(), 200);
}
