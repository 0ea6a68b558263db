//! Sources that do badly: each costs the caller what it may, and leaves nothing open.

use std::time::Duration;

use futures_util::future::{join, join_all};
use hyper_rustls::HttpsConnectorBuilder;
use muster_details::sources::circuit_breaker::{FAILURES, OPEN_FOR};
use muster_details::sources::transport::{Transport, through};
use muster_http::tls;
use muster_simulation::faults::Fault;
use muster_simulation::sources::{Behaviour, Network, Reply};
use muster_simulation::state::Latency;
use serde_json::json;

use crate::outside::{Outside, document, how};

const TIMEOUT: u64 = 300;
const GIGABYTES: u64 = 10 << 30;

/// A source, and what comes of it: how, after how many milliseconds, and how many
/// connections are then kept for the next request.
type Case = (&'static str, Behaviour, &'static str, u64, usize);

fn all() -> Vec<Case> {
    let fine = || Reply::from(json!({ "plan": "pro" }));
    let long = json!("x".repeat(100_000)).to_string();
    let head = "x".repeat(1_000_000);
    let known = |name, after| (name, fine().after(after).into(), "ok -", after, 1);
    let slow = |name, behaviour| (name, behaviour, "timeout timeout", TIMEOUT, 0);
    let broken = |name, behaviour| (name, behaviour, "error broken_off", 0, 0);
    let much = |name, behaviour| (name, behaviour, "error too_long", 0, 0);
    let text = |name, text: &str| (name, Reply::text(text).into(), "error not_json", 0, 1);
    let status = |name, status, how| (name, Reply::status(status).into(), how, 0, 1);
    vec![
        known("answers", 0),
        known("delays", TIMEOUT - 1),
        slow("late", fine().after(TIMEOUT + 1).into()),
        slow("hangs-at-connect", Behaviour::HangsAtConnect),
        slow("hangs-in-handshake", Behaviour::HangsInHandshake),
        slow("hangs-before-head", Behaviour::Hangs),
        slow("hangs-in-body", Behaviour::HangsInBody),
        slow("drips", Behaviour::Drips(Duration::from_secs(1))),
        ("refuses", Behaviour::Refuses, "error unreachable", 0, 0),
        broken("resets", Behaviour::Resets),
        broken("cuts-body", Behaviour::CutsBody),
        broken("garbage", Behaviour::TalksGarbage),
        broken("blurts", Behaviour::Blurts(b"SSH-2.0-OpenSSH\r\n")),
        broken("huge-head", fine().with("x-huge", &head).into()),
        much("gigabytes", Behaviour::Floods(Some(GIGABYTES))),
        much("endless", Behaviour::Floods(None)),
        much("long", Reply::text(long).into()),
        text("not-json", "<html>"),
        text("deep", &"[".repeat(60_000)),
        ("nothing", Reply::text("").into(), "error no_content", 0, 1),
        status("status-204", 204, "error no_content"),
        status("status-404", 404, "error not_found"),
        status("status-429", 429, "error bad_status"),
        status("status-500", 500, "error bad_status"),
        status("status-304", 304, "error bad_status"),
    ]
}

/// Sources that do all this, asked at once.
async fn everyone(timeout: u64, deadline: u64) -> Outside {
    let source = |name| (name, json!({ "timeout_ms": timeout }));
    let mut document = document(all().into_iter().map(|(name, ..)| source(name)));
    document["deadline_ms"] = json!(deadline);
    let outside = Outside::with(&document).await;
    for (name, behaviour, ..) in all() {
        outside.stub(name).does([behaviour]);
    }
    outside
}

