//! `muster sources`: a document in a file, and sources on ports of their own.

use std::fs::write;

use clap::Parser;
use muster_core::platform::settings::Variables;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::{Api, BROKEN, Outcome, SILENT};
use crate::arguments::{Access, Arguments, Command};
use crate::console::Console;
use crate::exit_status::ExitStatus;
use crate::sources;

/// Checks a document, given as it is or as JSON. The environment has neither an API
/// nor AWS in it.
async fn check(document: impl AsRef<[u8]>, options: &str) -> Outcome {
    check_with(document, options, &[]).await
}

/// The same, where the environment has this in it.
async fn check_with(
    document: impl AsRef<[u8]>,
    options: &str,
    environment: &[(&str, &str)],
) -> Outcome {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("sources.json");
    write(&path, document).unwrap();
    let words = ["muster", "sources", "check", path.to_str().unwrap()];
    let words = words.into_iter().chain(options.split_whitespace());
    let arguments = Arguments::try_parse_from(words).unwrap();
    let Command::Sources(command) = arguments.command else {
        panic!("another command");
    };
    let variables = Variables::from_fn(|name| {
        let found = environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    });
    let (mut output, mut aside) = (Vec::new(), Vec::new());
    let mut console = Console::new(&mut output, &mut aside);
    let result = sources::run(command, variables, arguments.output, &mut console).await;
    Outcome {
        shown: String::from_utf8(output).unwrap(),
        aside: String::from_utf8(aside).unwrap(),
        result: result.map(|()| ExitStatus::Done),
    }
}

/// A document of these sources, each with its URL and its time.
fn document(sources: &[(&str, String, u64)]) -> String {
    let sources = sources.iter().map(|(name, url, timeout)| {
        let source = json!({ "url": url, "timeout_ms": timeout });
        ((*name).to_owned(), source)
    });
    let sources: Map<_, _> = sources.collect();
    json!({ "deadline_ms": 25_000, "sources": sources }).to_string()
}

/// What was shown of each source, without how long it took.
fn without_latency(shown: &str) -> Value {
    let mut shown: Value = serde_json::from_str(shown).unwrap();
    for source in shown["sources"].as_array_mut().unwrap() {
        let latency = source.as_object_mut().unwrap().remove("latency_ms");
        assert!(latency.unwrap().is_u64());
    }
    shown
}

#[tokio::test]
async fn each_fault_is_shown_with_its_place_its_code_and_what_would_do() {
    let document = r#"{"deadline_ms": 1, "sources": {"crm": {"url": "http://crm.example.com"}}}"#;
    let outcome = check(document, "").await;
    let expected = "\
POINTER           CODE            DETAIL
/deadline_ms      out_of_range    this must be a whole number from 100 to 25000
/sources/crm/url  scheme_refused  a source is asked over https
";
    assert_eq!(outcome.shown, expected);
    let trouble = outcome.trouble();
    assert!(
        trouble.contains("sources.json breaks 2 rules\nMend all"),
        "{trouble}"
    );
    assert!(trouble.ends_with("--local allows http, and sources on this machine."));

    let outcome = check(document, "--local --output json").await;
    let expected = json!({ "errors": [{
        "pointer": "/deadline_ms", "code": "out_of_range",
        "detail": "this must be a whole number from 100 to 25000",
    }] });
    let shown: Value = serde_json::from_str(&outcome.shown).unwrap();
    assert_eq!(shown, expected);
    let trouble = outcome.trouble();
    assert!(trouble.contains("breaks 1 rule\n"), "{trouble}");
    assert!(!trouble.contains("--local"), "{trouble}");
}

#[tokio::test]
async fn a_document_that_cannot_be_read_is_said_to_be_so() {
    for (document, expected) in [
        (&b""[..], "sources.json is empty\n"),
        (b" \n", "sources.json is empty\n"),
        (b"{\"sources\": \xff}", "sources.json is not UTF-8: "),
        (b"{\"sources\": ", "sources.json breaks 1 rule\n"),
    ] {
        let trouble = check(document, "").await.trouble();
        assert!(trouble.contains(expected), "{trouble}");
    }
    let outcome = check("[\n}", "").await;
    assert!(
        outcome.shown.contains("\n\"\"       malformed  "),
        "{}",
        outcome.shown
    );
    assert!(
        outcome.shown.contains("line 2 column 1"),
        "{}",
        outcome.shown
    );
    let long = format!("{}{{}}", " ".repeat(8 * 1024));
    let outcome = check(long, "").await;
    let expected = "document_too_long  a document has at most 8192 bytes\n";
    assert!(outcome.shown.ends_with(expected), "{}", outcome.shown);
}

