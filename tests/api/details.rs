//! `GET /profiles/{id}/details`: what goes out, and what comes in.

use std::time::Duration;

use muster_core::platform::hex::hex;
use muster_simulation::faults::Fault;
use muster_simulation::ses::BOUNCE;
use muster_simulation::sources::{Behaviour, Reply};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::outside::{Outside, document, how};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_profile_comes_with_what_sources_know() {
    let mut document = document([
        ("crm", json!({ "keep": "/data/person" })),
        ("billing", json!({})),
        ("score", json!({ "keep": "/score" })),
        ("broken", json!({})),
    ]);
    document["precedence"] = json!(["crm", "profile"]);
    let outside = Outside::with(&document).await;
    let person = json!({ "name": "Ada Lovelace", "tariff": null, "city": "London" });
    outside
        .stub("crm")
        .does([json!({ "data": { "person": person } })]);
    let reply = json!({ "tariff": "pro", "name": "A.", "city": "Paris" });
    outside
        .stub("billing")
        .does([Reply::from(reply.clone()).after(30)]);
    outside.stub("score").does([json!({ "score": 7 })]);
    outside.stub("broken").does([Behaviour::Resets]);
    let answer = outside.ask().await;
    assert_eq!(
        (answer.status(), answer.header("cache-control")),
        (200, Some("no-store"))
    );
    let body = answer.body();
    assert_eq!(
        body["profile"],
        outside.place.get(&outside.path()).await.body().clone()
    );
    let problem = json!({ "code": "broken_off", "detail": "the answer broke off" });
    let expected = json!({
        "crm": { "status": "ok", "latency_ms": 0, "age_s": 0, "data": person },
        "billing": { "status": "ok", "latency_ms": 30, "age_s": 0, "data": reply },
        "score": { "status": "ok", "latency_ms": 0, "age_s": 0, "data": 7 },
        "broken": { "status": "error", "latency_ms": 0, "problem": problem },
    });
    assert_eq!(body["sources"], expected);
    let said = |name: &str| {
        (
            &body["merged"][name]["value"],
            &body["merged"][name]["source"],
        )
    };
    assert_eq!(
        said("name"),
        (&json!("Ada Lovelace"), &json!("crm")),
        "before the profile"
    );
    assert_eq!(
        said("tariff"),
        (&json!("pro"), &json!("billing")),
        "null says nothing"
    );
    assert_eq!(said("city"), (&json!("London"), &json!("crm")));
    assert_eq!(
        said("email"),
        (&json!("Ada@example.com"), &json!("profile"))
    );
    assert_eq!(said("plan"), (&json!("a b"), &json!("profile")));
    assert_eq!(said("score"), (&json!(7), &json!("score")), "no object");
    let merged: Vec<_> = body["merged"].as_object().unwrap().keys().collect();
    let expected = ["city", "email", "name", "plan", "score", "tariff"];
    assert_eq!(merged, expected, "and nothing of how we keep a profile");
}

/// Whoever signs up types what they like. Who they are is theirs to say, and what else a
/// source knows is not.
#[tokio::test(start_paused = true)]
async fn by_default_a_source_outranks_what_a_person_typed() {
    let said = json!({ "name": "A.", "locale": "fr", "email": "x", "plan": "pro", "city": "Rome" });
    let fields = ["email", "name", "locale", "plan", "city", "hobby"];
    for (precedence, expected) in [
        (Value::Null, "profile profile profile crm crm profile"),
        (json!(["crm"]), "profile profile profile crm crm profile"),
        (json!(["crm", "profile"]), "crm crm crm crm crm profile"),
        (
            json!(["profile"]),
            "profile profile profile profile crm profile",
        ),
    ] {
        let mut document = document([("crm", json!({})), ("other", json!({}))]);
        if !precedence.is_null() {
            document["precedence"] = precedence.clone();
        }
        let outside = Outside::with(&document).await;
        outside.stub("crm").does([said.clone()]);
        let stranger = json!({
            "email": "bob@example.com", "name": "Mallory", "locale": "en",
            "attributes": { "plan": "free", "hobby": "chess", "email": "y", "name": "z" },
        });
        let path = sign_up(&outside, stranger).await;
        let answer = outside.place.get(&path).await;
        let merged = &answer.body()["merged"];
        let sources = fields.map(|field| merged[field]["source"].as_str().unwrap());
        assert_eq!(sources.join(" "), expected, "{precedence}");
        if sources[0] == "profile" {
            assert_eq!(merged["name"]["value"], "Mallory");
            assert_eq!(merged["email"]["value"], "bob@example.com");
        }
    }
}