#[tokio::test(start_paused = true)]
async fn each_costs_what_it_may_and_leaves_nothing_open() {
    let outside = everyone(TIMEOUT, 3_000).await;
    let (answer, took) = outside.timed().await;
    assert_eq!(answer.status(), 200);
    assert_eq!(took, Duration::from_millis(TIMEOUT), "the slowest");
    outside.settle().await;
    for (name, _, expected, latency, open) in all() {
        let source = &answer.body()["sources"][name];
        assert_eq!(how(source), expected, "{name}");
        assert_eq!(source["latency_ms"], latency, "{name}");
        // It could have been a connection that was kept for too long.
        let tries = 1 + usize::from(["resets", "blurts"].contains(&name));
        assert_eq!(outside.stub(name).opened(), tries, "{name}");
        assert_eq!(outside.stub(name).open(), open, "{name}");
    }
    outside.place.pass(Duration::from_secs(120)).await;
    outside.settle().await;
    assert_eq!(outside.network.open(), 0, "idle ones are not kept for ever");
}

/// What a source may send instead of an answer, again and again or once.
#[tokio::test(start_paused = true)]
async fn no_message_is_too_odd() {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    const TRAILER: &str =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx: ";
    const EXTENSION: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x=";
    let again = |head, piece: &str| {
        let millisecond = Duration::from_millis(1);
        Behaviour::Repeats(head, piece.to_owned(), millisecond)
    };
    let much = "x".repeat(4096);
    let says = |head: &str, body: &str| Behaviour::Says(format!("HTTP/1.1 {head}\r\n\r\n{body}"));
    let with = |header: &str, body: &str| says(&format!("200 OK\r\n{header}"), body);
    let chunked = |body: &str| with("transfer-encoding: chunked", body);
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
    let (slow, broken) = ("timeout timeout", "error broken_off");
    let (status, text, fine) = ("error bad_status", "error not_json", "ok -");
    let cases = [
        ("hints", again("", hint), slow),
        (
            "continues",
            again("", "HTTP/1.1 100 Continue\r\n\r\n"),
            slow,
        ),
        ("lines", again("", "\r\n"), slow),
        ("status-line", again("HTTP/1.1 200 ", &much), broken),
        ("header", again("HTTP/1.1 200 OK\r\nx: ", &much), broken),
        ("headers", again("HTTP/1.1 200 OK\r\n", "x: y\r\n"), slow),
        ("extension", again(EXTENSION, &much), broken),
        (
            "extensions",
            again(CHUNKED, &format!("1;x={}\r\n \r\n", &much[..200])),
            broken,
        ),
        ("trailer", again(TRAILER, &much), broken),
        ("trailers", again(TRAILER, "y\r\nx: "), broken),
        (
            "hint",
            Behaviour::Says(format!(
                "{hint}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{{}}"
            )),
            fine,
        ),
        (
            "switches",
            says(
                "101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade",
                "",
            ),
            status,
        ),
        ("empty", says("204 No Content", ""), "error no_content"),
        (
            "reset",
            says("205 Reset Content\r\ncontent-length: 0", ""),
            "error no_content",
        ),
        (
            "blank",
            with("content-length: 2", "\r\n"),
            "error no_content",
        ),
        ("chunks-none", chunked("0\r\n\r\n"), "error no_content"),
        (
            "part",
            says("206 Partial Content\r\ncontent-length: 2", "{}"),
            status,
        ),
        (
            "no-status",
            says("000 None\r\ncontent-length: 2", "{}"),
            broken,
        ),
        ("length-none", with("content-length: -1", "{}"), broken),
        (
            "length-much",
            with("content-length: 99999999999999999999", "{}"),
            broken,
        ),
        (
            "length-two",
            with("content-length: 2\r\ncontent-length: 3", "{} "),
            broken,
        ),
        ("chunk-much", chunked("1ffffffffffffffff\r\n{}"), broken),
        ("chunk-long", chunked("ffffffffffffffff\r\n{}"), slow),
        (
            "identity",
            with("content-encoding: identity\r\ncontent-length: 2", "{}"),
            fine,
        ),
        ("text", with("content-length: 6", "<html>"), text),
    ];
    let sources = cases
        .iter()
        .map(|(name, ..)| (*name, json!({ "timeout_ms": TIMEOUT })));
    let outside = Outside::with(&document(sources)).await;
    for (name, behaviour, _) in &cases {
        outside.stub(name).does([behaviour.clone()]);
    }
    let (answer, took) = outside.timed().await;
    assert_eq!(took, Duration::from_millis(TIMEOUT));
    outside.settle().await;
    for (name, _, expected) in &cases {
        assert_eq!(how(&answer.body()["sources"][name]), *expected, "{name}");
        let is_whole = ![slow, broken].contains(expected) && *name != "switches";
        assert_eq!(outside.stub(name).open(), usize::from(is_whole), "{name}");
        // A buffer of ours, and one of the network's.
        let sent = outside.stub(name).sent();
        assert!(sent < 128 * 1024, "{name}: {sent}");
    }
}

