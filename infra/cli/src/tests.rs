//! `muster` against an API that says what each test wants it to.

mod import;
mod imports;
mod interruption;
mod reports;
mod s3;
mod sources;

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use clap::{CommandFactory, Parser};
use futures_util::stream::{self, once};
use futures_util::{Stream, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::arguments::{Access, Arguments};
use crate::commands::run;
use crate::console::Console;
use crate::exit_status::ExitStatus;
use crate::interruption::StopSignal;
use crate::report_path::Streams;
use crate::trouble::Trouble;

/// What an API was asked, and what it is to answer.
#[derive(Default)]
struct Script {
    asked: Vec<String>,
    /// What the requests had for an `Idempotency-Key`.
    keys: Vec<String>,
    answers: VecDeque<(u16, String)>,
}

/// Instead of a status: the connection breaks in the middle of the body.
const BROKEN: u16 = 0;
/// Instead of a status: no answer comes.
const SILENT: u16 = 1;

async fn respond(status: u16, body: String) -> Response {
    match status {
        BROKEN => {
            let half = once(async { Ok(body) });
            // What came before has left by then.
            let broken = once(async {
                tokio::task::yield_now().await;
                Err(io::Error::other("broken"))
            });
            Response::new(Body::from_stream(half.chain(broken)))
        }
        SILENT => pending().await,
        status => {
            let response = Response::builder().status(status);
            response.body(Body::from(body)).unwrap()
        }
    }
}

/// An API on a port of its own.
struct Api {
    url: String,
    script: Arc<Mutex<Script>>,
    /// The files behind the standard streams.
    streams: Streams,
}

/// What came of a command.
struct Outcome {
    shown: String,
    aside: String,
    result: Result<ExitStatus, Trouble>,
}

impl Outcome {
    fn trouble(&self) -> String {
        self.result.as_ref().unwrap_err().to_string()
    }
}

/// Says what was asked: `POST /path?query token body`.
async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let header = parts.headers.get("authorization");
    let token = header.map_or("", |value| value.to_str().unwrap());
    let (status, body) = {
        let mut script = script.lock().unwrap();
        script.asked.push(format!(
            "{} {} {} {}",
            parts.method,
            parts.uri,
            token.trim_start_matches("Bearer "),
            String::from_utf8_lossy(&body),
        ));
        let key = parts.headers.get("idempotency-key");
        let key = key.map(|key| key.to_str().unwrap().to_owned());
        script.keys.extend(key);
        script.answers.pop_front().expect("an answer")
    };
    respond(status, body).await
}

