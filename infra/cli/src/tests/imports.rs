//! `muster imports`

use serde_json::{Value, json};

use super::Api;
use super::import::{import, with};
use super::s3::S3;
use crate::exit_status::ExitStatus;

fn running() -> Value {
    let progress = json!({ "percent": 25.4, "rows_per_second": 1500.5, "seconds_left": 61 });
    with(import("running", 1500, 3), "progress", progress)
}

#[tokio::test]
async fn imports_are_listed_as_many_as_are_wanted() {
    let page = |count: usize, next: Value| {
        let items = vec![import("completed", 2000, 0); count];
        (200, json!({ "items": items, "next_cursor": next }))
    };
    let api = Api::that_says([
        page(1, json!("more")),
        page(100, json!("a+b")),
        page(30, json!("c")),
        page(0, Value::Null),
    ])
    .await;
    let outcome = api.run("imports list --limit 1").await;
    let expected = "\
ID  STATUS     ROWS   CREATED  UPDATED  SKIPPED  FAILED  SINCE                     BY       FILE
i   completed  2,000  2,000    0        0        0       2026-11-24T08:00:00.000Z  console  people.csv
There are more: --limit lists as many as you like.
";
    assert_eq!(outcome.shown, expected);
    let outcome = api.run("imports list --limit 130 --output json").await;
    let shown: Value = serde_json::from_str(&outcome.shown).unwrap();
    assert_eq!(shown["items"].as_array().unwrap().len(), 130);
    assert_eq!(shown["next_cursor"], "c");
    let outcome = api.run("imports list").await;
    assert_eq!(outcome.shown, "There are no imports.\n");
    assert_eq!(
        api.asked(),
        [
            "GET /imports?limit=1 t ",
            "GET /imports?limit=100 t ",
            "GET /imports?limit=30&cursor=a%2Bb t ",
            "GET /imports?limit=20 t ",
        ]
    );
}

