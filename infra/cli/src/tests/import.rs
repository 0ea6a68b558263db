//! `muster import`: an API, an S3, and a directory with a file.

use std::fs::{create_dir, read_dir, read_to_string, write};
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::s3::S3;
use super::{Api, BROKEN, Outcome, SILENT};
use crate::exit_status::ExitStatus;
use crate::retry::TRIES;

const PEOPLE: &str = "email\nada@example.com\n";

/// An import with so many rows created and failed.
pub(super) fn import(status: &str, created: u64, failed: u64) -> Value {
    json!({
        "id": "i",
        "status": status,
        "reason": null,
        "object": { "bucket": "uploads", "key": "uploads/_/i.csv" },
        "size": 22,
        "options": { "on_conflict": "skip", "confirm": "skip", "dry_run": false },
        "start": "automatic",
        "rows": {
            "total": 2000, "created": created, "updated": 0, "skipped": 0, "failed": failed,
        },
        "chunks": { "total": 1, "done": 0, "failed": [] },
        "progress": null,
        "report": null,
        "file_name": "people.csv",
        "started_by": "console",
        "created_at": "2026-11-24T08:00:00.000Z",
        "started_at": null,
        "completed_at": null,
    })
}

/// The same, and one thing about it is different.
pub(super) fn with(mut import: Value, name: &str, value: Value) -> Value {
    import[name] = value;
    import
}

pub(super) fn created(s3: &S3) -> (u16, Value) {
    let import = import("awaiting_upload", 0, 0);
    (201, with(import, "upload", s3.destination()))
}

pub(super) fn refused_some() -> Value {
    let report = json!({ "bucket": "uploads", "key": "reports/i/errors.csv" });
    with(import("completed_with_errors", 1997, 3), "report", report)
}

/// A directory with people.csv.
pub(super) fn people() -> TempDir {
    let directory = TempDir::new().unwrap();
    write(directory.path().join("people.csv"), PEOPLE).unwrap();
    directory
}