/// It is asked for its answer as it is, and nothing here unpacks: a few bytes that unpack to
/// gigabytes are no danger.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_compressed_is_said_to_be_so() {
    let packed = Reply::text([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    let coded = |coding: &str| packed.clone().with("content-encoding", coding);
    let cases = [
        ("gzip", coded("gzip"), "(gzip)"),
        ("upper", coded("X-GZIP"), "(gzip)"),
        ("deflate", coded("deflate"), "(deflate)"),
        ("brotli", coded("br"), "(br)"),
        ("zstandard", coded("zstd"), "(zstd)"),
        ("twice", coded("identity, gzip"), "(gzip)"),
        ("other", coded("hunter2"), "(an encoding of its own)"),
        ("silent", packed, "(gzip)"),
    ];
    let sources = cases.iter().map(|(name, ..)| (*name, json!({})));
    let outside = Outside::with(&document(sources)).await;
    for (name, reply, _) in &cases {
        outside.stub(name).does([reply.clone()]);
    }
    let answer = outside.ask().await;
    for (name, _, coding) in &cases {
        let source = &answer.body()["sources"][name];
        assert_eq!(how(source), "error compressed", "{name}");
        let detail = source["problem"]["detail"].as_str().unwrap();
        assert!(detail.contains(coding), "{name}: {detail}");
    }
}

/// Else a source could answer what is asked of it about the next person.
#[tokio::test(start_paused = true)]
async fn what_comes_unasked_answers_nothing() {
    let outside = Outside::with_one("crm", json!({})).await;
    let crm = outside.stub("crm");
    let reply = |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{body}");
    let two = Behaviour::Says(reply("\"1\"") + &reply("\"2\""));
    crm.does([two, json!("3").into()]);
    assert_eq!(outside.ask_one("crm").await["data"], "1");
    assert_eq!(outside.ask_one("crm").await["data"], "3");
    assert_eq!(crm.opened(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_text_is_json_or_it_is_not() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let not_json = "error not_json";
    let cases = [
        ("mark", "\u{feff}{}".to_owned(), "ok -"),
        ("marks", "\u{feff}\u{feff}{}".to_owned(), not_json),
        ("mark-alone", "\u{feff}".to_owned(), "error no_content"),
        ("nan", "NaN".to_owned(), not_json),
        ("infinity", "1e999".to_owned(), not_json),
        ("surrogate", r#""\ud800""#.to_owned(), "ok -"),
        ("zero-byte", "{}\0".to_owned(), not_json),
        ("two", "{}{}".to_owned(), not_json),
        ("null", "null".to_owned(), "ok -"),
        ("twice", r#"{"a": 1, "a": 2}"#.to_owned(), "ok -"),
        ("deep", nested(60), "ok -"),
        ("deeper", nested(61), "error too_deep"),
        ("deepest", nested(128), not_json),
    ];
    let sources = cases.iter().map(|(name, ..)| (*name, json!({})));
    let outside = Outside::with(&document(sources)).await;
    for (name, text, _) in &cases {
        outside.stub(name).does([Reply::text(text.as_str())]);
    }
    let answer = outside.ask().await;
    for (name, _, expected) in &cases {
        assert_eq!(how(&answer.body()["sources"][name]), *expected, "{name}");
    }
}

/// A program that cuts texts by UTF-16 units cuts emojis. One name that is cut must not cost
/// the whole answer.
#[tokio::test(start_paused = true)]
async fn half_a_surrogate_is_a_replacement_character() {
    let outside = Outside::with_one("crm", json!({})).await;
    let text = r#"{"name": "Ada \ud83d", "\uDE00x": "\ud83d\ude00", "path": "C:\\ud800"}"#;
    outside.stub("crm").does([Reply::text(text)]);
    let expected = json!({ "name": "Ada \u{fffd}", "\u{fffd}x": "😀", "path": "C:\\ud800" });
    assert_eq!(outside.ask_one("crm").await["data"], expected);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_json_is_told_with_its_place() {
    let outside = Outside::with_one("crm", json!({})).await;
    let utf_16: Vec<u8> = [0xff, 0xfe, b'{', 0, b'}', 0].into();
    for (reply, expected) in [
        (Reply::text("{\n hunter2}"), "line 2 column 2"),
        (Reply::text(*b"\"\xff\""), "line 1 column 2"),
        (Reply::text(utf_16), "UTF-16"),
    ] {
        outside.stub("crm").does([reply]);
        let source = outside.ask_one("crm").await;
        assert_eq!(how(&source), "error not_json");
        let detail = source["problem"]["detail"].as_str().unwrap();
        assert!(detail.contains(expected), "{detail}");
        assert!(!detail.contains("hunter2"), "{detail}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_flood_little_is_taken() {
    let outside = everyone(TIMEOUT, 3_000).await;
    outside.ask().await;
    outside.settle().await;
    for name in ["gigabytes", "endless"] {
        let sent = outside.stub(name).sent();
        assert!(sent < 512 * 1024, "{name}: {sent}");
    }
}

/// The table takes its time, too, so at the deadline nobody's own time is over.
#[tokio::test(start_paused = true)]
async fn the_deadline_holds_whatever_sources_do() {
    let outside = everyone(TIMEOUT, TIMEOUT).await;
    outside.place.state.lock().latency = Latency::Drawn;
    let (answer, took) = outside.timed().await;
    assert_eq!(answer.status(), 200);
    assert_eq!(took, Duration::from_millis(TIMEOUT));
    assert_eq!(
        how(&answer.body()["sources"]["hangs-in-body"]),
        "timeout timeout"
    );
    assert_eq!(how(&answer.body()["sources"]["answers"]), "ok -");
    outside.settle().await;
    let kept: usize = all().iter().map(|(.., open)| open).sum();
    // The one that answers in the last moment has no time for it.
    assert_eq!(outside.network.open(), kept - 1);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_while_answers_are_kept() {
    let mut document = document([
        ("crm", json!({ "cache_s": 60 })),
        ("hangs", json!({ "timeout_ms": TIMEOUT })),
    ]);
    document["deadline_ms"] = json!(TIMEOUT);
    document["sources"]["crm"]["timeout_ms"] = json!(TIMEOUT);
    let outside = Outside::with(&document).await;
    outside.stub("crm").does([json!({ "plan": "pro" })]);
    outside.stub("hangs").does([Behaviour::Hangs]);
    outside.place.state.lock().latency = Latency::Drawn;
    let (answer, took) = outside.timed().await;
    assert_eq!(answer.status(), 200);
    assert!(took < Duration::from_millis(TIMEOUT), "{took:?}");
    let last = outside.place.calls().pop().unwrap();
    assert_eq!(
        last.operation, "DynamoDb.TransactWriteItems",
        "in spite of the other"
    );

    outside.place.pass(Duration::from_secs(60)).await;
    outside.place.state.lock().latency = Latency::Off;
    outside.fail([2], Fault::TimeoutBefore);
    let (answer, took) = outside.timed().await;
    assert_eq!(how(&answer.body()["sources"]["crm"]), "ok -");
    assert_eq!(took, Duration::from_millis(TIMEOUT));
}

#[tokio::test(start_paused = true)]
async fn sources_are_asked_at_once() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let outside = Outside::with(&document(names.map(|name| (name, json!({}))))).await;
    for (name, delay) in names.iter().zip((20..).step_by(20)) {
        outside
            .stub(name)
            .does([Reply::from(json!({})).after(delay)]);
    }
    let (_, took) = outside.timed().await;
    assert_eq!(took, Duration::from_millis(160), "the slowest, not the sum");
}

fn over_tls(network: Network) -> Transport {
    let https = HttpsConnectorBuilder::new().with_tls_config(tls::client_config().unwrap());
    through(https.https_only().enable_http1().wrap_connector(network))
}

#[tokio::test(start_paused = true)]
async fn a_handshake_may_hang_or_fail() {
    let sources = ["hangs-in-handshake", "no-tls", "hangs-at-connect"];
    let sources = sources.map(|name| (name, json!({ "timeout_ms": TIMEOUT })));
    let outside = Outside::over(&document(sources), over_tls).await;
    outside
        .stub("hangs-in-handshake")
        .does([Behaviour::HangsInHandshake]);
    outside
        .stub("no-tls")
        .does([Behaviour::Blurts(b"HTTP/1.1 400 Bad Request\r\n\r\n")]);
    outside
        .stub("hangs-at-connect")
        .does([Behaviour::HangsAtConnect]);
    let (answer, took) = outside.timed().await;
    let sources = &answer.body()["sources"];
    assert_eq!(how(&sources["hangs-in-handshake"]), "timeout timeout");
    assert_eq!(how(&sources["no-tls"]), "error unreachable");
    assert_eq!(how(&sources["hangs-at-connect"]), "timeout timeout");
    assert_eq!(took, Duration::from_millis(TIMEOUT));
    outside.settle().await;
    assert_eq!(outside.network.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_led_on() {
    let outside = Outside::with_one("crm", json!({})).await;
    let elsewhere = outside.stub("elsewhere");
    elsewhere.does([json!({ "plan": "pro" })]);
    for status in [301, 302, 303, 307, 308] {
        let location = "https://elsewhere.example.com/";
        let reply = Reply::status(status).with("location", location);
        outside.stub("crm").does([reply]);
        let seen = outside.ask_one("crm").await;
        assert_eq!(how(&seen), "error bad_status", "{status}");
    }
    assert_eq!(elsewhere.opened(), 0);
    assert_eq!(outside.stub("crm").requests().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_slow_source_is_asked_twice_if_that_is_wanted() {
    let outside = Outside::with_one("crm", json!({ "hedge_after_ms": 100 })).await;
    let crm = outside.stub("crm");
    crm.does([Reply::from(json!({ "try": 1 })).after(99)]);
    assert_eq!(outside.ask_one("crm").await["latency_ms"], 99);
    assert_eq!(crm.requests().len(), 1, "not yet");

    let slow = |number: u64, after| Reply::from(json!({ "try": number })).after(after);
    crm.does([slow(1, 500), slow(2, 50)]);
    let seen = outside.ask_one("crm").await;
    assert_eq!(
        (&seen["data"]["try"], &seen["latency_ms"]),
        (&json!(2), &json!(150))
    );
    outside.settle().await;
    assert_eq!(
        (crm.requests().len(), crm.open()),
        (3, 1),
        "the slow one is closed"
    );

    crm.does([slow(1, 200), slow(2, 500)]);
    let seen = outside.ask_one("crm").await;
    assert_eq!(
        (&seen["data"]["try"], &seen["latency_ms"]),
        (&json!(1), &json!(200))
    );
    outside.settle().await;
    assert_eq!(
        (crm.requests().len(), crm.open()),
        (5, 1),
        "the second is closed"
    );
}

#[tokio::test(start_paused = true)]
async fn of_two_tries_one_may_fail() {
    let hedged = json!({ "hedge_after_ms": 100, "timeout_ms": 1_000 });
    let outside = Outside::with_one("crm", hedged).await;
    let crm = outside.stub("crm");
    let (bad, good) = (|| Reply::status(500), || Reply::from(json!({})));
    crm.does([good().after(300), bad()]);
    let seen = outside.ask_one("crm").await;
    assert_eq!(
        (how(&seen), &seen["latency_ms"]),
        ("ok -".into(), &json!(300))
    );
    crm.does([bad().after(200), good().after(300)]);
    let seen = outside.ask_one("crm").await;
    assert_eq!(
        (how(&seen), &seen["latency_ms"]),
        ("ok -".into(), &json!(400))
    );
    crm.does([Behaviour::Hangs]);
    let seen = outside.ask_one("crm").await;
    assert_eq!(
        (how(&seen), &seen["latency_ms"]),
        ("timeout timeout".into(), &json!(1_000))
    );
    outside.settle().await;
    assert_eq!(crm.open(), 0, "both are closed");
}

#[tokio::test(start_paused = true)]
async fn that_there_is_nothing_is_an_answer_too() {
    let outside = Outside::with_one("crm", json!({ "hedge_after_ms": 100 })).await;
    let crm = outside.stub("crm");
    crm.does([Reply::status(404).after(150).into(), Behaviour::Hangs]);
    let seen = outside.ask_one("crm").await;
    assert_eq!(
        (how(&seen), &seen["latency_ms"]),
        ("error not_found".into(), &json!(150))
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_comes_at_once_is_not_tried_again() {
    let outside = Outside::with_one("crm", json!({ "hedge_after_ms": 100 })).await;
    outside.stub("crm").does([Reply::status(500)]);
    assert_eq!(how(&outside.ask_one("crm").await), "error bad_status");
    assert_eq!(outside.stub("crm").requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_who_ask_the_same_at_once_make_one_request() {
    let outside = Outside::with_one("crm", json!({})).await;
    let crm = outside.stub("crm");
    crm.does([Reply::from(json!({ "plan": "pro" })).after(50)]);
    let late = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        outside.ask_one("crm").await
    };
    let (first, second) = join(outside.ask_one("crm"), late).await;
    assert_eq!(first["data"], second["data"]);
    assert_eq!(
        (&first["latency_ms"], &second["latency_ms"]),
        (&json!(50), &json!(30))
    );
    assert_eq!(crm.requests().len(), 1);
    outside.ask().await;
    assert_eq!(crm.requests().len(), 2, "it is no cache");
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_takes_no_answer_from_others_and_leaves_nothing_open() {
    let outside = Outside::with_one("crm", json!({})).await;
    let crm = outside.stub("crm");
    crm.does([Reply::from(json!({})).after(50)]);
    let impatient = tokio::time::timeout(Duration::from_millis(20), outside.ask());
    let (impatient, patient) = join(impatient, outside.ask_one("crm")).await;
    assert!(impatient.is_err());
    assert_eq!((how(&patient), crm.requests().len()), ("ok -".into(), 1));

    crm.does([Behaviour::Hangs]);
    let impatient = tokio::time::timeout(Duration::from_millis(20), outside.ask());
    assert!(impatient.await.is_err());
    outside.settle().await;
    assert_eq!(crm.open(), 0);
}

/// What one source is when it is asked so often, one after the other.
async fn repeatedly(outside: &Outside, times: u32) -> Vec<String> {
    let mut seen = Vec::new();
    for _ in 0..times {
        seen.push(how(&outside.ask_one("crm").await));
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn who_fails_again_and_again_is_left_alone_for_a_while() {
    for (behaviour, expected) in [
        (Behaviour::Hangs, "timeout timeout"),
        (Behaviour::Refuses, "error unreachable"),
        (Behaviour::CutsBody, "error broken_off"),
        (Reply::status(503).into(), "error bad_status"),
        (Reply::status(429).into(), "error bad_status"),
    ] {
        let outside = Outside::with_one("crm", json!({ "timeout_ms": 10 })).await;
        let crm = outside.stub("crm");
        crm.does([behaviour]);
        let failures = FAILURES as usize;
        assert_eq!(
            repeatedly(&outside, FAILURES).await,
            vec![expected; failures]
        );
        let asked = crm.opened();
        let open = vec!["open_circuit open_circuit"; 3];
        assert_eq!(repeatedly(&outside, 3).await, open);
        assert_eq!(crm.opened(), asked, "it is not asked");

        outside.place.pass(OPEN_FOR).await;
        assert_eq!(repeatedly(&outside, 1).await, [expected], "a probe");
        assert_eq!(repeatedly(&outside, 3).await, open);
        crm.does([json!({})]);
        outside.place.pass(OPEN_FOR).await;
        assert_eq!(repeatedly(&outside, 3).await, ["ok -"; 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_counts_once_however_many_wait() {
    let mut document = document([("crm", json!({ "timeout_ms": TIMEOUT }))]);
    document["deadline_ms"] = json!(TIMEOUT);
    let outside = Outside::with(&document).await;
    outside.stub("crm").does([Behaviour::Hangs]);
    // So that it is the deadline that is over.
    outside.place.state.lock().latency = Latency::Drawn;
    let waiting = (0..FAILURES).map(|_| outside.ask());
    join_all(waiting).await;
    assert_eq!(outside.stub("crm").requests().len(), 1);
    outside.place.state.lock().latency = Latency::Off;
    assert_eq!(how(&outside.ask_one("crm").await), "timeout timeout");
}

/// Whose time went by while the table was slow.
#[tokio::test(start_paused = true)]
async fn who_has_no_time_left_is_not_blamed() {
    let mut document = document([("crm", json!({ "timeout_ms": TIMEOUT }))]);
    document["deadline_ms"] = json!(TIMEOUT);
    let outside = Outside::with(&document).await;
    let crm = outside.stub("crm");
    crm.does([Behaviour::Hangs]);
    for _ in 0..=FAILURES {
        outside.fail([0], Fault::TimeoutBefore);
        let (answer, took) = outside.timed().await;
        assert_eq!((answer.status(), answer.problem()), (503, "unavailable"));
        assert_eq!(took, Duration::from_millis(TIMEOUT));
    }
    assert_eq!(crm.opened(), 0);
}

/// The same, and there is a little left.
#[tokio::test(start_paused = true)]
async fn who_has_little_time_left_is_not_blamed() {
    let mut document = document([("crm", json!({ "timeout_ms": 5_000 }))]);
    document["deadline_ms"] = json!(5_000);
    let outside = Outside::with(&document).await;
    let crm = outside.stub("crm");
    crm.does([Behaviour::Hangs]);
    for _ in 0..=FAILURES {
        // A call is tried again after three seconds.
        outside.fail([0], Fault::TimeoutBefore);
        assert_eq!(how(&outside.ask_one("crm").await), "timeout timeout");
    }
    crm.does([json!({})]);
    assert_eq!(how(&outside.ask_one("crm").await), "ok -");
}

/// By the time it is used again, the source may have closed it.
#[tokio::test(start_paused = true)]
async fn a_connection_that_was_kept_too_long_costs_nothing() {
    let outside = Outside::with_one("crm", json!({ "required": true })).await;
    let crm = outside.stub("crm");
    let fine = || Behaviour::from(Reply::from(json!({})));
    crm.does([fine(), Behaviour::Resets, fine()]);
    for _ in 0..2 {
        assert_eq!(how(&outside.ask_one("crm").await), "ok -");
    }
    assert_eq!((crm.opened(), crm.requests().len()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn who_answers_something_else_is_not_in_trouble() {
    for reply in [
        Reply::status(404),
        Reply::status(301),
        Reply::text("<html>"),
    ] {
        let outside = Outside::with_one("crm", json!({})).await;
        outside.stub("crm").does([reply]);
        let seen = repeatedly(&outside, 3 * FAILURES).await;
        assert!(!seen.iter().any(|how| how.starts_with("open")), "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn while_a_probe_is_under_way_nobody_else_asks() {
    let outside = Outside::with(&document([(
        "crm",
        json!({ "timeout_ms": 100, "url": "https://crm.example.com/{attributes.plan}" }),
    )]))
    .await;
    let crm = outside.stub("crm");
    crm.does([Reply::status(500)]);
    repeatedly(&outside, FAILURES).await;
    outside.place.pass(OPEN_FOR).await;
    crm.does([Reply::from(json!({})).after(50)]);
    let probe = outside.ask_one("crm");
    let other = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        // Another question: whoever asks the same waits for the probe's answer.
        let change = json!({ "attributes": { "plan": "other" } });
        outside.change(change).await;
        outside.ask_one("crm").await
    };
    let (probe, other) = join(probe, other).await;
    assert_eq!(
        (how(&probe), how(&other)),
        ("ok -".into(), "open_circuit open_circuit".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_source_says_when_it_wants_to_be_asked_again() {
    let outside = Outside::with_one("crm", json!({})).await;
    let crm = outside.stub("crm");
    let date = "Thu, 01 Jan 2026 00:02:00 GMT";
    for (retry_after, wait) in [("60", 60), (date, 60), ("999999", 3600)] {
        crm.does([Reply::status(503).with("retry-after", retry_after)]);
        let seen = repeatedly(&outside, 2).await;
        assert_eq!(
            seen,
            ["error bad_status", "open_circuit open_circuit"],
            "{retry_after}"
        );
        outside.place.pass(Duration::from_secs(wait - 1)).await;
        assert_eq!(repeatedly(&outside, 1).await, ["open_circuit open_circuit"]);
        crm.does([json!({})]);
        outside.place.pass(Duration::from_secs(1)).await;
        assert_eq!(repeatedly(&outside, 1).await, ["ok -"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_moves_starts_anew() {
    let outside = Outside::with_one("crm", json!({})).await;
    let reply = Reply::status(503).with("retry-after", "3600");
    outside.stub("crm").does([reply]);
    repeatedly(&outside, 1).await;
    outside.stub("new").does([json!({})]);
    let moved = json!({ "url": "https://new.example.com/" });
    outside.place.declare(&document([("crm", moved)]));
    outside.place.pass(Duration::from_secs(60)).await;
    assert_eq!(repeatedly(&outside, 1).await, ["open_circuit open_circuit"]);
    outside.settle().await;
    assert_eq!(repeatedly(&outside, 1).await, ["ok -"]);
}

/// A clock that goes wrong, or a value that says nothing.
#[tokio::test(start_paused = true)]
async fn a_time_that_is_none_keeps_nobody_from_being_left_alone() {
    let past = "Thu, 01 Jan 1970 00:00:00 GMT";
    for retry_after in ["0", past, "-5", "1.5", "soon", "99999999999999999999"] {
        let outside = Outside::with_one("crm", json!({})).await;
        let reply = Reply::status(503).with("retry-after", retry_after);
        outside.stub("crm").does([reply]);
        let seen = repeatedly(&outside, FAILURES + 1).await;
        let open = seen.iter().position(|how| how.starts_with("open"));
        assert_eq!(open, Some(FAILURES as usize), "{retry_after}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_problem_says_names_no_address() {
    let outside = everyone(TIMEOUT, 3_000).await;
    let answer = outside.ask().await;
    let sources = answer.body()["sources"].as_object().unwrap();
    for (name, source) in sources {
        let detail = source["problem"]["detail"].as_str().unwrap_or_default();
        assert!(!detail.contains("example.com"), "{name}: {detail}");
        assert_eq!(source["data"].is_null(), how(source) != "ok -", "{name}");
    }
}