impl Api {
    async fn that_says(answers: impl IntoIterator<Item = (u16, Value)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = answers.into_iter().map(|(status, body)| match body {
            Value::String(text) => (status, text),
            json => (status, json.to_string()),
        });
        let script = Arc::new(Mutex::new(Script {
            answers: answers.collect(),
            ..Script::default()
        }));
        let router = Router::new().fallback(answer).with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            url,
            script,
            streams: Streams::default(),
        }
    }

    /// What the environment says does not matter here.
    fn access(&self) -> Access {
        Access {
            api_url: Some(format!("{}/", self.url)),
            token: Some("t".to_owned()),
            token_url: None,
            client_id: None,
            client_secret: None,
            token_cache: Some("".into()),
        }
    }

    /// A client that gets its tokens here, and may have one.
    fn access_of_client(&self, token: Option<&str>) -> Access {
        Access {
            token: token.map(str::to_owned),
            token_url: Some(format!("{}/token", self.url)),
            client_id: Some("id".to_owned()),
            client_secret: Some("secret".to_owned()),
            ..self.access()
        }
    }

    async fn run(&self, command: &str) -> Outcome {
        self.run_as(self.access(), command, None).await
    }

    async fn run_as(&self, access: Access, command: &str, answers: Option<&str>) -> Outcome {
        self.run_until(pending(), access, command, answers).await
    }

    async fn run_until(
        &self,
        interrupted: impl Future<Output = ()>,
        access: Access,
        command: &str,
        answers: Option<&str>,
    ) -> Outcome {
        let signals = Box::pin(once(async {
            interrupted.await;
            StopSignal::Interrupt
        }));
        self.run_with(signals, access, command, answers).await
    }

    /// Does what is typed until the signals say otherwise.
    async fn run_with(
        &self,
        signals: impl Stream<Item = StopSignal> + Unpin,
        access: Access,
        command: &str,
        answers: Option<&str>,
    ) -> Outcome {
        let words = ["muster"].into_iter().chain(command.split(' '));
        let mut arguments = Arguments::try_parse_from(words).unwrap();
        arguments.access = access;
        let (mut output, mut aside) = (Vec::new(), Vec::new());
        let mut answers = answers.map(str::as_bytes);
        let mut console = Console {
            answers: answers.as_mut().map(|answers| answers as _),
            pace: Duration::ZERO,
            streams: self.streams,
            ..Console::new(&mut output, &mut aside)
        };
        let result = run(arguments, &mut console, signals).await;
        Outcome {
            shown: String::from_utf8(output).unwrap(),
            aside: String::from_utf8(aside).unwrap(),
            result,
        }
    }

    /// Returns once it was asked so often.
    async fn is_asked(&self, times: usize) {
        while self.script.lock().unwrap().asked.len() < times {
            tokio::task::yield_now().await;
        }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.script.lock().unwrap().asked)
    }
}

fn queues() -> Value {
    let queue = |name: &str, visible: u64, dead: u64| {
        json!({
            "name": name,
            "carries": "nudges",
            "messages": { "visible": visible, "in_flight": 5, "delayed": 0 },
            "dead_letters": dead,
            "new_field": true,
        })
    };
    json!({ "items": [queue("mail", 3, 0), queue("bulk-mail", 12_000, 7)], "next_cursor": null })
}

fn letter(body: Value) -> Value {
    json!({
        "id": "5f0c7a52",
        "sent_at": "2026-11-24T08:00:00.000Z",
        "age_s": 5400,
        "receive_count": 6,
        "body": body,
        "reason": {
            "code": "unfinished", "detail": "the mail is queued", "status": "queued", "attempts": 2
        },
    })
}

fn list(letters: &[Value], more: bool) -> Value {
    json!({ "items": letters, "more": more, "next_cursor": null })
}

#[tokio::test]
async fn queues_are_shown_in_columns_or_as_they_came() {
    let api = Api::that_says([(200, queues()), (200, queues())]).await;
    let outcome = api.run("queues").await;
    outcome.result.unwrap();
    let expected = "\
QUEUE      VISIBLE  IN FLIGHT  DELAYED  DEAD LETTERS  CARRIES
mail       3        5          0        0             nudges
bulk-mail  12000    5          0        7             nudges
";
    assert_eq!(outcome.shown, expected);
    let outcome = api.run("queues --output json").await;
    let shown: Value = serde_json::from_str(&outcome.shown).unwrap();
    assert_eq!(shown, queues());
    assert_eq!(api.asked(), ["GET /queues t ", "GET /queues t "]);
}

/// What nobody reads any more.
struct BrokenPipe;

