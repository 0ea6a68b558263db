//! What sources said is kept for a while, and serves when nothing newer is to be had.

use std::time::Duration;

use futures_util::future::join;
use muster_simulation::invariants::text;
use muster_simulation::sources::{Behaviour, Reply, Stub};
use serde_json::{Value, json};

use crate::outside::{Outside, document, how};

const SECOND: Duration = Duration::from_secs(1);

/// How many items of the table are what sources said.
fn kept(outside: &Outside) -> usize {
    let items = outside.place.items();
    let cached = items
        .iter()
        .filter(|item| text(item, "sk").starts_with("CACHE#"));
    cached.count()
}

fn pro() -> Reply {
    Reply::from(json!({ "plan": "pro" }))
}

/// What the last request asked for on condition.
fn condition(stub: &Stub) -> Option<String> {
    let request = stub.requests().pop().unwrap();
    request.headers.get("if-none-match").cloned()
}

#[tokio::test(start_paused = true)]
async fn an_answer_lives_as_long_as_it_may() {
    let outside = Outside::with_one("crm", json!({ "cache_s": 60 })).await;
    let crm = outside.stub("crm");
    crm.does([json!({ "plan": "pro" }), json!({ "plan": "free" })]);
    outside.ask().await;
    outside.place.pass(59 * SECOND).await;
    let answer = outside.ask().await;
    let seen = &answer.body()["sources"]["crm"];
    let expected =
        json!({ "status": "ok", "latency_ms": 0, "age_s": 59, "data": { "plan": "pro" } });
    assert_eq!(seen, &expected);
    assert_eq!(answer.header("cache-control"), Some("private, max-age=1"));
    assert_eq!((crm.requests().len(), kept(&outside)), (1, 1));
    outside.place.pass(SECOND).await;
    let seen = outside.ask_one("crm").await;
    assert_eq!(
        (&seen["data"]["plan"], &seen["age_s"]),
        (&json!("free"), &json!(0))
    );
    assert_eq!((crm.requests().len(), kept(&outside)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_to_be_kept_is_not() {
    let outside = Outside::with_one("crm", json!({})).await;
    outside.stub("crm").does([pro()]);
    outside.ask().await;
    outside.ask().await;
    assert_eq!(
        (outside.stub("crm").requests().len(), kept(&outside)),
        (2, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_not_kept() {
    let outside = Outside::with_one("crm", json!({ "cache_s": 60 })).await;
    outside.stub("crm").does([Reply::status(404), pro()]);
    assert_eq!(how(&outside.ask_one("crm").await), "error not_found");
    assert_eq!(kept(&outside), 0);
    assert_eq!(how(&outside.ask_one("crm").await), "ok -");
}

#[tokio::test(start_paused = true)]
async fn a_source_is_asked_whether_it_knows_better() {
    let outside =
        Outside::with_one("crm", json!({ "cache_s": 60, "stale_if_error_s": 3600 })).await;
    let crm = outside.stub("crm");
    crm.does([
        pro().with("etag", "W/\"one\""),
        Reply::status(304),
        Reply::from(json!({ "plan": "free" })).with("etag", "\"two\""),
        pro(),
    ]);
    outside.ask().await;
    assert_eq!(condition(&crm), None);
    outside.place.pass(60 * SECOND).await;
    let seen = outside.ask_one("crm").await;
    assert_eq!(condition(&crm).as_deref(), Some("W/\"one\""));
    let expected =
        json!({ "status": "ok", "latency_ms": 0, "age_s": 0, "data": { "plan": "pro" } });
    assert_eq!(seen, expected, "as it was, and new");
    outside.place.pass(59 * SECOND).await;
    outside.ask().await;
    assert_eq!(crm.requests().len(), 2, "for as long as a new one");
    outside.place.pass(SECOND).await;
    let seen = outside.ask_one("crm").await;
    assert_eq!(
        condition(&crm).as_deref(),
        Some("W/\"one\""),
        "its version is kept"
    );
    assert_eq!(seen["data"]["plan"], "free");
    outside.place.pass(60 * SECOND).await;
    outside.ask().await;
    assert_eq!(condition(&crm).as_deref(), Some("\"two\""));
    outside.place.pass(60 * SECOND).await;
    outside.ask().await;
    assert_eq!(condition(&crm), None, "the last answer had none");
}

#[tokio::test(start_paused = true)]
async fn what_was_said_before_serves_for_a_while() {
    let packed = Reply::text("{}").with("content-encoding", "gzip");
    let troubles: [(Behaviour, &str); 5] = [
        (Behaviour::Hangs, "stale timeout"),
        (Behaviour::Resets, "stale broken_off"),
        (Reply::status(500).into(), "stale bad_status"),
        (Reply::text("<html>").into(), "stale not_json"),
        (packed.into(), "stale compressed"),
    ];
    for (trouble, expected) in troubles {
        let source = json!({ "cache_s": 60, "stale_if_error_s": 240, "timeout_ms": 100 });
        let mut document = document([("crm", source)]);
        document["precedence"] = json!(["crm"]);
        let outside = Outside::with(&document).await;
        let crm = outside.stub("crm");
        crm.does([pro().with("connection", "close")]);
        outside.ask().await;
        crm.does([trouble]);
        outside.place.pass(299 * SECOND).await;
        let answer = outside.ask().await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let seen = &answer.body()["sources"]["crm"];
        assert_eq!(how(seen), expected);
        assert_eq!(
            (&seen["data"]["plan"], &seen["age_s"]),
            (&json!("pro"), &json!(299))
        );
        let plan = json!({ "value": "pro", "source": "crm" });
        assert_eq!(answer.body()["merged"]["plan"], plan);
        outside.place.pass(SECOND).await;
        let seen = outside.ask_one("crm").await;
        assert_eq!(
            how(&seen),
            expected
                .replace("stale timeout", "timeout timeout")
                .replace("stale", "error")
        );
        assert_eq!(seen["data"], Value::Null);
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_is_covered_too() {
    let outside = Outside::with_one("crm", json!({ "stale_if_error_s": 3600 })).await;
    let crm = outside.stub("crm");
    crm.does([pro(), Reply::status(503).with("retry-after", "60")]);
    outside.ask().await;
    assert_eq!(how(&outside.ask_one("crm").await), "stale bad_status");
    let seen = outside.ask_one("crm").await;
    assert_eq!(how(&seen), "stale open_circuit");
    assert_eq!(
        (&seen["data"]["plan"], crm.requests().len()),
        (&json!("pro"), 2)
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_question_is_none_to_this_one() {
    let source = json!({
        "cache_s": 60,
        "stale_if_error_s": 60,
        "url": "https://crm.example.com/plans?of={attributes.plan}",
    });
    let outside = Outside::with_one("crm", source.clone()).await;
    let crm = outside.stub("crm");
    crm.does([pro().with("etag", "\"1\"")]);
    outside.ask().await;
    outside
        .change(json!({ "attributes": { "plan": "other" } }))
        .await;
    outside.ask().await;
    assert_eq!(
        (crm.requests().len(), condition(&crm)),
        (2, None),
        "another person, so to say"
    );
    crm.does([Reply::status(500)]);
    outside
        .change(json!({ "attributes": { "plan": "third" } }))
        .await;
    assert_eq!(
        how(&outside.ask_one("crm").await),
        "error bad_status",
        "nor when it fails"
    );

    let mut document = document([("crm", source)]);
    document["sources"]["crm"]["keep"] = json!("/plan");
    outside.place.declare(&document);
    crm.does([pro()]);
    outside.place.pass(60 * SECOND).await;
    outside.ask().await;
    outside
        .change(json!({ "attributes": { "plan": "other" } }))
        .await;
    let seen = outside.ask_one("crm").await;
    assert_eq!(seen["data"], "pro", "another part of it");
}

#[tokio::test(start_paused = true)]
async fn another_header_asks_another_question() {
    let secret = |name: &str| json!({ "secret": name, "prefix": "Bearer " });
    let tenants = [
        json!("a"),
        json!("b"),
        secret("muster/a"),
        secret("muster/b"),
    ];
    let with = |tenant: &Value| {
        let headers = json!({ "X-Tenant": tenant });
        document([("crm", json!({ "cache_s": 3600, "headers": headers }))])
    };
    let outside = Outside::with(&with(&tenants[0])).await;
    let secrets = ["muster/a", "muster/b"].map(|name| (name.to_owned(), "s3cret".to_owned()));
    outside.place.state.lock().parameters.extend(secrets);
    let crm = outside.stub("crm");
    crm.does([pro()]);
    for (count, tenant) in (1..).zip(&tenants) {
        outside.place.declare(&with(tenant));
        outside.place.pass(60 * SECOND).await;
        outside.ask().await;
        outside.settle().await;
        outside.ask().await;
        assert_eq!(crm.requests().len(), count, "{tenant}");
    }
}

/// Time-to-live may take what was kept between the two.
#[tokio::test(start_paused = true)]
async fn nothing_new_is_no_answer_to_who_knows_nothing() {
    let outside = Outside::with_one("crm", json!({ "stale_if_error_s": 60 })).await;
    let crm = outside.stub("crm");
    crm.does([
        pro().with("etag", "\"1\""),
        Reply::status(304).after(100),
        pro(),
    ]);
    outside.ask().await;
    let late = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let pk = format!("PROFILE#{}", outside.profile["id"].as_str().unwrap());
        outside.place.state.lock().dynamodb.remove(&pk, "CACHE#crm");
        outside.ask_one("crm").await
    };
    let (first, second) = join(outside.ask_one("crm"), late).await;
    assert_eq!(first["data"]["plan"], "pro");
    assert_eq!(second["data"]["plan"], "pro", "{second}");
}

#[tokio::test(start_paused = true)]
async fn each_person_has_their_own() {
    let source = json!({ "cache_s": 60, "url": "https://crm.example.com/plans" });
    let outside = Outside::with_one("crm", source).await;
    let crm = outside.stub("crm");
    crm.does([json!({ "whose": "Ada" }), json!({ "whose": "Bob" })]);
    outside.ask().await;
    let bob = json!({ "email": "bob@example.com", "name": "Bob" });
    let bob = outside.place.ask("POST", "/profiles", bob).await;
    let path = format!("/profiles/{}/details", bob.body()["id"].as_str().unwrap());
    let seen = outside.place.get(&path).await;
    assert_eq!(seen.body()["sources"]["crm"]["data"]["whose"], "Bob");
    assert_eq!(outside.ask_one("crm").await["data"]["whose"], "Ada");
    assert_eq!((crm.requests().len(), kept(&outside)), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_back_of_who_is_erased() {
    let outside = Outside::with_one("crm", json!({ "cache_s": 60, "stale_if_error_s": 60 })).await;
    outside.stub("crm").does([pro()]);
    outside.ask().await;
    assert_eq!(kept(&outside), 1);
    outside.place.pass(60 * SECOND).await;
    outside.stub("crm").does([pro().after(100)]);
    let erasing = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        outside
            .place
            .ask("DELETE", &outside.path(), Value::Null)
            .await
    };
    let (last, erased) = join(outside.ask(), erasing).await;
    assert_eq!((last.status(), erased.status()), (200, 204));
    assert_eq!(kept(&outside), 0, "the answer came after the erasure");
    let answer = outside.ask().await;
    assert_eq!((answer.status(), answer.problem()), (404, "not-found"));
    assert_eq!(outside.stub("crm").requests().len(), 2, "nobody is asked");
}

#[tokio::test(start_paused = true)]
async fn time_to_live_takes_what_is_of_no_use() {
    let outside = Outside::with_one("crm", json!({ "cache_s": 60, "stale_if_error_s": 60 })).await;
    outside.stub("crm").does([pro()]);
    outside.ask().await;
    outside.place.pass(119 * SECOND).await;
    assert_eq!(outside.place.expired().len(), 0);
    outside.place.pass(SECOND).await;
    let expired = outside.place.expired();
    assert_eq!((expired.len(), expired[0].1.as_str()), (1, "CACHE#crm"));
}

/// What a source says of the person now, nothing replaces; and if that is nothing, what it
/// said is forgotten.
#[tokio::test(start_paused = true)]
async fn an_answer_is_an_answer() {
    for (status, expected, left) in [
        (204, "error no_content", 0),
        (404, "error not_found", 0),
        (410, "error bad_status", 0),
        (401, "error bad_status", 1),
        (403, "error bad_status", 1),
        (302, "error bad_status", 1),
        (429, "stale bad_status", 1),
        (503, "stale bad_status", 1),
    ] {
        let source = json!({ "cache_s": 60, "stale_if_error_s": 240 });
        let outside = Outside::with_one("crm", source).await;
        outside.stub("crm").does([pro(), Reply::status(status)]);
        outside.ask().await;
        outside.place.pass(60 * SECOND).await;
        assert_eq!(how(&outside.ask_one("crm").await), expected, "{status}");
        assert_eq!(kept(&outside), left, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_body_is_an_answer_too() {
    let source = json!({ "cache_s": 60, "stale_if_error_s": 240 });
    let outside = Outside::with_one("crm", source).await;
    let crm = outside.stub("crm");
    crm.does([pro(), Reply::text(""), Reply::status(500)]);
    outside.ask().await;
    outside.place.pass(60 * SECOND).await;
    assert_eq!(how(&outside.ask_one("crm").await), "error no_content");
    assert_eq!(kept(&outside), 0);
    assert_eq!(how(&outside.ask_one("crm").await), "error bad_status");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_true_any_more_is_forgotten() {
    let source = json!({ "cache_s": 60, "stale_if_error_s": 240, "max_bytes": 1_000 });
    let outside = Outside::with_one("crm", source).await;
    // Written out, they are longer than that.
    let numbers = format!("[{}0]", "1e15,".repeat(100));
    let replies = [pro(), Reply::text(numbers), Reply::status(500)];
    outside.stub("crm").does(replies);
    outside.ask().await;
    outside.place.pass(60 * SECOND).await;
    assert_eq!(how(&outside.ask_one("crm").await), "ok -");
    assert_eq!(how(&outside.ask_one("crm").await), "error bad_status");
}

/// The table reads as much as it has time for, and leaves the rest.
#[tokio::test(start_paused = true)]
async fn what_the_table_leaves_is_asked_for_again() {
    let names = ["a", "b", "c", "d", "e"];
    let outside = Outside::with(&document(
        names.map(|name| (name, json!({ "cache_s": 60 }))),
    ))
    .await;
    for name in names {
        outside.stub(name).does([pro()]);
    }
    outside.ask().await;
    outside.place.state.lock().reads_at_once = 2;
    outside.place.calls();
    let answer = outside.ask().await;
    for name in names {
        assert_eq!(how(&answer.body()["sources"][name]), "ok -");
        assert_eq!(outside.stub(name).requests().len(), 1, "{name} is cached");
    }
    let calls = outside.place.calls().into_iter();
    let calls: Vec<_> = calls.map(|call| call.operation).collect();
    assert_eq!(calls, ["DynamoDb.BatchGetItem"; 3]);

    outside.place.state.lock().reads_at_once = 0;
    let answer = outside.ask().await;
    assert_eq!((answer.status(), answer.problem()), (503, "unavailable"));
}

/// Whose answers are not kept, they are not looked for.
#[tokio::test(start_paused = true)]
async fn nothing_is_read_of_who_keeps_nothing() {
    let outside = Outside::with(&document([
        ("crm", json!({ "cache_s": 60 })),
        ("billing", json!({})),
    ]))
    .await;
    outside.place.state.lock().reads_at_once = 2;
    outside.place.calls();
    outside.ask().await;
    let calls = outside.place.calls();
    assert_eq!(calls.len(), 1, "the profile and one more: {calls:?}");
}

/// An item takes 400 KB, a transaction 4 MB.
#[tokio::test(start_paused = true)]
async fn nobody_says_so_much_that_others_are_not_kept() {
    let huge = "e".repeat(30_000);
    let names: Vec<_> = (0..20).map(|n| format!("grows-{n}")).collect();
    let source = json!({ "cache_s": 60, "max_bytes": 75_010 });
    let mut sources = vec![
        ("crm", json!({ "cache_s": 60 })),
        ("version", source.clone()),
    ];
    sources.extend(names.iter().map(|name| (name.as_str(), source.clone())));
    let outside = Outside::with(&document(sources)).await;
    outside.stub("crm").does([pro()]);
    outside.stub("version").does([pro().with("etag", &huge)]);
    for name in &names {
        // It is written out as 1000000000000000.0.
        let numbers = format!("[{}0]", "1e15,".repeat(15_000));
        outside.stub(name).does([Reply::text(numbers)]);
    }
    outside.ask().await;
    assert_eq!(kept(&outside), 2);
    outside.place.pass(60 * SECOND).await;
    outside.ask().await;
    assert_eq!(
        condition(&outside.stub("version")),
        None,
        "it is not sent back"
    );
}

/// A transaction takes 4 MB.
#[tokio::test(start_paused = true)]
async fn as_much_as_sources_usually_may_say_can_be_kept() {
    const MOST: usize = 65_536;
    let names: Vec<_> = (0..32).map(|n| format!("source-{n}")).collect();
    let sources = names
        .iter()
        .map(|name| (name.as_str(), json!({ "cache_s": 60 })));
    let outside = Outside::with(&document(sources)).await;
    for name in &names {
        let much = json!("x".repeat(MOST - 2)).to_string();
        outside.stub(name).does([Reply::text(much)]);
    }
    outside.ask().await;
    assert_eq!(kept(&outside), names.len());
    outside.ask().await;
    assert_eq!(outside.stub("source-31").requests().len(), 1);
}