#[tokio::test]
async fn a_dry_run_is_marked_and_a_file_without_a_name_has_its_key() {
    let options = json!({ "on_conflict": "skip", "confirm": "skip", "dry_run": true });
    let dry = with(import("completed_with_errors", 1997, 3), "options", options);
    let dry = with(dry, "file_name", json!("a\u{1b}[2J.csv"));
    let dropped = with(import("running", 0, 0), "file_name", Value::Null);
    let dropped = with(dropped, "started_by", Value::Null);
    let items = json!({ "items": [dry.clone(), dropped], "next_cursor": null });
    let api = Api::that_says([(200, items), (200, dry.clone()), (202, dry)]).await;
    let expected = "\
ID  STATUS                           ROWS   CREATED  UPDATED  SKIPPED  FAILED  SINCE                     BY       FILE
i   completed_with_errors (dry run)  2,000  1,997    0        0        3       2026-11-24T08:00:00.000Z  console  a\u{fffd}[2J.csv
i   running                          2,000  0        0        0        0       2026-11-24T08:00:00.000Z  -        uploads/_/i.csv
";
    assert_eq!(api.run("imports list").await.shown, expected);
    let shown = api.run("imports show i").await.shown;
    assert!(shown.contains("\nstatus        completed_with_errors (dry run)\n"));
    let shown = api.run("imports cancel i").await.shown;
    assert!(shown.starts_with("completed with errors (dry run)  "));
}

#[tokio::test]
async fn one_import_is_shown_whole() {
    let failed = json!([{
        "number": 7, "first_line": 120_001,
        "reason": { "code": "gave_up", "detail": "it failed five times\u{1b}[31m" },
    }]);
    let chunks = json!({ "total": 12, "done": 3, "failed": failed });
    let api = Api::that_says([(200, with(running(), "chunks", chunks)), (200, running())]).await;
    let outcome = api.run("imports show a/b").await;
    let expected = "\
id            i
status        running
reason        -
file name     people.csv
file          s3://uploads/uploads/_/i.csv
size          22 B
on conflict   skip
confirm       skip
dry run       false
start         automatic
rows          2,000
created       1,500
updated       0
skipped       0
failed        3
chunks        12
done          3
progress      25%, 1,500 rows/s, 1m 1s left
report        -
created at    2026-11-24T08:00:00.000Z
started by    console
started at    -
completed at  -
failed chunk  7, from line 120001: gave_up: it failed five times\u{fffd}[31m
";
    assert_eq!(outcome.shown, expected);
    let outcome = api.run("imports show i --output json").await;
    let shown: Value = serde_json::from_str(&outcome.shown).unwrap();
    assert_eq!(shown, running());
    assert_eq!(api.asked(), ["GET /imports/a%2Fb t ", "GET /imports/i t "]);
}

#[tokio::test]
async fn an_import_is_followed_by_its_id() {
    let reason = json!({ "code": "not_text", "detail": "no UTF-8" });
    for (last, expected) in [
        (import("completed", 2000, 0), Ok(ExitStatus::Done)),
        (
            import("completed_with_errors", 1997, 3),
            Ok(ExitStatus::RowsRefused),
        ),
        (
            with(import("failed", 0, 0), "reason", reason),
            Err("the import failed: not_text: no UTF-8"),
        ),
    ] {
        let status = format!("status        {}\n", last["status"].as_str().unwrap());
        let api = Api::that_says([(200, running()), (200, last)]).await;
        let outcome = api.run("imports show i --follow").await;
        assert!(outcome.shown.contains(&status), "{}", outcome.shown);
        assert!(outcome.aside.starts_with("running  25%  "));
        match expected {
            Ok(status) => assert_eq!(outcome.result.unwrap(), status),
            Err(text) => assert!(outcome.trouble().starts_with(text)),
        }
    }
}

#[tokio::test]
async fn imports_are_started_cancelled_and_resumed() {
    for (command, status, asked) in [
        ("start i", "queued", "POST /imports/i/start t "),
        ("cancel i", "cancelling", "POST /imports/i/cancel t "),
        ("resume i", "queued", "POST /imports/i/resume t "),
        (
            "resume i --chunk 7 --chunk 9",
            "queued",
            r#"POST /imports/i/resume t {"chunks":[7,9]}"#,
        ),
    ] {
        let answer = (202, import(status, 0, 0));
        let api = Api::that_says([answer.clone(), answer]).await;
        let outcome = api.run(&format!("imports {command}")).await;
        assert_eq!(outcome.shown, format!("{status}\n"));
        assert_eq!(outcome.result.unwrap(), ExitStatus::Done);
        let outcome = api.run(&format!("imports {command} --output json")).await;
        let shown: Value = serde_json::from_str(&outcome.shown).unwrap();
        assert_eq!(shown, import(status, 0, 0));
        assert_eq!(api.asked(), [asked, asked]);
    }
}

#[tokio::test]
async fn what_an_import_does_not_allow_is_said() {
    let conflict = (409, json!({ "detail": "it is completed" }));
    let absent = (404, json!({ "detail": "there is nothing with this id" }));
    let api = Api::that_says([conflict, absent.clone(), absent]).await;
    let trouble = api.run("imports cancel i").await.trouble();
    let expected = "the API says 409 Conflict: it is completed\nLook where it is: muster imports";
    assert!(trouble.starts_with(expected), "{trouble}");
    let trouble = api.run("imports show x").await.trouble();
    assert!(trouble.contains("muster imports list"), "{trouble}");
    let trouble = api.run("imports show x --follow").await.trouble();
    assert!(!trouble.contains("goes on"), "{trouble}");
}

#[tokio::test]
async fn the_refused_rows_can_be_fetched_later() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("rows.csv");
    let s3 = S3::that_says([(200, "rows"), (200, "rows")]).await;
    let api = Api::that_says([(200, s3.report()), (200, s3.report())]).await;
    let command = format!("imports errors i --report {}", path.display());
    let outcome = api.run(&command).await;
    assert_eq!(outcome.shown, format!("{}\n", path.display()));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "rows");
    let outcome = api.run(&format!("{command} --force --output json")).await;
    let shown: Value = serde_json::from_str(&outcome.shown).unwrap();
    assert_eq!(shown, json!({ "report": path.display().to_string() }));
}
