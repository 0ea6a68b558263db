//! The operators' routes: who may, and what they answer.

use reqwest::Method;
use serde_json::{Value, json};

use crate::stack::Stack;

const ROUTES: [(Method, &str); 8] = [
    (Method::POST, "/profiles"),
    (Method::GET, "/profiles?email=ada@example.com"),
    (
        Method::GET,
        "/profiles/019aafb0-0000-7000-8000-000000000000",
    ),
    (
        Method::PATCH,
        "/profiles/019aafb0-0000-7000-8000-000000000000",
    ),
    (
        Method::DELETE,
        "/profiles/019aafb0-0000-7000-8000-000000000000",
    ),
    (Method::GET, "/profiles"),
    (Method::GET, "/imports"),
    (Method::GET, "/imports/019aafb0-0000-5000-8000-000000000000"),
];

#[tokio::test]
async fn without_a_token_or_its_scope_nothing_is_told() {
    let stack = Stack::find();
    let no_scope = stack.token("operations/read").await;
    for (method, path) in ROUTES {
        let ask = async |token: Option<&str>| {
            let mut request = stack.client.request(method.clone(), path);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            request.send().await.unwrap().status().as_u16()
        };
        assert_eq!(ask(None).await, 401, "{method} {path}");
        assert_eq!(ask(Some("not.a.token")).await, 401, "{method} {path}");
        assert_eq!(ask(Some(&no_scope)).await, 403, "{method} {path}");
    }
}

#[tokio::test]
async fn an_operator_creates_a_profile_and_finds_it_again() {
    let stack = Stack::find();
    let token = stack.token("profiles/read profiles/write").await;
    let address = stack.address("grace");
    let create = async || {
        let request = stack
            .client
            .request(Method::POST, "/profiles")
            .bearer_auth(&token);
        request
            .json(&json!({ "email": address, "name": "Grace Hopper" }))
            .send()
            .await
            .unwrap()
    };
    let answer = create().await;
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["etag"], "\"1\"");
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let created: Value = answer.json().await.unwrap();
    assert_eq!(
        location,
        format!("/profiles/{}", created["id"].as_str().unwrap())
    );
    assert_eq!(created["source"], "operator");
    assert_eq!(created["updated_by"], stack.variable("MUSTER_CLIENT_ID"));

    assert_eq!(stack.get(&location).await, created);
    assert_eq!(stack.profile(&address.to_uppercase()).await, Some(created));
    let again = create().await;
    assert_eq!(again.status(), 409);
    assert_eq!(
        again.json::<Value>().await.unwrap()["type"],
        "urn:muster:problem:conflict"
    );
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let stack = Stack::find();
    let token = stack.variable("MUSTER_TOKEN");
    for path in [
        "/profiles/x",
        ROUTES[2].1,
        "/imports/x",
        ROUTES[7].1,
        "/nowhere",
    ] {
        let answer = stack
            .client
            .request(Method::GET, path)
            .bearer_auth(token)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(
            answer.headers()["content-type"],
            "application/problem+json",
            "{path}"
        );
    }
    let answer = stack
        .client
        .request(Method::DELETE, "/signup")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 405);
    assert_eq!(answer.headers()["allow"], "POST");
}