/// As `muster` is run: the command comes to it without an API.
#[tokio::test]
async fn neither_a_file_nor_an_api_is_taken_for_granted() {
    let api = Api::that_says([]).await;
    let nothing = Access {
        api_url: None,
        token: None,
        ..api.access()
    };
    let outcome = api.run_as(nothing, "sources check nowhere.json", None);
    let trouble = outcome.await.trouble();
    let expected = "nowhere.json cannot be read: ";
    assert!(trouble.starts_with(expected), "{trouble}");
    assert!(
        trouble.ends_with("\nCheck its name and its permissions."),
        "{trouble}"
    );
}

#[tokio::test]
async fn what_the_document_says_is_shown_and_nobody_asked_if_that_is_all() {
    let api = Api::that_says([]).await;
    let document = json!({ "deadline_ms": 900, "sources": {
        "crm": { "url": api.url, "timeout_ms": 800, "required": true },
        "billing": { "url": api.url, "headers": { "Authorization": { "secret": "muster/billing" } } },
    } });
    let document = document.to_string();
    let outcome = check(&document, "--local --no-try").await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::Done);
    let expected = "\
The document is valid: 2 sources, all asked at once, within 900 ms.
SOURCE   TIMEOUT  REQUIRED
billing  900 ms   false
crm      800 ms   true
";
    assert_eq!(outcome.shown, expected);
    let outcome = check(&document, "--local --no-try --output json").await;
    let shown: Value = serde_json::from_str(&outcome.shown).unwrap();
    let expected = json!({ "deadline_ms": 900, "sources": [
        { "name": "billing", "timeout_ms": 900, "required": false },
        { "name": "crm", "timeout_ms": 800, "required": true },
    ] });
    assert_eq!(shown, expected);
    assert_eq!(api.asked(), [""; 0]);

    let outcome = check("{}", "").await;
    outcome.result.unwrap();
    let expected = "The document is valid: 0 sources, all asked at once, within 3000 ms.\n";
    assert_eq!(outcome.shown, expected);
}

#[tokio::test]
async fn each_source_is_asked_about_the_sample_person_and_only_names_are_shown() {
    let crm = Api::that_says([(200, json!({ "plan": "pro", "\u{1b}[1m": "Lovelace" }))]).await;
    let billing = Api::that_says([(200, json!([1, 2]))]).await;
    let url = |api: &Api, rest: &str| format!("{}{rest}", api.url);
    let document = document(&[
        (
            "crm",
            url(&crm, "/{email}/{attributes.team}?id={id}"),
            20_000,
        ),
        ("billing", url(&billing, "/{email_sha256}"), 10_000),
    ]);
    let outcome = check(&document, "--local --attribute team=r=d").await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::Done);
    let lines: Vec<_> = outcome.shown.lines().collect();
    assert!(lines[0].starts_with("The document is valid: 2 sources"));
    let cells = |line: &str| {
        let cells = line
            .split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty());
        let mut cells: Vec<_> = cells.map(str::to_owned).collect();
        cells.remove(4);
        cells
    };
    let titles = ["SOURCE", "TIMEOUT", "REQUIRED", "STATUS", "KEPT", "PROBLEM"];
    assert_eq!(cells(lines[1]), titles);
    let expected = ["billing", "10000 ms", "false", "ok", "2 items", "-"];
    assert_eq!(cells(lines[2]), expected);
    let expected = ["crm", "20000 ms", "false", "ok", "\u{fffd}[1m, plan", "-"];
    assert_eq!(cells(lines[3]), expected);
    assert_eq!(lines.len(), 4);
    assert!(!outcome.shown.contains("Lovelace"), "{}", outcome.shown);
    let id = "01900000-0000-7000-8000-000000000000";
    let expected = format!("GET /ada%40example.com/r%3Dd?id={id}  ");
    assert_eq!(crm.asked(), [expected]);
    let expected = "GET /b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72  ";
    assert_eq!(billing.asked(), [expected], "the SHA-256 of the address");
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_trouble_and_says_why() {
    let crm = Api::that_says([(200, json!({ "data": { "plan": "pro" } }))]).await;
    let broken = Api::that_says([(BROKEN, json!({ "plan": "pro" }))]).await;
    let silent = Api::that_says([(SILENT, Value::Null)]).await;
    let absent = Api::that_says([(404, Value::Null)]).await;
    let document = document(&[
        ("absent", absent.url.clone(), 20_000),
        ("broken", broken.url.clone(), 20_000),
        ("crm", format!("{}/{{email}}/{{id}}", crm.url), 20_000),
        (
            "lacking",
            format!("{}/{{attributes.team}}", crm.url),
            20_000,
        ),
        ("nowhere", "http://127.0.0.1:1".to_owned(), 20_000),
        ("silent", silent.url.clone(), 10),
    ]);
    let id = "019aafb0-0000-7000-8000-000000000000";
    let options = format!("--local --output json --email Eve@Example.com --id {id}");
    let outcome = check(&document, &options).await;
    let failed = |name: &str, timeout: u64, status: &str, code: &str, detail: &str| {
        json!({
            "name": name, "timeout_ms": timeout, "required": false, "status": status,
            "kept": null, "problem": { "code": code, "detail": detail },
        })
    };
    let lacks = "the profile has no attribute \"team\"";
    let expected = json!({ "deadline_ms": 25_000, "sources": [
        failed("absent", 20_000, "error", "not_found", "answers with status 404"),
        failed("broken", 20_000, "error", "broken_off", "the answer broke off"),
        {
            "name": "crm", "timeout_ms": 20_000, "required": false, "status": "ok",
            "kept": ["data"], "problem": null,
        },
        failed("lacking", 20_000, "error", "attribute_missing", lacks),
        failed("nowhere", 20_000, "error", "unreachable", "cannot be reached"),
        failed("silent", 10, "timeout", "timeout", "no answer in time"),
    ] });
    let mut shown = without_latency(&outcome.shown);
    // What the operating system says of it is its own business.
    let causes = ["broken", "nowhere"].map(|name| cause(&mut shown, name));
    assert!(causes[1].contains("Connection refused"), "{causes:?}");
    assert_eq!(shown, expected);
    assert_eq!(crm.asked(), [format!("GET /eve%40example.com/{id}  ")]);
    let trouble = outcome.trouble();
    let expected = "5 of 6 sources did not answer: absent, broken, lacking, nowhere, silent\n";
    assert!(trouble.starts_with(expected), "{trouble}");
}