/// The path of the details of someone who signs up.
async fn sign_up(outside: &Outside, person: Value) -> String {
    let email = person["email"].as_str().unwrap().to_owned();
    let signed_up = outside.place.ask("POST", "/signup", person).await;
    assert_eq!(signed_up.status(), 202, "{signed_up:?}");
    let profile = outside.place.profile(&email).await.unwrap();
    format!("/profiles/{}/details", profile["id"].as_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_unconfirmed_sign_up_fills_no_address_with_attributes() {
    const BOB: &str = "bob@example.com";
    let url = |name: &str, rest: &str| json!(format!("https://{name}.example.com/{rest}"));
    let outside = Outside::with(&document([
        ("crm", json!({ "url": url("crm", "{attributes.customer}") })),
        (
            "query",
            json!({ "url": url("query", "?of={attributes.customer}") }),
        ),
        ("lacks", json!({ "url": url("lacks", "{attributes.plan}") })),
        (
            "mail",
            json!({ "url": url("mail", "{id}/{email}/{email_sha256}") }),
        ),
        (
            "trusting",
            json!({
                "url": url("trusting", "{attributes.customer}"),
                "unconfirmed_attributes": true,
            }),
        ),
    ]))
    .await;
    for name in ["crm", "query", "lacks", "mail", "trusting"] {
        outside.stub(name).does([json!({})]);
    }
    let person = json!({ "email": BOB, "name": "B", "attributes": { "customer": "7" } });
    let path = sign_up(&outside, person).await;
    let look = async || {
        let answer = outside.place.get(&path).await;
        let sources = answer.body()["sources"].clone();
        ["crm", "query", "lacks", "mail", "trusting"].map(|name| how(&sources[name]))
    };
    let unconfirmed = "error attribute_unconfirmed";
    let before = [
        unconfirmed,
        unconfirmed,
        "error attribute_missing",
        "ok -",
        "ok -",
    ];
    assert_eq!(look().await, before);
    assert_eq!(outside.stub("crm").opened(), 0);
    let asked = outside.stub("trusting").requests().pop().unwrap();
    assert_eq!(asked.line, "GET /7 HTTP/1.1");

    outside.place.deliver_mails().await;
    let token = outside.place.mails_to(BOB).pop().unwrap().token;
    let click = json!({ "token": token });
    let confirmed = outside.place.ask("POST", "/confirm", click).await;
    assert_eq!(confirmed.status(), 200, "{confirmed:?}");
    let after = ["ok -", "ok -", "error attribute_missing", "ok -", "ok -"];
    assert_eq!(look().await, after);
}

/// Mail that comes back confirms nothing.
#[tokio::test(start_paused = true)]
async fn nor_does_a_sign_up_whose_mail_came_back() {
    let source = json!({ "url": "https://crm.example.com/{attributes.customer}" });
    let outside = Outside::with_one("crm", source).await;
    let person =
        json!({ "email": "bob@example.com", "name": "B", "attributes": { "customer": "7" } });
    let path = sign_up(&outside, person).await;
    outside.place.deliver_mails().await;
    let mail = outside.place.mails_to("bob@example.com").pop().unwrap();
    outside.place.report(&mail.report(BOUNCE)).await;
    let answer = outside.place.get(&path).await;
    let source = &answer.body()["sources"]["crm"];
    assert_eq!(how(source), "error attribute_unconfirmed");
    let detail = source["problem"]["detail"].as_str().unwrap();
    assert!(detail.contains("\"customer\""), "{detail}");
}

/// Nobody has confirmed these addresses either. But who gave the attributes is entitled to.
#[tokio::test(start_paused = true)]
async fn what_an_operator_gave_fills_an_address() {
    let source = json!({ "url": "https://crm.example.com/{attributes.plan}" });
    let outside = Outside::with_one("crm", source).await;
    outside.stub("crm").does([json!({})]);
    assert_eq!(outside.profile["status"], "pending");
    assert_eq!(how(&outside.ask_one("crm").await), "ok -");
    outside
        .place
        .import("email,plan\nbob@example.com,pro\n")
        .await;
    let bob = outside.place.profile("bob@example.com").await.unwrap();
    assert_eq!(bob["status"], "pending");
    let path = format!("/profiles/{}/details", bob["id"].as_str().unwrap());
    let answer = outside.place.get(&path).await;
    assert_eq!(how(&answer.body()["sources"]["crm"]), "ok -");
}

#[tokio::test(start_paused = true)]
async fn without_sources_there_is_the_profile() {
    let outside = Outside::with(&json!({ "sources": {} })).await;
    let answer = outside.ask().await;
    assert_eq!(
        (answer.status(), &answer.body()["sources"]),
        (200, &json!({}))
    );
    assert_eq!(
        answer.body()["merged"]["name"],
        json!({ "value": "Ada", "source": "profile" })
    );
}

#[tokio::test(start_paused = true)]
async fn some_of_the_sources_are_asked() {
    let names = ["billing", "crm", "score"];
    let outside = Outside::with(&document(names.map(|name| (name, json!({}))))).await;
    for name in names {
        outside.stub(name).does([json!({ name: 1 })]);
    }
    let answer = outside.ask_for("?sources=score,crm,score").await;
    let asked: Vec<_> = answer.body()["sources"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(asked, ["crm", "score"]);
    assert_eq!(answer.body()["merged"]["billing"], Value::Null);
    assert_eq!(outside.stub("billing").opened(), 0);
    assert_eq!(outside.stub("score").requests().len(), 1);
    let often = format!("?sources=%73core%2C{}", vec!["score"; 10_000].join(","));
    let answer = outside.ask_for(&often).await;
    assert_eq!(answer.body()["sources"].as_object().unwrap().len(), 1);
    assert_eq!(outside.stub("score").requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn sources_that_are_none_are_a_mistake() {
    let outside = Outside::with(&document([("crm", json!({})), ("billing", json!({}))])).await;
    for query in [
        "?sources=crm,nobody",
        "?sources=",
        "?sources=crm,",
        "?sources=profile",
        "?sources=CRM",
    ] {
        let answer = outside.ask_for(query).await;
        assert_eq!(answer.status(), 422, "{query}: {answer:?}");
        let error = &answer.body()["errors"][0];
        assert_eq!(error["parameter"], "sources", "{query}: {error}");
        assert_eq!(error["code"], "unknown_source", "{query}");
        let detail = error["detail"].as_str().unwrap();
        assert!(detail.contains("billing, crm"), "{detail}");
    }
    assert_eq!(outside.ask_for("?source=crm").await.status(), 422);
    assert_eq!(
        outside
            .ask_for("?sources=crm&sources=billing")
            .await
            .status(),
        422
    );
    assert_eq!(outside.stub("crm").opened(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_is_not_there_is_not_asked_about() {
    let outside = Outside::with_one("crm", json!({})).await;
    for (id, status) in [
        ("019aafb0-0000-7000-8000-000000000000", 404),
        ("nobody", 404),
    ] {
        let answer = outside.place.get(&format!("/profiles/{id}/details")).await;
        assert_eq!(
            (answer.status(), answer.problem()),
            (status, "not-found"),
            "{id}"
        );
    }
    let post = outside
        .place
        .ask("POST", &format!("{}/details", outside.path()), json!({}))
        .await;
    assert_eq!(post.status(), 405);
    assert_eq!(outside.stub("crm").opened(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_must_not_fail_says_so_with_all_the_rest() {
    let outside = Outside::with(&document([
        ("crm", json!({ "required": true, "stale_if_error_s": 60 })),
        ("billing", json!({})),
    ]))
    .await;
    outside.stub("billing").does([json!({ "tariff": "pro" })]);
    outside.stub("crm").does([Behaviour::Resets]);
    let answer = outside.ask().await;
    assert_eq!((answer.status(), answer.problem()), (502, "source-failed"));
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.body();
    assert!(
        body["detail"]
            .as_str()
            .unwrap()
            .starts_with("crm is required"),
        "{body}"
    );
    assert_eq!(how(&body["sources"]["crm"]), "error broken_off");
    assert_eq!(body["profile"]["name"], "Ada");
    assert_eq!(
        body["merged"]["tariff"],
        json!({ "value": "pro", "source": "billing" })
    );
    assert_eq!(
        outside.ask_for("?sources=billing").await.status(),
        200,
        "it was not asked"
    );

    outside
        .stub("crm")
        .does([Reply::from(json!({})), Reply::status(500)]);
    assert_eq!(outside.ask().await.status(), 200);
    assert_eq!(outside.ask().await.status(), 200, "what is stale serves");
}

#[tokio::test(start_paused = true)]
async fn the_answer_holds_as_long_as_its_shortest_part() {
    let outside = Outside::with(&document([
        ("crm", json!({ "cache_s": 300 })),
        ("billing", json!({ "cache_s": 20 })),
        ("score", json!({})),
    ]))
    .await;
    for name in ["crm", "billing", "score"] {
        outside.stub(name).does([json!({})]);
    }
    let cache = async |query| {
        let answer = outside.ask_for(query).await;
        answer.header("cache-control").unwrap().to_owned()
    };
    let of_profile = "private, max-age=60";
    assert_eq!(cache("?sources=crm").await, of_profile);
    assert_eq!(cache("?sources=crm,billing").await, "private, max-age=20");
    assert_eq!(cache("").await, "no-store");
    outside.stub("billing").does([Reply::status(404)]);
    outside.place.pass(MINUTE).await;
    assert_eq!(cache("?sources=crm,billing").await, "no-store");
    assert_eq!(cache("?sources=crm").await, of_profile);
    outside.place.pass(3 * MINUTE).await;
    outside.place.pass(MINUTE / 2).await;
    assert_eq!(cache("?sources=crm").await, "private, max-age=30");
}

#[tokio::test(start_paused = true)]
async fn nor_does_it_outlive_a_sign_up_that_expires() {
    let outside = Outside::with_one("crm", json!({ "cache_s": 86_400 })).await;
    outside.stub("crm").does([json!({})]);
    outside.place.sign_up("bob@example.com").await;
    let bob = outside.place.profile("bob@example.com").await.unwrap();
    outside.place.pass(7 * 24 * 60 * MINUTE - 20 * SECOND).await;
    let path = format!("/profiles/{}/details", bob["id"].as_str().unwrap());
    let answer = outside.place.get(&path).await;
    let holds = answer.header("cache-control").unwrap();
    let seconds: u64 = holds
        .strip_prefix("private, max-age=")
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=20).contains(&seconds), "{holds}");
    outside.place.pass(seconds as u32 * SECOND).await;
    assert_eq!(outside.place.get(&path).await.status(), 404);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_empty_is_none() {
    let secret = json!({ "secret": "muster/crm", "prefix": "Bearer " });
    let source = json!({ "headers": { "Authorization": secret } });
    let outside = Outside::with_one("crm", source).await;
    let secret = ("muster/crm".to_owned(), String::new());
    outside.place.state.lock().parameters.extend([secret]);
    outside.place.pass(MINUTE).await;
    outside.ask().await;
    outside.settle().await;
    assert_eq!(how(&outside.ask_one("crm").await), "error secret_missing");
    assert_eq!(outside.stub("crm").opened(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_source_is_told_what_the_document_says_and_no_more() {
    let source = json!({
        "url": "https://crm.example.com/{id}/{email}/{email_sha256}?plan={attributes.plan}",
        "headers": {
            "Accept-Language": "en",
            "Authorization": { "secret": "muster/crm", "key": "token", "prefix": "Bearer " },
            "X-Key": { "secret": "muster/plain" },
        },
    });
    let document = document([("crm", source)]);
    let outside = Outside::with(&document).await;
    outside.stub("crm").does([json!({})]);
    assert_eq!(how(&outside.ask_one("crm").await), "error secret_missing");
    assert_eq!(outside.stub("crm").opened(), 0, "not without its secret");
    let secrets = [
        ("muster/crm", r#"{"token": "s3cret"}"#),
        ("muster/plain", "key"),
    ];
    let secrets = secrets.map(|(name, value)| (name.to_owned(), value.to_owned()));
    outside.place.state.lock().parameters.extend(secrets);
    outside.place.pass(MINUTE).await;
    outside.ask().await;

    let request = json!({
        "method": "GET",
        "path": format!("{}/details", outside.path()),
        "body": null,
        "headers": {
            "authorization": "Bearer of-the-caller",
            "cookie": "session=of-the-caller",
            "user-agent": "of-the-caller",
            "accept-language": "fr",
            "x-forwarded-for": "192.0.2.1",
            "traceparent": "00-of-the-caller",
        },
    });
    assert_eq!(outside.place.request(request).await.status(), 200);
    let asked = outside.stub("crm").requests().pop().unwrap();
    let id = outside.profile["id"].as_str().unwrap();
    let hash = hex(&Sha256::digest("ada@example.com"));
    let line = format!("GET /{id}/ada%40example.com/{hash}?plan=a%20b HTTP/1.1");
    assert_eq!(asked.line, line);
    let headers: Vec<_> = asked
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let agent = concat!("muster/", env!("CARGO_PKG_VERSION"));
    let expected = [
        ("accept", "application/json"),
        ("accept-encoding", "identity"),
        ("accept-language", "en"),
        ("authorization", "Bearer s3cret"),
        ("host", "crm.example.com"),
        ("user-agent", agent),
        ("x-key", "key"),
    ];
    assert_eq!(headers, expected);
}

#[tokio::test(start_paused = true)]
async fn who_knows_too_little_does_not_ask() {
    let outside = Outside::with_one(
        "crm",
        json!({ "url": "https://crm.example.com/{attributes.plan}/{attributes.customer}" }),
    )
    .await;
    outside.stub("crm").does([json!({})]);
    assert_eq!(
        how(&outside.ask_one("crm").await),
        "error attribute_missing"
    );
    for (customer, expected) in [
        ("..", "error attribute_unsuitable"),
        ("a/../b", "error attribute_unsuitable"),
        ("a/b?c#d", "ok -"),
        ("x\u{2028}\u{fe0f}", "ok -"),
    ] {
        outside
            .change(json!({ "attributes": { "customer": customer } }))
            .await;
        assert_eq!(how(&outside.ask_one("crm").await), expected, "{customer}");
    }
    let lines: Vec<_> = outside
        .stub("crm")
        .requests()
        .into_iter()
        .map(|request| request.line)
        .collect();
    assert!(lines[0].contains("/a%2Fb%3Fc%23d "), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_found_cannot_be_reached() {
    let outside = Outside::with_one("nowhere", json!({})).await;
    assert_eq!(how(&outside.ask_one("nowhere").await), "error unreachable");
}

/// The sources that are asked.
async fn names(outside: &Outside) -> Vec<String> {
    let answer = outside.ask().await;
    let sources = answer.body()["sources"].as_object().unwrap();
    sources.keys().cloned().collect()
}

/// A minute after the document is written, and with nothing deployed.
#[tokio::test(start_paused = true)]
async fn a_source_is_added_and_taken_away_by_the_document() {
    let outside = Outside::with_one("crm", json!({})).await;
    outside.place.declare(&document([("billing", json!({}))]));
    assert_eq!(names(&outside).await, ["crm"]);
    outside.place.pass(MINUTE).await;
    assert_eq!(names(&outside).await, ["crm"], "nobody waits for it");
    assert_eq!(names(&outside).await, ["billing"]);

    let mut broken = document([("crm", json!({}))]);
    broken["sources"]["crm"]["url"] = json!("http://169.254.169.254/");
    for text in [broken, json!("no document"), json!({ "sources": [] })] {
        outside.place.declare(&text);
        for _ in 0..3 {
            outside.place.pass(MINUTE).await;
            assert_eq!(names(&outside).await, ["billing"], "{text}");
        }
    }
    outside.place.state.lock().parameters.clear();
    for _ in 0..3 {
        outside.place.pass(MINUTE).await;
        assert_eq!(names(&outside).await, ["billing"]);
    }
    outside.place.declare(&document([("crm", json!({}))]));
    outside.place.pass(MINUTE).await;
    assert_eq!(
        names(&outside).await,
        ["crm"],
        "who has waited long enough reads first"
    );
}

/// An environment sleeps while nobody asks.
#[tokio::test(start_paused = true)]
async fn after_a_pause_the_document_is_read_first() {
    let outside = Outside::with_one("crm", json!({})).await;
    outside.place.declare(&document([("billing", json!({}))]));
    outside.place.pass(2 * MINUTE).await;
    assert_eq!(names(&outside).await, ["billing"]);
}

/// It is asked for what the old document does not have.
#[tokio::test(start_paused = true)]
async fn a_mistake_reads_the_document_too() {
    let outside = Outside::with_one("crm", json!({})).await;
    outside.stub("billing").does([json!({})]);
    outside.place.declare(&document([("billing", json!({}))]));
    outside.place.pass(MINUTE).await;
    assert_eq!(outside.ask_for("?sources=billing").await.status(), 422);
    assert_eq!(outside.ask_for("?sources=billing").await.status(), 200);
}

/// The environment starts, and says so; and is of use as soon as there is a document.
#[tokio::test(start_paused = true)]
async fn without_a_document_there_are_no_details() {
    let outside = Outside::with(&json!({ "sources": [] })).await;
    let answer = outside.ask().await;
    assert_eq!((answer.status(), answer.problem()), (503, "unavailable"));
    outside.place.declare(&document([("crm", json!({}))]));
    outside.place.pass(Duration::from_secs(1)).await;
    assert_eq!(names(&outside).await, ["crm"]);
}

#[tokio::test(start_paused = true)]
async fn a_document_that_takes_long_keeps_nobody_beyond_the_deadline() {
    let mut one = document([("crm", json!({}))]);
    one["deadline_ms"] = json!(500);
    let outside = Outside::with(&one).await;
    outside.stub("crm").does([json!({})]);
    outside.place.declare(&document([("billing", json!({}))]));
    outside.place.pass(MINUTE).await;
    // After the one for the profile.
    outside.fail([1], Fault::TimeoutBefore);
    let (answer, took) = outside.timed().await;
    assert_eq!(how(&answer.body()["sources"]["crm"]), "ok -");
    let last = outside.place.calls().pop().unwrap();
    assert_eq!(last.operation, "Ssm.GetParameter");
    assert_eq!(took, Duration::from_millis(500));

    // It goes on, beside the next requests.
    let reads = || {
        outside
            .place
            .calls()
            .iter()
            .filter(|call| call.operation == last.operation)
            .count()
    };
    let before = reads();
    for _ in 0..10 {
        outside.ask().await;
    }
    assert_eq!(names(&outside).await, ["billing"]);
    assert_eq!(reads(), before + 1, "the second try of the same call");
}

/// Half of the time, so that there is some for the sources.
#[tokio::test(start_paused = true)]
async fn a_document_that_must_be_read_first_takes_half_of_the_time() {
    let mut document = document([("crm", json!({}))]);
    document["deadline_ms"] = json!(500);
    let outside = Outside::with(&document).await;
    outside.stub("crm").does([json!({})]);
    outside.place.pass(2 * MINUTE).await;
    outside.fail([0], Fault::TimeoutBefore);
    let (answer, took) = outside.timed().await;
    assert_eq!(how(&answer.body()["sources"]["crm"]), "ok -");
    assert_eq!(
        took,
        Duration::from_millis(500),
        "it is read beside the sources, too"
    );
}

fn with_secret() -> Value {
    let secret = json!({ "secret": "muster/crm" });
    document([("crm", json!({ "headers": { "Authorization": secret } }))])
}

/// What the source was sent last.
async fn sent(outside: &Outside) -> String {
    outside.ask().await;
    let asked = outside.stub("crm").requests().pop();
    asked.map_or("nothing".to_owned(), |asked| {
        asked.headers["authorization"].clone()
    })
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_rotated() {
    let outside = Outside::with(&with_secret()).await;
    outside.stub("crm").does([json!({})]);
    let set = |value: Option<&str>| {
        let mut state = outside.place.state.lock();
        let name = "muster/crm".to_owned();
        match value {
            Some(value) => state.parameters.insert(name, value.to_owned()),
            None => state.parameters.remove(&name),
        };
    };
    let pass = || outside.place.pass(2 * MINUTE);
    set(Some("one"));
    pass().await;
    assert_eq!(sent(&outside).await, "one");
    set(Some("two"));
    pass().await;
    assert_eq!(sent(&outside).await, "two");

    outside.place.declare(&json!("no document"));
    set(Some("three"));
    pass().await;
    assert_eq!(sent(&outside).await, "three", "whatever the document is");

    outside.place.declare(&with_secret());
    // After the call for the document, and as often as that for the secret is tried.
    outside.fail([1, 2, 3], Fault::ServerError);
    pass().await;
    assert_eq!(sent(&outside).await, "three", "as it was before");

    set(None);
    pass().await;
    let asked = outside.stub("crm").requests().len();
    assert_eq!(how(&outside.ask_one("crm").await), "error secret_missing");
    assert_eq!(
        outside.stub("crm").requests().len(),
        asked,
        "what was taken away is gone"
    );
}

/// Lambda takes 6 MB, in which every quotation mark counts twice.
#[tokio::test(start_paused = true)]
async fn what_is_too_much_for_one_answer_costs_the_longest() {
    const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    let source = |name| {
        (
            name,
            json!({ "max_bytes": 262_144, "required": name == "c" }),
        )
    };
    let outside = Outside::with(&document(NAMES.map(source))).await;
    for name in NAMES {
        let count = match name {
            "b" => 21_500,
            "c" => 21_600,
            _ => 21_000,
        };
        let fields = (0..count).map(|n| (format!("{name}{n}"), json!(1)));
        outside.stub(name).does([Value::Object(fields.collect())]);
    }
    let answer = outside.ask().await;
    let text = answer.body().to_string();
    let length = text.len() + text.matches('"').count();
    assert!(length < 6_291_556, "{length}");
    for name in NAMES {
        let expected = if name == "b" { "error no_room" } else { "ok -" };
        assert_eq!(how(&answer.body()["sources"][name]), expected, "{name}");
    }
}