impl Write for BrokenPipe {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How a command ends of which nobody reads what it shows, or says aside.
async fn unread(api: &Api, command: &str) -> Result<ExitStatus, Trouble> {
    let words = ["muster"].into_iter().chain(command.split(' '));
    let mut arguments = Arguments::try_parse_from(words).unwrap();
    arguments.access = api.access();
    let (mut output, mut aside) = (BrokenPipe, BrokenPipe);
    let mut console = Console {
        pace: Duration::ZERO,
        ..Console::new(&mut output, &mut aside)
    };
    run(arguments, &mut console, stream::pending()).await
}

#[tokio::test]
async fn a_reader_that_has_read_enough_ends_nothing() {
    for command in ["queues", "queues --output json"] {
        let api = Api::that_says([(200, queues())]).await;
        assert_eq!(unread(&api, command).await.unwrap(), ExitStatus::Done);
    }
    let gone = json!({ "purged": 0, "remaining": 0, "not_found": ["a"] });
    let api = Api::that_says([(200, gone)]).await;
    let trouble = unread(&api, "dead-letters purge mail a --yes").await;
    assert_eq!(trouble.unwrap_err().what, "not found: a");
}

#[tokio::test]
async fn dead_letters_are_listed_with_their_reasons() {
    let letters = [letter(json!({ "mail": 1 })), letter(json!("x"))];
    let empty = list(&[], false);
    let api = Api::that_says([(200, list(&letters, true)), (200, empty)]).await;
    let outcome = api.run("dead-letters list mail --limit 2").await;
    let expected = "\
ID        AGE     RECEIVES  REASON      DETAIL
5f0c7a52  1h 30m  6         unfinished  the mail is queued
5f0c7a52  1h 30m  6         unfinished  the mail is queued
There may be more: --limit lists up to 100.
";
    assert_eq!(outcome.shown, expected);
    let outcome = api.run("dead-letters list chunk").await;
    assert_eq!(outcome.shown, "There are no dead letters.\n");
    assert_eq!(
        api.asked(),
        [
            "GET /queues/mail/dead-letters?limit=2 t ",
            "GET /queues/chunk/dead-letters?limit=20 t ",
        ]
    );
}

#[tokio::test]
async fn one_letter_is_shown_whole_and_steers_no_terminal() {
    let hostile = letter(json!("\u{1b}]0;title\u{7}"));
    let api = Api::that_says([(200, hostile.clone()), (200, hostile.clone())]).await;
    let outcome = api.run("dead-letters show mail a/b?c").await;
    let expected = "\
id        5f0c7a52
sent      2026-11-24T08:00:00.000Z
age       1h 30m
receives  6
reason    unfinished
detail    the mail is queued
status    queued
attempts  2
body      \u{fffd}]0;title\u{fffd}
";
    assert_eq!(outcome.shown, expected);
    let outcome = api.run("dead-letters show mail x --output json").await;
    assert!(!outcome.shown.contains('\u{1b}'), "JSON escapes it");
    let shown: Value = serde_json::from_str(&outcome.shown).unwrap();
    assert_eq!(shown, hostile);
    let asked = api.asked();
    assert_eq!(asked[0], "GET /queues/mail/dead-letters/a%2Fb%3Fc t ");
}

#[tokio::test]
async fn named_letters_are_redriven_without_a_question() {
    let done = json!({ "redriven": 2, "remaining": 0, "not_found": [] });
    let api = Api::that_says([(200, done)]).await;
    let outcome = api.run("dead-letters redrive chunk a b").await;
    outcome.result.unwrap();
    assert_eq!(outcome.shown, "2 redriven\n");
    let expected = r#"POST /queues/chunk/dead-letters/redrive t {"ids":["a","b"]}"#;
    assert_eq!(api.asked(), [expected]);
}

#[tokio::test]
async fn all_letters_are_redriven_for_as_long_as_it_gets_on() {
    let answer = |count, remaining| {
        (
            200,
            json!({ "redriven": count, "remaining": remaining, "not_found": [] }),
        )
    };
    let api = Api::that_says([answer(900, 500), answer(500, 0)]).await;
    let outcome = api.run("dead-letters redrive mail --all --yes").await;
    outcome.result.unwrap();
    assert_eq!(outcome.shown, "1400 redriven\n");
    let expected = r#"POST /queues/mail/dead-letters/redrive t {"all":true}"#;
    assert_eq!(api.asked(), [expected, expected]);

    let api = Api::that_says([answer(3, 2), answer(0, 2)]).await;
    let command = "dead-letters redrive mail --all --yes --output json";
    let outcome = api.run(command).await;
    let shown: Value = serde_json::from_str(&outcome.shown).unwrap();
    let expected = json!({ "redriven": 3, "remaining": 2, "not_found": [] });
    assert_eq!(shown, expected);
    assert!(outcome.trouble().starts_with("about 2 remain"));
}