pub(super) fn names(directory: &TempDir) -> Vec<String> {
    let entries = read_dir(directory.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Imports people.csv.
pub(super) async fn run(api: &Api, directory: &TempDir, options: &str) -> Outcome {
    let path = directory.path().join("people.csv");
    let command = format!("import {} {options}", path.display());
    api.run(command.trim_end()).await
}

#[tokio::test]
async fn a_file_is_uploaded_and_its_import_followed_to_the_end() {
    let s3 = S3::that_says([(204, "")]).await;
    let progress = json!({ "percent": 25.4, "rows_per_second": 1500.5, "seconds_left": 61 });
    let api = Api::that_says([
        created(&s3),
        (200, import("queued", 0, 0)),
        (200, with(import("running", 500, 0), "progress", progress)),
        (200, import("running", 1500, 0)),
        (200, import("completed", 2000, 0)),
    ])
    .await;
    let directory = people();
    let outcome = run(&api, &directory, "").await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::Done);
    assert_eq!(
        outcome.shown,
        "completed  2,000 rows: 2,000 created, 0 updated, 0 skipped, 0 failed\n"
    );
    let path = directory.path().join("people.csv");
    let expected = format!(
        "uploading {} (22 B)\n\
         queued\n\
         running  25%  1,500 rows/s  1m 1s left  500 of 2,000 rows: 500 created, 0 updated, \
         0 skipped, 0 failed\n\
         completed  2,000 rows: 2,000 created, 0 updated, 0 skipped, 0 failed\n",
        path.display()
    );
    assert_eq!(outcome.aside, expected, "a line when the status changes");
    assert_eq!(names(&directory), ["people.csv"]);
    let asked = api.asked();
    assert!(asked[0].starts_with("POST /imports t {"), "{asked:?}");
    assert_eq!(asked[1..], ["GET /imports/i t "; 4]);
}

#[tokio::test]
async fn s3_gets_what_it_was_promised_and_no_token() {
    let s3 = S3::that_says([(204, "")]).await;
    let api = Api::that_says([created(&s3)]).await;
    run(&api, &people(), "--no-follow").await.result.unwrap();
    let got = s3.got().remove(0);
    assert_eq!(got.asked, "POST /bucket");
    let (file, fields) = got.parts.split_last().unwrap();
    assert_eq!(*file, ("file".to_owned(), PEOPLE.as_bytes().to_vec()));
    let mut fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), str::from_utf8(value).unwrap()))
        .collect();
    fields.sort_unstable();
    let expected = [
        ("key", "uploads/_/i.csv"),
        ("policy", "eyJ9=="),
        ("x-amz-signature", "s"),
    ];
    assert_eq!(fields, expected);
    assert!(got.headers.contains_key("content-length"));
    for absent in ["transfer-encoding", "authorization"] {
        assert!(!got.headers.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn the_api_is_told_what_was_typed() {
    for (options, expected) in [
        (
            "",
            json!({ "on_conflict": "skip", "confirm": "skip", "dry_run": false }),
        ),
        (
            "--on-conflict update --confirm mark-confirmed --dry-run",
            json!({ "on_conflict": "update", "confirm": "mark_confirmed", "dry_run": true }),
        ),
        (
            "--on-conflict fail --confirm mark_confirmed",
            json!({ "on_conflict": "fail", "confirm": "mark_confirmed", "dry_run": false }),
        ),
        (
            "--confirm send",
            json!({ "on_conflict": "skip", "confirm": "send", "dry_run": false }),
        ),
    ] {
        let s3 = S3::that_says([(204, "")]).await;
        let api = Api::that_says([created(&s3)]).await;
        let options = format!("--no-follow {options}");
        run(&api, &people(), options.trim_end())
            .await
            .result
            .unwrap();
        let asked = api.asked();
        let body = asked[0].trim_start_matches("POST /imports t ");
        let expected = with(expected, "file_name", json!("people.csv"));
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected);
    }
}

#[tokio::test]
async fn refused_rows_are_fetched_and_overwrite_nothing() {
    let report = "email,error_line\nnobody,2\n";
    let directory = people();
    for (name, taken) in [
        ("people.errors.csv", vec!["people.csv", "people.errors.csv"]),
        (
            "people.errors.2.csv",
            vec!["people.csv", "people.errors.2.csv", "people.errors.csv"],
        ),
    ] {
        let s3 = S3::that_says([(204, ""), (200, report)]).await;
        let answers = [created(&s3), (200, refused_some()), (200, s3.report())];
        let api = Api::that_says(answers).await;
        let outcome = run(&api, &directory, "").await;
        assert_eq!(outcome.result.unwrap(), ExitStatus::RowsRefused);
        let path = directory.path().join(name);
        let expected = format!(
            "completed with errors  2,000 rows: 1,997 created, 0 updated, 0 skipped, 3 failed\n\
             The refused rows, each with its reason: {}\n",
            path.display()
        );
        assert_eq!(outcome.shown, expected);
        assert_eq!(read_to_string(&path).unwrap(), report);
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "nobody else may read it");
        assert_eq!(names(&directory), taken);
        assert_eq!(api.asked().pop().unwrap(), "GET /imports/i/errors t ");
        let got = s3.got().remove(1);
        let expected = "GET /bucket/reports/i/errors.csv?X-Amz-Signature=secret";
        assert_eq!(got.asked, expected);
        assert!(!got.headers.contains_key("authorization"));
    }
}

#[tokio::test]
async fn half_a_report_is_none() {
    let directory = people();
    for (answer, expected) in [
        ((BROKEN, "email\nnob"), "the report breaks off: "),
        (
            (
                404,
                "<Error><Code>NoSuchKey</Code><Message>Gone.</Message></Error>",
            ),
            "S3 refuses the report: NoSuchKey: Gone.\nIt has been deleted",
        ),
    ] {
        let s3 = S3::that_says([(204, ""), answer]).await;
        let answers = [created(&s3), (200, refused_some()), (200, s3.report())];
        let api = Api::that_says(answers).await;
        let trouble = run(&api, &directory, "").await.trouble();
        assert!(trouble.starts_with(expected), "{trouble}");
        assert_eq!(names(&directory), ["people.csv"]);
    }
}

#[tokio::test]
async fn a_report_that_cannot_be_fetched_is_left_to_who_may_have_it() {
    let s3 = S3::that_says([(204, "")]).await;
    let link = json!({ "url": "http://127.0.0.1:1/errors.csv?X-Amz-Signature=secret" });
    let answers = [created(&s3), (200, refused_some()), (200, link)];
    let api = Api::that_says(answers).await;
    let trouble = run(&api, &people(), "").await.trouble();
    assert!(
        trouble.starts_with("the report cannot be fetched: "),
        "{trouble}"
    );
    assert!(
        trouble.ends_with("Try again: muster imports errors i"),
        "{trouble}"
    );
    assert!(!trouble.contains("secret"), "{trouble}");
}

