//! Ctrl-C and SIGTERM at every stage of an import.

use std::fs::write;
use std::future::Future;

use futures_util::stream::once;
use futures_util::{Stream, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::import::{created, import, people, with};
use super::s3::S3;
use super::{Api, Outcome, SILENT};
use crate::exit_status::ExitStatus;
use crate::interruption::StopSignal;

type Answer = (u16, Value);

/// A signal once that is over.
fn at(
    moment: impl Future<Output = ()>,
    signal: StopSignal,
) -> impl Stream<Item = StopSignal> + Unpin {
    Box::pin(once(async move {
        moment.await;
        signal
    }))
}

async fn import_until(
    signals: impl Stream<Item = StopSignal> + Unpin,
    api: &Api,
    directory: &TempDir,
    options: &str,
) -> Outcome {
    let path = directory.path().join("people.csv");
    let command = format!("import {} {options}", path.display());
    api.run_with(signals, api.access(), command.trim_end(), None)
        .await
}

/// Ctrl-C when S3 has the whole file and has not said so; then the API answers that.
/// Says what was said about it.
async fn stopped_too_late(answers: impl IntoIterator<Item = Answer>, options: &str) -> String {
    let s3 = S3::that_says([(SILENT, "")]).await;
    let answers = [created(&s3)].into_iter().chain(answers);
    let api = Api::that_says(answers).await;
    let signals = at(s3.is_asked(), StopSignal::Interrupt);
    let outcome = import_until(signals, &api, &people(), options).await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::Interrupted);
    assert_eq!(outcome.shown, "");
    let asked = api.asked();
    assert_eq!(asked[1], "POST /imports/i/cancel t ");
    let told = "The upload is stopped. Cancelling import i; Ctrl-C again quits at once.\n";
    let (_, said) = outcome.aside.split_once(told).unwrap();
    said.to_owned()
}

fn ok(status: &str, created: u64, failed: u64) -> Answer {
    (200, import(status, created, failed))
}

#[tokio::test]
async fn before_the_form_is_there_nothing_is_imported() {
    let api = Api::that_says([(SILENT, Value::Null)]).await;
    let signals = at(api.is_asked(1), StopSignal::Interrupt);
    let outcome = import_until(signals, &api, &people(), "").await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::Interrupted);
    assert_eq!(outcome.aside, "Nothing was imported.\n");
}

#[tokio::test]
async fn half_an_upload_is_cancelled_and_imports_nothing() {
    // S3 takes the connection and reads nothing.
    let bucket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/bucket", bucket.local_addr().unwrap());
    let mut answer = created(&S3::that_says([]).await);
    answer.1["upload"]["url"] = json!(url);
    answer.1["upload"]["max_bytes"] = json!(100_000_000);
    let cancelled = import("cancelled", 0, 0);
    let answers = [answer, (202, cancelled.clone()), (200, cancelled)];
    let api = Api::that_says(answers).await;
    let directory = people();
    write(directory.path().join("people.csv"), vec![b'x'; 20_000_000]).unwrap();
    let mut taken = None;
    let accepted = async { taken = Some(bucket.accept().await.unwrap()) };
    let signals = at(accepted, StopSignal::Terminate);
    let outcome = import_until(signals, &api, &directory, "").await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::Terminated);
    let expected = "Nothing was imported. Import i is cancelled.\n";
    assert!(outcome.aside.ends_with(expected), "{}", outcome.aside);
    let asked = api.asked();
    assert_eq!(
        asked[1..],
        ["POST /imports/i/cancel t ", "GET /imports/i t "]
    );
}

#[tokio::test]
async fn rows_that_were_imported_are_told() {
    let answers = [
        (202, import("cancelling", 500, 0)),
        ok("cancelling", 1000, 0),
        ok("cancelled", 1500, 3),
    ];
    let said = stopped_too_late(answers, "").await;
    let expected = "cancelling  1,000 of 2,000 rows: 1,000 created, 0 updated, 0 skipped, 0 failed\n\
                    Import i is cancelled. S3 had the whole file, and before the import stopped \
                    it answered 1,503 of 2,000 rows: 1,500 created, 0 updated, 0 skipped, 3 \
                    failed. What was imported stays.\n";
    assert_eq!(said, expected);
}

#[tokio::test]
async fn an_import_that_was_complete_already_is_told() {
    let answers = [
        (409, json!({ "detail": "it is over" })),
        ok("completed", 2000, 0),
    ];
    let said = stopped_too_late(answers, "").await;
    let expected = "Import i was complete before it could be cancelled: S3 had the whole file. It \
                    answered 2,000 rows: 2,000 created";
    assert!(said.starts_with(expected), "{said}");
}

