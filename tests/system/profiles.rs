//! A profile's life through the gateway: made, listed, changed, moved, erased.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::stack::{Stack, eventually};

async fn ask(
    stack: &Stack,
    method: Method,
    path: &str,
    header: Option<(&str, &str)>,
    body: &Value,
) -> Response {
    let mut request = stack
        .client
        .request(method, path)
        .bearer_auth(stack.variable("MUSTER_TOKEN"));
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    if !body.is_null() {
        request = request.json(body);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_profile_is_made_once_changed_and_erased() {
    let stack = Stack::find();
    let (old, new) = (stack.address("old"), stack.address("new"));
    let person =
        json!({ "email": old, "name": "Grace Hopper", "attributes": { "rank": "Captain" } });
    let key = Some(("idempotency-key", old.as_str()));
    let first = ask(&stack, Method::POST, "/profiles", key, &person).await;
    assert_eq!(first.status(), 201);
    let path = first.headers()["location"].to_str().unwrap().to_owned();
    let made: Value = first.json().await.unwrap();
    let again = ask(&stack, Method::POST, "/profiles", key, &person).await;
    assert_eq!(again.status(), 201);
    assert_eq!(again.json::<Value>().await.unwrap(), made);

    let head = ask(&stack, Method::HEAD, &path, None, &Value::Null).await;
    assert_eq!(
        (head.status().as_u16(), &head.headers()["etag"]),
        (200, &"\"1\"".parse().unwrap())
    );
    assert_eq!(head.text().await.unwrap(), "");

    // The list is eventually consistent.
    eventually("the list has the profile", async || {
        let list = stack.get("/profiles?status=pending&limit=100").await;
        let items = list["items"].as_array().unwrap();
        items.contains(&made).then_some(())
    })
    .await;

    let patch = json!({ "attributes": { "rank": "Rear Admiral" } });
    let missing = ask(&stack, Method::PATCH, &path, None, &patch).await;
    assert_eq!(missing.status(), 428);
    let stale = ask(
        &stack,
        Method::PATCH,
        &path,
        Some(("if-match", "\"9\"")),
        &patch,
    )
    .await;
    assert_eq!(stale.status(), 412);
    let version = Some(("if-match", "\"1\""));
    let changed = ask(&stack, Method::PATCH, &path, version, &patch).await;
    assert_eq!(changed.headers()["etag"], "\"2\"");
    let changed: Value = changed.json().await.unwrap();
    assert_eq!(changed["attributes"]["rank"], "Rear Admiral");

    let version = Some(("if-match", "\"2\""));
    let moved = ask(
        &stack,
        Method::PATCH,
        &path,
        version,
        &json!({ "email": new }),
    )
    .await;
    assert_eq!(moved.status(), 200);
    let mail = eventually("the new address is asked to confirm", async || {
        stack.client.mails_to(&new).await.unwrap().pop()
    })
    .await;
    assert_eq!(mail.subject, "Confirm your new e-mail address for Muster");
    eventually("the old address is told", async || {
        let mails = stack.client.mails_to(&old).await.unwrap();
        let told = "The e-mail address of your Muster profile was changed";
        mails.iter().any(|mail| mail.subject == told).then_some(())
    })
    .await;
    let token = json!({ "token": mail.token().unwrap() });
    assert_eq!(stack.post("/confirm", &token).await.status(), 200);
    assert_eq!(stack.profile(&new).await.unwrap()["status"], "confirmed");
    assert_eq!(stack.profile(&old).await, None);

    let erased = ask(&stack, Method::DELETE, &path, None, &Value::Null).await;
    assert_eq!(erased.status(), 204);
    let gone = ask(&stack, Method::GET, &path, None, &Value::Null).await;
    assert_eq!(gone.status(), 404);
    assert_eq!(stack.profile(&new).await, None);
}

#[tokio::test]
async fn a_second_mail_can_be_asked_for_by_the_page() {
    let stack = Stack::find();
    let page = stack
        .client
        .request(Method::GET, "/confirm?token=x")
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), 404);
    assert!(
        page.text()
            .await
            .unwrap()
            .contains("action=\"signup/resend\"")
    );
    let form = [("email", stack.address("nobody"))];
    let answer = stack
        .client
        .request(Method::POST, "/signup/resend")
        .form(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
    assert!(
        answer
            .text()
            .await
            .unwrap()
            .contains("Look into your inbox")
    );
}