#[tokio::test]
async fn json_is_the_import_and_nothing_else() {
    let s3 = S3::that_says([(204, ""), (200, "report")]).await;
    let answers = [created(&s3), (200, refused_some()), (200, s3.report())];
    let api = Api::that_says(answers).await;
    let directory = people();
    let outcome = run(&api, &directory, "--output json").await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::RowsRefused);
    let shown: Value = serde_json::from_str(&outcome.shown).unwrap();
    assert_eq!(shown, refused_some());
    assert!(
        outcome.aside.ends_with("people.errors.csv\n"),
        "{}",
        outcome.aside
    );

    let s3 = S3::that_says([(204, "")]).await;
    let api = Api::that_says([created(&s3)]).await;
    let outcome = run(&api, &directory, "--no-follow --output json").await;
    let shown: Value = serde_json::from_str(&outcome.shown).unwrap();
    assert_eq!(
        shown,
        import("awaiting_upload", 0, 0),
        "no key to the bucket"
    );
}

#[tokio::test]
async fn who_does_not_wait_is_told_how_to_follow() {
    let s3 = S3::that_says([(204, "")]).await;
    let api = Api::that_says([created(&s3)]).await;
    let outcome = run(&api, &people(), "--no-follow").await;
    assert_eq!(
        outcome.shown,
        "The file is uploaded. Follow its import: muster imports show i --follow\n"
    );
    assert_eq!(outcome.result.unwrap(), ExitStatus::Done);
}

#[tokio::test]
async fn an_import_that_ends_badly_is_trouble() {
    let reason = json!({ "code": "no_email_column", "detail": "no column is called email" });
    let failed = with(import("failed", 0, 0), "reason", reason);
    for (last, expected) in [
        (
            failed,
            "the import failed: no_email_column: no column is called email\nMend that",
        ),
        (
            import("cancelled", 100, 0),
            "the import was cancelled\nIt can go on: muster imports resume i",
        ),
    ] {
        let s3 = S3::that_says([(204, "")]).await;
        let api = Api::that_says([created(&s3), (200, last)]).await;
        let outcome = run(&api, &people(), "").await;
        let trouble = outcome.trouble();
        assert!(trouble.starts_with(expected), "{trouble}");
        assert!(outcome.shown.contains("rows: "), "{}", outcome.shown);
    }
}

#[tokio::test]
async fn what_came_of_a_failed_import_is_worse_than_a_missing_report() {
    let report = json!({ "bucket": "uploads", "key": "reports/i/errors.csv" });
    let failed = with(import("failed", 0, 3), "report", report);
    let s3 = S3::that_says([(204, "")]).await;
    let gone = (404, json!({ "detail": "there is no report" }));
    let api = Api::that_says([created(&s3), (200, failed), gone]).await;
    let trouble = run(&api, &people(), "").await.trouble();
    assert!(trouble.starts_with("the import failed"), "{trouble}");
}

#[tokio::test]
async fn a_cancelled_import_still_gives_its_refused_rows() {
    let cancelled = import("cancelled", 1500, 3);
    let cancelled = with(cancelled, "report", refused_some()["report"].clone());
    let s3 = S3::that_says([(204, ""), (200, "rows")]).await;
    let answers = [created(&s3), (200, cancelled), (200, s3.report())];
    let api = Api::that_says(answers).await;
    let directory = people();
    let outcome = run(&api, &directory, "").await;
    assert!(outcome.trouble().starts_with("the import was cancelled"));
    let report = directory.path().join("people.errors.csv");
    assert_eq!(read_to_string(report).unwrap(), "rows");
}

#[tokio::test]
async fn a_dry_run_and_failed_chunks_are_said_to_be_such() {
    let options = json!({ "on_conflict": "skip", "confirm": "skip", "dry_run": true });
    let dry = with(import("completed", 2000, 0), "options", options);
    let chunks = json!({ "total": 2, "done": 1, "failed": [{ "number": 2 }] });
    let torn = with(import("completed_with_errors", 1000, 0), "chunks", chunks);
    for (last, expected) in [
        (
            dry,
            "This was a dry run: no profile was created or changed.\n",
        ),
        (
            torn,
            "Of its chunks 1 failed: muster imports show i says why, muster imports resume i \
             tries them again.\n",
        ),
    ] {
        let s3 = S3::that_says([(204, "")]).await;
        let api = Api::that_says([created(&s3), (200, last)]).await;
        let shown = run(&api, &people(), "").await.shown;
        assert!(shown.ends_with(expected), "{shown}");
        let marked = shown.starts_with("completed (dry run)  2,000 rows: 2,000 created");
        assert_eq!(marked, expected.contains("dry run"), "{shown}");
    }
}

