//! The operators' routes: who may, and what they answer.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::stack::Stack;

const ROUTES: [(Method, &str); 9] = [
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
    (Method::HEAD, "/profiles"),
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

/// Header and payload of a token, with some members changed.
fn forged(token: &str, header: Value, payload: Value) -> String {
    let parts = token.split('.').zip([header, payload]);
    let parts: Vec<_> = parts
        .map(|(part, changes)| {
            let bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
            let mut part: Value = serde_json::from_slice(&bytes).unwrap();
            for (name, value) in changes.as_object().unwrap() {
                part[name] = value.clone();
            }
            URL_SAFE_NO_PAD.encode(part.to_string())
        })
        .collect();
    parts.join(".")
}

fn signed_with(key: &[u8], text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    format!("{text}.{signature}")
}

/// The emulator looks at the signature first. That an expired token, or one of
/// another issuer or client, is refused although its signature is right has
/// not been seen: nobody here can sign one.
#[tokio::test]
async fn a_forged_token_opens_nothing() {
    let stack = Stack::find();
    let token = &stack.token("imports/read").await;
    let other = stack.token("profiles/read profiles/write").await;
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let kept = |payload: Value| format!("{}.{signature}", forged(token, json!({}), payload));
    let none = forged(token, json!({ "alg": "none" }), json!({}));
    let symmetric = forged(token, json!({ "alg": "HS256" }), json!({}));
    let unknown_key = forged(token, json!({ "kid": "unknown" }), json!({}));
    let everything = "profiles/read profiles/write imports/read";
    let tokens = [
        ("expired", kept(json!({ "exp": 1 }))),
        ("expires later", kept(json!({ "exp": 9_999_999_999_u64 }))),
        (
            "other issuer",
            kept(json!({ "iss": "https://example.com" })),
        ),
        ("other audience", kept(json!({ "aud": "other" }))),
        ("other client", kept(json!({ "client_id": "other" }))),
        ("wider scope", kept(json!({ "scope": everything }))),
        ("of no algorithm", format!("{none}.")),
        ("of no algorithm, signed", format!("{none}.{signature}")),
        ("empty key", signed_with(b"", &symmetric)),
        ("unknown key", format!("{unknown_key}.{signature}")),
        ("signature missing", format!("{signed}.")),
        ("two parts", signed.to_owned()),
        ("signature cut", token[..token.len() - 8].to_owned()),
        (
            "signature of another",
            format!("{signed}.{}", other.rsplit_once('.').unwrap().1),
        ),
        ("garbage", "x".repeat(1_000)),
        ("garbage in three parts", "e30.e30.AAAA".to_owned()),
        ("empty parts", "..".to_owned()),
        ("empty", String::new()),
    ];
    let bearers = tokens.map(|(what, token)| (what, format!("Bearer {token}")));
    let others = [
        ("basic", format!("Basic {token}")),
        ("unknown scheme", format!("Token {token}")),
        ("two schemes", format!("Bearer Bearer {token}")),
        ("empty header", String::new()),
    ];
    for (what, authorization) in bearers.iter().chain(&others) {
        for (method, path) in ROUTES {
            let request = stack.client.request(method.clone(), path);
            let answer = request.header("authorization", authorization).send().await;
            let status = answer.unwrap().status();
            assert_eq!(status, 401, "{what}: {method} {path}");
        }
    }
    let request = stack.client.request(Method::GET, "/imports");
    let answer = request.bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 200, "the token itself is good");
}

/// A token is good for the path that the gateway saw. What a browser makes of
/// that path is another matter, and so is a header with an address in it.
#[tokio::test]
async fn a_token_for_one_path_opens_no_other() {
    let stack = Stack::find();
    let token = &stack.token("imports/read").await;
    let ask = async |path: &str, proto: &str| {
        let request = stack.client.request(Method::GET, path).bearer_auth(token);
        let request = request.header("x-forwarded-proto", proto);
        request.send().await.unwrap()
    };
    for path in ["/imports/..%5cprofiles", "/imports/x%5c..%5c..%5cprofiles"] {
        assert_eq!(ask(path, "https").await.status(), 404, "{path}");
    }
    for proto in ["https://x/profiles#", "https://x/profiles?limit=", ":"] {
        let answer = ask("/imports/x", proto).await;
        assert_eq!(answer.status(), 404, "{proto}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
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
        ROUTES[8].1,
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