/// Takes out what is behind the problem of a source.
fn cause(shown: &mut Value, name: &str) -> String {
    let sources = shown["sources"].as_array_mut().unwrap();
    let source = sources.iter_mut().find(|source| source["name"] == name);
    let problem = source.unwrap()["problem"].as_object_mut().unwrap();
    problem
        .remove("cause")
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn secrets_come_from_secrets_manager_and_are_sent_but_never_shown() {
    let crm = Api::that_says([(200, json!({ "plan": "pro" }))]).await;
    let source = json!({
        "url": crm.url,
        "headers": { "Authorization": { "secret": "muster/crm", "key": "token", "prefix": "Bearer " } },
    });
    let document = json!({ "sources": { "crm": source } }).to_string();

    let trouble = check(&document, "--local").await.trouble();
    for expected in [
        "AWS_REGION is not set",
        "AWS_SECRET_ACCESS_KEY is not set",
        "--no-try",
    ] {
        assert!(trouble.contains(expected), "{trouble}");
    }
    assert_eq!(crm.asked(), [""; 0]);

    let secret = json!({ "SecretString": json!({ "token": "s3cret" }).to_string() });
    let denied = json!({ "__type": "AccessDeniedException", "message": "no" });
    let aws = Api::that_says([(200, secret), (400, denied)]).await;
    let environment = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "key"),
        ("AWS_ENDPOINT_URL", aws.url.as_str()),
    ];
    let outcome = check_with(&document, "--local", &environment).await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::Done);
    assert!(!outcome.shown.contains("s3cret"), "{}", outcome.shown);
    assert_eq!(crm.asked(), ["GET / s3cret "]);
    assert!(aws.asked()[0].ends_with(r#"{"SecretId":"muster/crm"}"#));

    let outcome = check_with(&document, "--local", &environment).await;
    let expected = "secret_missing: the secret for its header authorization cannot be read (";
    assert!(outcome.shown.contains(expected), "{}", outcome.shown);
    let cause = "AccessDeniedException";
    assert!(outcome.shown.contains(cause), "{}", outcome.shown);
    let trouble = outcome.trouble();
    assert!(
        trouble.starts_with("1 of 1 source did not answer: crm\n"),
        "{trouble}"
    );
    assert!(
        trouble.contains("aws secretsmanager describe-secret"),
        "{trouble}"
    );
    assert_eq!(crm.asked(), [""; 0]);
}

#[tokio::test]
async fn many_fields_do_not_fill_the_screen() {
    let many: Map<_, _> = (10..30).map(|n| (format!("f{n}"), json!(n))).collect();
    for (answer, expected) in [
        (
            Value::Object(many),
            "f10, f11, f12, f13, f14, f15, f16, f17 and 12 more",
        ),
        (json!({}), "no fields"),
        (json!("Ada"), "a text"),
        (json!(7), "a number"),
        (json!(true), "true or false"),
        (json!(null), "null"),
    ] {
        let api = Api::that_says([(200, Value::String(answer.to_string()))]).await;
        let document = document(&[("crm", api.url.clone(), 20_000)]);
        let outcome = check(document, "--local").await;
        let last = outcome.shown.lines().last().unwrap();
        assert!(last.contains(&format!("  {expected}  ")), "{last}");
    }
}