#[tokio::test]
async fn what_s3_refuses_is_said_in_its_words() {
    let too_large = r#"<?xml version="1.0" encoding="UTF-8"?>
        <Error><Code>EntityTooLarge</Code>
        <Message>Your proposed upload exceeds the maximum allowed size</Message>
        <ProposedSize>22</ProposedSize><MaxSizeAllowed>9</MaxSizeAllowed></Error>"#;
    let expired = "<Error><Code>AccessDenied</Code><Message>Invalid according to Policy: \
                   [&quot;eq&quot;]</Message></Error>";
    for (answer, expected) in [
        (
            (400, too_large),
            "S3 refuses the file: EntityTooLarge: Your proposed upload exceeds the maximum \
             allowed size\nSplit the file",
        ),
        (
            (403, expired),
            "S3 refuses the file: AccessDenied: Invalid according to Policy: [\"eq\"]\nWhat S3",
        ),
        (
            (502, "<html><body>Bad Gateway"),
            "S3 refuses the file: 502 Bad Gateway\nTry again",
        ),
    ] {
        let s3 = S3::that_says([answer]).await;
        let cancelled = import("cancelled", 0, 0);
        let answers = [created(&s3), (202, cancelled.clone()), (200, cancelled)];
        let api = Api::that_says(answers).await;
        let trouble = run(&api, &people(), "").await.trouble();
        assert!(trouble.starts_with(expected), "{trouble}");
        let nothing = "Nothing was imported. Import i is cancelled.";
        assert!(trouble.ends_with(nothing), "{trouble}");
        assert_eq!(api.asked()[1], "POST /imports/i/cancel t ");
    }
}

#[tokio::test]
async fn an_upload_that_breaks_off_may_have_arrived() {
    let s3 = S3::that_says([]).await;
    let mut answer = created(&s3);
    answer.1["upload"]["url"] = json!("http://127.0.0.1:1/bucket");
    let stopped = import("cancelled", 1500, 3);
    let answers = [answer, (202, import("cancelling", 500, 0)), (200, stopped)];
    let api = Api::that_says(answers).await;
    let trouble = run(&api, &people(), "").await.trouble();
    assert!(
        trouble.contains("people.csv cannot be uploaded: "),
        "{trouble}"
    );
    let expected = "Import i is cancelled. S3 had the whole file, and before the import \
                    stopped it answered 1,503 of 2,000 rows: 1,500 created, 0 updated, 0 \
                    skipped, 3 failed. What was imported stays.";
    assert!(trouble.ends_with(expected), "{trouble}");
}

#[tokio::test]
async fn what_cannot_be_imported_is_said_before_anything_is_asked() {
    let directory = people();
    let path = |name: &str| directory.path().join(name).display().to_string();
    write(path("empty.csv"), "").unwrap();
    create_dir(path("folder.csv")).unwrap();
    let api = Api::that_says([]).await;
    for (arguments, expected) in [
        (
            path("nowhere.csv"),
            format!("{} cannot be read: No such file", path("nowhere.csv")),
        ),
        (
            path("empty.csv"),
            format!("{} is empty\n", path("empty.csv")),
        ),
        (
            path("folder.csv"),
            format!("{} is no regular file\n", path("folder.csv")),
        ),
        (
            format!("{} --report {}", path("people.csv"), path("no/r.csv")),
            format!("there is no directory {}\n", path("no")),
        ),
        (
            format!("{} --report {}", path("people.csv"), path("folder.csv")),
            format!("{} is a directory\n", path("folder.csv")),
        ),
    ] {
        let trouble = api.run(&format!("import {arguments}")).await.trouble();
        assert!(trouble.starts_with(&expected), "{trouble}");
    }
    assert_eq!(api.asked(), [""; 0]);
}

#[tokio::test]
async fn a_file_that_is_too_large_is_not_sent() {
    let s3 = S3::that_says([]).await;
    let mut answer = created(&s3);
    answer.1["upload"]["max_bytes"] = json!(21);
    let api = Api::that_says([answer]).await;
    let trouble = run(&api, &people(), "").await.trouble();
    assert!(
        trouble.contains("people.csv has 22 B, and an import takes 21 B at most"),
        "{trouble}"
    );
    assert!(s3.got().is_empty());
}