#[tokio::test]
async fn what_cannot_be_undone_is_asked_about_first() {
    let done = json!({ "purged": 1, "remaining": 0, "not_found": [] });
    let api = Api::that_says([(200, done)]).await;
    for command in [
        "dead-letters purge mail a",
        "dead-letters purge mail --all",
        "dead-letters redrive mail --all",
    ] {
        let nobody = api.run(command).await;
        assert!(nobody.trouble().contains("--yes"), "{command}");
        for answer in ["n\n", "\n", "", "yeah\n"] {
            let outcome = api.run_as(api.access(), command, Some(answer)).await;
            assert!(outcome.aside.ends_with("[y/N] "), "{command}");
            assert!(outcome.trouble().starts_with("nothing was done"));
        }
    }
    assert_eq!(api.asked(), [""; 0], "nothing was asked of the API");
    let command = "dead-letters purge mail a";
    let outcome = api.run_as(api.access(), command, Some("y\n")).await;
    outcome.result.unwrap();
    let question = "Purge 1 of the dead letters of mail for good? [y/N] ";
    assert_eq!(outcome.aside, question);
    assert_eq!(outcome.shown, "1 purged\n");
}

#[tokio::test]
async fn letters_that_are_not_there_are_a_failure() {
    let done = json!({ "purged": 1, "remaining": 0, "not_found": ["b", "c"] });
    let api = Api::that_says([(200, done)]).await;
    let outcome = api.run("dead-letters purge mail a b c --yes").await;
    assert_eq!(outcome.shown, "1 purged\n");
    assert!(outcome.trouble().starts_with("not found: b, c\n"));
}

