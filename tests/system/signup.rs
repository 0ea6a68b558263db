//! From sign-up to confirmed, and what is refused on the way.

use muster_core::people::email_lock::lock_key;
use reqwest::Method;
use serde_json::{Value, json};

use crate::stack::{Stack, eventually};

fn person(address: &str) -> Value {
    json!({ "email": address, "name": "Ada Lovelace", "attributes": { "team": "engines" } })
}

#[tokio::test]
async fn a_sign_up_is_mailed_once_and_confirmed_by_its_link() {
    let stack = Stack::find();
    let address = stack.address("ada");
    for _ in 0..2 {
        let answer = stack.post("/signup", &person(&address)).await;
        assert_eq!(answer.status(), 202);
        assert_eq!(
            answer.json::<Value>().await.unwrap(),
            json!({ "status": "accepted" })
        );
    }
    let mail = eventually("the mail is sent", async || {
        stack.client.mails_to(&address).await.unwrap().pop()
    })
    .await;
    assert_eq!(mail.subject, "Confirm your e-mail address for Muster");
    let link = mail.link().unwrap();
    assert!(mail.body_html.contains(&format!("href=\"{link}\"")));

    // Mail scanners open links: nothing may change by it.
    for _ in 0..3 {
        let page = stack
            .client
            .request(Method::GET, link)
            .send()
            .await
            .unwrap();
        assert_eq!(page.status(), 200);
        assert_eq!(page.headers()["cache-control"], "no-store");
        assert!(
            page.text()
                .await
                .unwrap()
                .contains("<button type=\"submit\">")
        );
    }
    let profile = stack.profile(&address).await.unwrap();
    assert_eq!(profile["status"], "pending");
    assert_eq!(profile["attributes"]["team"], "engines");

    let token = mail.token().unwrap();
    let click = async || {
        let form = stack
            .client
            .request(Method::POST, "/confirm")
            .form(&[("token", token)]);
        form.send().await.unwrap().text().await.unwrap()
    };
    assert!(click().await.contains("your address is confirmed"));
    assert!(click().await.contains("already confirmed"));
    assert_eq!(
        stack.profile(&address).await.unwrap()["status"],
        "confirmed"
    );
    let page = stack
        .client
        .request(Method::GET, link)
        .send()
        .await
        .unwrap();
    assert!(page.text().await.unwrap().contains("already confirmed"));
    let lock = stack.item(&lock_key(&address)).await.unwrap();
    assert!(
        !lock.contains_key("expires_at"),
        "what is confirmed does not expire"
    );
    assert_eq!(stack.client.mails_to(&address).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_refused_is_named_and_leaves_nothing_behind() {
    let stack = Stack::find();
    let address = stack.address("bad");
    let with = |field: &str, value: Value| {
        let mut body = person(&address);
        body[field] = value;
        body
    };
    for (body, pointer, code) in [
        (with("email", json!("ada@")), "/email", "invalid_email"),
        (with("email", json!(7)), "/email", "wrong_type"),
        (
            with("email", json!(format!("{}@example.com", "x".repeat(250)))),
            "/email",
            "email_too_long",
        ),
        (with("name", Value::Null), "/name", "missing"),
        (
            with("name", json!("Ada\r\nBcc: all@example.com")),
            "/name",
            "invalid_name",
        ),
        (
            with("name", json!("x".repeat(201))),
            "/name",
            "name_too_long",
        ),
        (with("attributes", json!([])), "/attributes", "wrong_type"),
        (
            with("attributes", json!({ "a": 1 })),
            "/attributes/a",
            "wrong_type",
        ),
        (
            with("attributes", json!({ "a": "x".repeat(1025) })),
            "/attributes/a",
            "attribute_too_long",
        ),
        (with("admin", json!(true)), "/admin", "unknown"),
    ] {
        let answer = stack.post("/signup", &body).await;
        assert_eq!(answer.status(), 422, "{body}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["errors"][0]["pointer"], pointer);
        assert_eq!(problem["errors"][0]["code"], code);
    }
    for (body, content_type, status) in [
        ("{\"email\":", "application/json", 400),
        ("[1]", "application/json", 400),
        ("email=ada", "application/x-www-form-urlencoded", 415),
        (&" ".repeat(40_000), "application/json", 413),
    ] {
        let request = stack.client.request(Method::POST, "/signup");
        let answer = request
            .header("content-type", content_type)
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        assert_eq!(
            answer.status(),
            status,
            "{content_type}: {}",
            &body[..body.len().min(20)]
        );
    }
    assert!(stack.item(&lock_key(&address)).await.is_none());
    assert!(stack.client.mails_to(&address).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_link_of_nobodys_says_so() {
    let stack = Stack::find();
    let made_up =
        "019aafb0-0000-7000-8000-000000000000.1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for token in ["", "x", made_up] {
        let page = stack
            .client
            .request(Method::GET, "/confirm")
            .query(&[("token", token)]);
        assert_eq!(page.send().await.unwrap().status(), 404, "{token}");
        let answer = stack.post("/confirm", &json!({ "token": token })).await;
        assert_eq!(answer.status(), 404, "{token}");
    }
}