#[tokio::test]
async fn the_api_may_be_away_for_a_while() {
    let s3 = S3::that_says([(204, "")]).await;
    let away = (503, json!({ "detail": "not now" }));
    let api = Api::that_says([
        (BROKEN, json!("{")),
        away.clone(),
        created(&s3),
        (200, import("running", 500, 0)),
        away,
        (429, json!({ "message": "Too Many Requests" })),
        (BROKEN, json!("{")),
        (502, json!("<html>")),
        (200, import("running", 1500, 0)),
        (200, import("completed", 2000, 0)),
    ])
    .await;
    let outcome = run(&api, &people(), "").await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::Done);
    let lines: Vec<_> = outcome.aside.lines().collect();
    let away = "the API says 503 Service Unavailable: not now; trying again";
    assert!(lines[0].starts_with("the API does not answer"), "{lines:?}");
    assert!(lines[2].starts_with("running  500"), "{lines:?}");
    assert_eq!(lines[3], away, "once");
    assert!(lines[4].starts_with("running  1,500"), "{lines:?}");
    let keys = api.script.lock().unwrap().keys.clone();
    assert_eq!(keys.len(), 3);
    assert!(
        keys.iter().all(|key| *key == keys[0]),
        "one import: {keys:?}"
    );
}

#[tokio::test]
async fn so_may_whoever_gives_tokens() {
    let s3 = S3::that_says([(204, "")]).await;
    let api = Api::that_says([
        (BROKEN, json!("{")),
        (200, json!({ "access_token": "fresh" })),
        created(&s3),
    ])
    .await;
    let directory = people();
    let path = directory.path().join("people.csv");
    let command = format!("import {} --no-follow", path.display());
    let outcome = api.run_as(api.access_of_client(None), &command, None).await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::Done);
}

#[tokio::test]
async fn each_import_has_a_key_of_its_own() {
    let s3 = S3::that_says([(204, ""), (204, "")]).await;
    let api = Api::that_says([created(&s3), created(&s3)]).await;
    run(&api, &people(), "--no-follow").await.result.unwrap();
    run(&api, &people(), "--no-follow").await.result.unwrap();
    let keys = api.script.lock().unwrap().keys.clone();
    assert_ne!(keys[0], keys[1]);
}

#[tokio::test]
async fn an_api_that_stays_away_is_given_up_and_the_import_is_not() {
    let s3 = S3::that_says([(204, "")]).await;
    let away = (503, json!({ "detail": "not now" }));
    let answers = std::iter::repeat_n(away, TRIES as usize);
    let api = Api::that_says([created(&s3)].into_iter().chain(answers)).await;
    let trouble = run(&api, &people(), "").await.trouble();
    assert!(trouble.starts_with("the API says 503"), "{trouble}");
    let on = "The import goes on. Follow it: muster imports show i --follow";
    assert!(trouble.ends_with(on), "{trouble}");
}

#[tokio::test]
async fn what_will_not_get_better_is_not_tried_again() {
    let s3 = S3::that_says([(204, "")]).await;
    let forbidden = (403, json!({ "message": "Forbidden" }));
    let api = Api::that_says([created(&s3), forbidden.clone()]).await;
    let trouble = run(&api, &people(), "").await.trouble();
    assert!(trouble.contains("imports/read"), "{trouble}");
    assert!(trouble.contains("The import goes on."), "{trouble}");
    let api = Api::that_says([forbidden]).await;
    let trouble = run(&api, &people(), "").await.trouble();
    assert!(trouble.contains("imports/write"), "{trouble}");
}

#[tokio::test]
async fn who_stops_following_is_told_that_the_import_goes_on() {
    let s3 = S3::that_says([(204, "")]).await;
    let silence = (SILENT, Value::Null);
    let api = Api::that_says([created(&s3), (200, import("queued", 0, 0)), silence]).await;
    let directory = people();
    let command = format!("import {}", directory.path().join("people.csv").display());
    let outcome = api
        .run_until(api.is_asked(3), api.access(), &command, None)
        .await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::Interrupted);
    let expected = "queued\n\
                    The import goes on. Follow it: muster imports show i --follow\n\
                    Or cancel it: muster imports cancel i\n";
    assert!(outcome.aside.ends_with(expected), "{}", outcome.aside);
    assert_eq!(outcome.shown, "");
}

#[test]
fn each_exit_status_has_its_own_code() {
    let statuses = [
        ExitStatus::Done,
        ExitStatus::RowsRefused,
        ExitStatus::Interrupted,
        ExitStatus::Terminated,
    ];
    assert_eq!(statuses.map(ExitStatus::code), [0, 3, 130, 143]);
}