#[tokio::test]
async fn the_mails_of_a_profile_are_found_by_id_or_address() {
    let mail = |number| {
        json!({
            "number": number, "kind": "confirm", "status": "sent", "to": "ada@example.com",
            "attempts": 1, "created_at": "2026-11-24T08:00:00.000Z",
            "sent_at": "2026-11-24T08:00:01.000Z",
        })
    };
    let first = json!({ "items": [mail(2)], "next_cursor": "n+x" });
    let last = json!({ "items": [mail(1)], "next_cursor": null });
    let api = Api::that_says([
        (200, first),
        (200, last),
        (200, json!({ "items": [{ "id": "p" }] })),
        (200, json!({ "items": [] })),
        (200, json!({ "items": [] })),
        (404, json!({ "detail": "there is nothing with this id" })),
    ])
    .await;
    let outcome = api.run("mails p").await;
    let expected = "\
NUMBER  KIND     STATUS  ATTEMPTS  CREATED                   SENT                      TO               REASON
2       confirm  sent    1         2026-11-24T08:00:00.000Z  2026-11-24T08:00:01.000Z  ada@example.com  -
1       confirm  sent    1         2026-11-24T08:00:00.000Z  2026-11-24T08:00:01.000Z  ada@example.com  -
";
    assert_eq!(outcome.shown, expected);
    let outcome = api.run("mails ada+x@example.com").await;
    assert_eq!(outcome.shown, "The profile has no mails.\n");
    let outcome = api.run("mails eve@example.com").await;
    assert!(outcome.trouble().starts_with("no profile has this"));
    let trouble = api.run("mails ada").await.trouble();
    assert!(trouble.ends_with("Give the id of a profile, or its e-mail address."));
    assert_eq!(
        api.asked(),
        [
            "GET /profiles/p/mails t ",
            "GET /profiles/p/mails?cursor=n%2Bx t ",
            "GET /profiles?email=ada%2Bx%40example.com t ",
            "GET /profiles/p/mails t ",
            "GET /profiles?email=eve%40example.com t ",
            "GET /profiles/ada/mails t ",
        ]
    );
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong_and_what_to_do() {
    let invalid = json!({
        "type": "urn:muster:problem:invalid-fields", "title": "Invalid fields", "status": 422,
        "detail": "some fields break a rule; errors names each",
        "errors": [
            { "pointer": "/ids", "code": "invalid_ids", "detail": "a list of 1 to 100 ids" },
            { "parameter": "limit", "code": "invalid_limit", "detail": "a number" },
        ],
    });
    let internal = json!({ "detail": "something is wrong on our side", "request_id": "r-1" });
    for (status, body, expected) in [
        (
            422,
            invalid,
            "the API says 422 Unprocessable Entity: some fields break a rule; errors names each\n  \
             /ids: a list of 1 to 100 ids\n  limit: a number\nmuster --help",
        ),
        (
            401,
            json!({ "message": "Unauthorized" }),
            "the API says 401 Unauthorized: Unauthorized\nThe token has expired",
        ),
        (
            403,
            json!({ "message": "Forbidden" }),
            "the API says 403 Forbidden: Forbidden\nThe token lacks the scope",
        ),
        (
            500,
            internal,
            "the API says 500 Internal Server Error: something is wrong on our side\n  \
             request r-1\nLook for",
        ),
        (
            502,
            json!("<html>"),
            "the API says 502 Bad Gateway: nothing more\nLook for",
        ),
        (
            404,
            json!({ "detail": "there is nothing with this id" }),
            "the API says 404 Not Found: there is nothing with this id\nLook it up: muster queues",
        ),
        (200, json!("<html>"), "the answer cannot be read: "),
    ] {
        let api = Api::that_says(vec![(status, body); 4]).await;
        let trouble = api.run("queues").await.trouble();
        assert!(trouble.starts_with(expected), "{trouble}");
    }
    let nowhere = Access {
        api_url: Some("http://127.0.0.1:1".to_owned()),
        ..Api::that_says([]).await.access()
    };
    let api = Api::that_says([]).await;
    let trouble = api.run_as(nowhere, "queues", None).await.trouble();
    assert!(trouble.starts_with("the API does not answer"), "{trouble}");
}

#[tokio::test]
async fn a_client_gets_a_token_when_there_is_none_or_it_is_refused() {
    let token = (200, json!({ "access_token": "fresh" }));
    let refused = (401, json!({ "message": "Unauthorized" }));
    let credentials = "POST /token Basic aWQ6c2VjcmV0 grant_type=client_credentials";

    let api = Api::that_says([token.clone(), (200, queues())]).await;
    let outcome = api.run_as(api.access_of_client(None), "queues", None).await;
    outcome.result.unwrap();
    assert_eq!(api.asked(), [credentials, "GET /queues fresh "]);

    let api = Api::that_says([refused, token, (200, queues())]).await;
    let outcome = api
        .run_as(api.access_of_client(Some("old")), "queues", None)
        .await;
    outcome.result.unwrap();
    let expected = ["GET /queues old ", credentials, "GET /queues fresh "];
    assert_eq!(api.asked(), expected);

    let api = Api::that_says([(400, json!({ "error": "invalid_client" }))]).await;
    let outcome = api.run_as(api.access_of_client(None), "queues", None).await;
    let trouble = outcome.trouble();
    assert!(trouble.contains("invalid_client"), "{trouble}");
    assert!(trouble.contains("MUSTER_CLIENT_SECRET"), "{trouble}");
}

/// A cache of tokens for one test.
fn kept_in(directory: &TempDir, access: Access) -> Access {
    Access {
        token_cache: Some(directory.path().into()),
        ..access
    }
}

fn token(text: &str) -> (u16, Value) {
    let token = json!({ "access_token": text, "expires_in": 3600, "token_type": "Bearer" });
    (200, token)
}

const CREDENTIALS: &str = "POST /token Basic aWQ6c2VjcmV0 grant_type=client_credentials";

#[tokio::test]
async fn a_token_serves_many_commands_until_it_is_refused() {
    let directory = TempDir::new().unwrap();
    let refused = (401, json!({ "message": "Unauthorized" }));
    let api = Api::that_says([
        token("first"),
        (200, queues()),
        (200, queues()),
        refused.clone(),
        token("second"),
        (200, queues()),
        // Both the one that was given and the one that is kept.
        refused.clone(),
        refused,
        token("third"),
        (200, queues()),
    ])
    .await;
    for given in [None, None, None, Some("old")] {
        let access = kept_in(&directory, api.access_of_client(given));
        let outcome = api.run_as(access, "queues", None).await;
        assert_eq!(outcome.result.unwrap(), ExitStatus::Done);
    }
    assert_eq!(
        api.asked(),
        [
            CREDENTIALS,
            "GET /queues first ",
            "GET /queues first ",
            "GET /queues first ",
            CREDENTIALS,
            "GET /queues second ",
            "GET /queues old ",
            "GET /queues second ",
            CREDENTIALS,
            "GET /queues third ",
        ]
    );
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_is_not_fetched_for_ever() {
    let directory = TempDir::new().unwrap();
    let refused = (401, json!({ "message": "Unauthorized" }));
    let api = Api::that_says([token("fresh"), refused]).await;
    let access = kept_in(&directory, api.access_of_client(None));
    let trouble = api.run_as(access, "queues", None).await.trouble();
    assert!(trouble.starts_with("the API says 401"), "{trouble}");
    assert!(!trouble.contains("fresh"), "{trouble}");
}

#[tokio::test]
async fn commands_at_the_same_time_fetch_one_token() {
    let directory = TempDir::new().unwrap();
    let api = Api::that_says([token("one"), (200, queues()), (200, queues())]).await;
    let command = async || {
        let access = kept_in(&directory, api.access_of_client(None));
        api.run_as(access, "queues", None).await.result.unwrap()
    };
    let both = tokio::join!(command(), command());
    assert_eq!(both, (ExitStatus::Done, ExitStatus::Done));
    let fetched = api.asked().into_iter().filter(|asked| asked == CREDENTIALS);
    assert_eq!(fetched.count(), 1);
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_no_trouble() {
    let api = Api::that_says([token("a"), (200, queues()), token("b"), (200, queues())]).await;
    for directory in ["/proc/muster", "/dev/null/muster"] {
        let access = Access {
            token_cache: Some(directory.into()),
            ..api.access_of_client(None)
        };
        let outcome = api.run_as(access, "queues", None).await;
        assert_eq!(outcome.result.unwrap(), ExitStatus::Done);
        assert_eq!(outcome.aside, "");
    }
}

#[tokio::test]
async fn what_there_was_no_room_for_is_sent_again_where_that_is_safe() {
    let throttled = [(500, json!("")), (503, json!("")), (429, json!(""))];
    for (command, answer) in [
        ("queues", (200, queues())),
        ("dead-letters show mail x", (200, letter(json!("x")))),
        (
            "mails p",
            (200, json!({ "items": [], "next_cursor": null })),
        ),
        ("imports show i", (200, import::import("running", 1, 0))),
        ("imports start i", (202, import::import("queued", 0, 0))),
        (
            "imports cancel i",
            (202, import::import("cancelling", 0, 0)),
        ),
        ("imports resume i", (202, import::import("running", 0, 0))),
    ] {
        let api = Api::that_says(throttled.iter().cloned().chain([answer])).await;
        let outcome = api.run(command).await;
        assert_eq!(outcome.result.unwrap(), ExitStatus::Done, "{command}");
        let asked = api.asked();
        assert_eq!(asked.len(), 4, "{command}");
        assert!(asked.iter().all(|request| *request == asked[0]));
    }
}

#[tokio::test]
async fn what_may_have_been_done_is_not_sent_again() {
    let busy = (429, json!({ "message": "Too Many Requests" }));
    for command in [
        "dead-letters redrive mail a",
        "dead-letters purge mail a --yes",
        "imports resume i --chunk 7",
    ] {
        let api = Api::that_says([busy.clone(), (503, json!("")), (200, json!({}))]).await;
        let trouble = api.run(command).await.trouble();
        assert!(trouble.starts_with("the API says 503"), "{trouble}");
        assert_eq!(api.asked().len(), 2, "{command}");
    }
}

#[tokio::test]
async fn an_api_that_has_no_room_is_given_up() {
    let api = Api::that_says(vec![(500, json!("")); 5]).await;
    let trouble = api.run("queues").await.trouble();
    let expected = "the API says 500 Internal Server Error: nothing more\nTry again in a moment";
    assert!(trouble.starts_with(expected), "{trouble}");
    assert_eq!(api.asked().len(), 4);
}

#[tokio::test]
async fn nobody_to_ask_is_said_before_anything_is_asked() {
    let api = Api::that_says([]).await;
    for (access, expected) in [
        (
            Access {
                api_url: None,
                ..api.access()
            },
            "nobody says where the API is",
        ),
        (
            Access {
                api_url: Some("api.example.com".to_owned()),
                ..api.access()
            },
            "MUSTER_API_URL is no address: api.example.com",
        ),
        (
            Access {
                token: None,
                client_id: Some("id".to_owned()),
                ..api.access()
            },
            "there is no token, and no client to get one with",
        ),
    ] {
        let trouble = api.run_as(access, "queues", None).await.trouble();
        assert!(trouble.starts_with(expected), "{trouble}");
        assert!(trouble.contains("MUSTER_"), "{trouble}");
    }
}

#[test]
fn a_command_that_makes_no_sense_is_refused() {
    for (command, expected) in [
        ("", "Usage: muster"),
        ("dead-letters", "redrive"),
        ("dead-letters redrive", "<QUEUE>"),
        ("dead-letters redrive mail", "<ID>"),
        ("dead-letters purge mail a --all", "cannot be used with"),
        ("dead-letters list mail --limit x", "invalid digit"),
        ("queues --output xml", "[possible values: table, json]"),
        ("mails", "<PROFILE>"),
        ("import", "<FILE>"),
        (
            "import a --on-conflict x",
            "[possible values: skip, update, fail]",
        ),
        (
            "import a --confirm x",
            "[possible values: skip, send, mark-confirmed]",
        ),
        ("import a --no-follow --report b", "cannot be used with"),
        ("import a b", "unexpected argument"),
        ("import a --force", "--report <PATH>"),
        ("imports errors a --force", "--report <PATH>"),
        ("imports", "resume"),
        ("imports show", "<ID>"),
        ("imports list --limit 0", "at least 1"),
        ("imports resume a --chunk x", "invalid digit"),
        ("sources", "check"),
        ("sources check", "<FILE>"),
        ("sources check a --email x", "e-mail address"),
        ("sources check a --id x", "not an id"),
        ("sources check a --attribute x", "name=value"),
        (
            "sources check a --attribute =x",
            "an attribute's name has 1",
        ),
        (
            "sources check a --no-try --attribute a=b",
            "cannot be used with",
        ),
    ] {
        let words = ["muster"].into_iter().chain(command.split_whitespace());
        let error = Arguments::try_parse_from(words).err().unwrap();
        assert_eq!(error.exit_code(), 2, "{command}");
        assert!(error.to_string().contains(expected), "{command}: {error}");
    }
}

#[test]
fn the_help_teaches_and_keeps_secrets() {
    Arguments::command().debug_assert();
    let mut command = Arguments::command();
    let help = command.render_long_help().to_string();
    for word in [
        ". .local/env",
        "MUSTER_CLIENT_SECRET",
        "TokenUrl",
        "queues",
        "dead-letters",
        "mails",
        "imports",
        "imports/write",
        "sources",
        "exit status",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
}