#[tokio::test]
async fn an_import_that_failed_or_goes_on_is_told() {
    let reason = json!({ "code": "no_email_column", "detail": "no column is called email" });
    let failed = with(import("failed", 0, 0), "reason", reason);
    let refused = (403, json!({ "message": "Forbidden" }));
    for (answers, expected) in [
        (
            [(409, json!({ "detail": "over" })), (200, failed)],
            "Import i failed before it could be cancelled: no_email_column: no column is called \
             email.",
        ),
        (
            [refused, ok("running", 500, 0)],
            "Import i goes on: it could not be cancelled (the API says 403 Forbidden: Forbidden). \
             So far it answered 500 of 2,000 rows",
        ),
    ] {
        let said = stopped_too_late(answers, "").await;
        assert!(said.starts_with(expected), "{said}");
    }
}

#[tokio::test]
async fn a_stopped_dry_run_and_its_refused_rows_are_told() {
    let options = json!({ "on_conflict": "skip", "confirm": "skip", "dry_run": true });
    let report = json!({ "bucket": "uploads", "key": "reports/i/errors.csv" });
    let stopped = with(import("cancelled", 1500, 3), "options", options);
    let stopped = with(stopped, "report", report);
    let answers = [(202, import("cancelling", 0, 0)), (200, stopped)];
    let said = stopped_too_late(answers, "--dry-run").await;
    let expected = "It is a dry run: no profile was created or changed.\n\
                    Its refused rows: muster imports errors i\n";
    assert!(said.ends_with(expected), "{said}");
}

#[tokio::test]
async fn the_api_may_fail_for_a_moment_meanwhile() {
    let away = (503, json!(""));
    let answers = [
        away.clone(),
        (500, json!("")),
        (202, import("cancelling", 0, 0)),
        away,
        ok("cancelled", 0, 0),
    ];
    let said = stopped_too_late(answers, "").await;
    let expected = "Nothing was imported. Import i is cancelled.\n";
    assert!(said.ends_with(expected), "{said}");
}

#[tokio::test]
async fn a_second_signal_quits_at_once_and_says_what_is_not_known() {
    let s3 = S3::that_says([(SILENT, "")]).await;
    let api = Api::that_says([created(&s3), (SILENT, Value::Null)]).await;
    let first = at(s3.is_asked(), StopSignal::Terminate);
    let second = at(api.is_asked(2), StopSignal::Interrupt);
    let outcome = import_until(first.chain(second), &api, &people(), "").await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::Interrupted);
    let expected = "Not known: whether import i is cancelled, and whether rows were imported (the \
                    answer was not waited for).\n\
                    See: muster imports show i\n\
                    Cancel it: muster imports cancel i\n";
    assert!(outcome.aside.ends_with(expected), "{}", outcome.aside);
}

#[tokio::test]
async fn an_api_that_says_nothing_is_not_waited_for_for_ever() {
    let s3 = S3::that_says([(SILENT, "")]).await;
    let silence = std::iter::repeat_n((SILENT, Value::Null), 99);
    let api = Api::that_says([created(&s3)].into_iter().chain(silence)).await;
    let moment = async {
        s3.is_asked().await;
        // From now on, what waits for the clock waits no longer.
        tokio::time::pause();
    };
    let signals = at(moment, StopSignal::Interrupt);
    let outcome = import_until(signals, &api, &people(), "").await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::Interrupted);
    assert!(outcome.aside.contains("Not known"), "{}", outcome.aside);
}

#[tokio::test]
async fn a_cancel_that_lasts_is_told() {
    let s3 = S3::that_says([(SILENT, "")]).await;
    let answers = [
        created(&s3),
        (202, import("cancelling", 0, 0)),
        ok("cancelling", 500, 0),
    ];
    let silence = std::iter::repeat_n((SILENT, Value::Null), 99);
    let api = Api::that_says(answers.into_iter().chain(silence)).await;
    let moment = async {
        s3.is_asked().await;
    };
    let silent = async {
        api.is_asked(4).await;
        tokio::time::pause();
        std::future::pending().await
    };
    let signals = at(moment, StopSignal::Interrupt).chain(at(silent, StopSignal::Interrupt));
    let outcome = import_until(signals, &api, &people(), "").await;
    let expected = "Import i is still being cancelled. So far it answered 500 of 2,000 rows";
    assert!(outcome.aside.contains(expected), "{}", outcome.aside);
}

#[tokio::test]
async fn who_does_not_wait_for_an_answer_does_not_know_it() {
    let api = Api::that_says([(SILENT, Value::Null)]).await;
    let signals = at(api.is_asked(1), StopSignal::Interrupt);
    let command = "imports cancel i";
    let outcome = api.run_with(signals, api.access(), command, None).await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::Interrupted);
    let expected = "Not known: whether import i has changed. See: muster imports show i\n";
    assert_eq!(outcome.aside, expected);
}
