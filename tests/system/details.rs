//! A profile with its details through the gateway: the document comes from Parameter
//! Store, a secret from Secrets Manager, and the sources are objects in S3.

use muster_core::people::email::Email;
use muster_local::sources::Sources;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::stack::Stack;

async fn details(stack: &Stack, method: Method, path: &str, token: &str) -> Response {
    let path = format!("{path}/details");
    let request = stack.client.request(method, &path).bearer_auth(token);
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_profile_is_read_with_what_sources_know_until_it_is_erased() {
    let stack = Stack::find();
    let token = stack.variable("MUSTER_TOKEN");
    let address = stack.address("ada");
    let person = json!({ "email": address, "name": "Ada" });
    let request = stack.client.request(Method::POST, "/profiles");
    let made = request.bearer_auth(token).json(&person).send().await;
    let path = made.unwrap().headers()["location"]
        .to_str()
        .unwrap()
        .to_owned();

    let sources = Sources::at(stack.variable("AWS_ENDPOINT_URL")).unwrap();
    let email = Email::parse(&address).unwrap();
    let crm = json!({ "data": { "person": { "city": "London" } }, "internal": 7 });
    sources.say("crm", &email, &crm).await.unwrap();
    sources
        .say("loyalty", &email, &json!({ "city": "Turin", "points": 3 }))
        .await
        .unwrap();

    let answer = details(&stack, Method::GET, &path, token).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["profile"]["email"], address);
    let sources = &answer["sources"];
    assert_eq!(sources["crm"]["data"], json!({ "city": "London" }));
    assert_eq!(sources["loyalty"]["status"], "ok");
    // Nobody told billing anything about this person.
    assert_eq!(sources["billing"]["status"], "error");
    let merged = &answer["merged"];
    assert_eq!(
        merged["city"],
        json!({ "value": "London", "source": "crm" })
    );
    assert_eq!(merged["points"]["source"], "loyalty");

    let some = format!("{path}/details?sources=crm");
    let some = stack.get(&some).await;
    assert_eq!(some["sources"].as_object().unwrap().len(), 1);

    let weak = stack.token("imports/read").await;
    let refused = details(&stack, Method::GET, &path, &weak).await;
    assert_eq!(refused.status(), 403);
    let head = details(&stack, Method::HEAD, &path, token).await;
    assert_eq!(head.status(), 200);
    let wrong = details(&stack, Method::PUT, &path, token).await;
    assert_eq!(wrong.status(), 405);

    let request = stack.client.request(Method::DELETE, &path);
    let erased = request.bearer_auth(token).send().await.unwrap();
    assert_eq!(erased.status(), 204);
    let gone = details(&stack, Method::GET, &path, token).await;
    assert_eq!(gone.status(), 404);
}
