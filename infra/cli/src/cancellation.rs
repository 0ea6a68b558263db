//! Cancelling an import whose upload broke off. S3 may have had the whole file by then,
//! and rows may be imported: only the API knows.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::api::{Api, Repeat};
use crate::console::Console;
use crate::follow::{is_dry_run, is_over, reason, rows, summary};
use crate::progress::Progress;
use crate::retry::retry;
use crate::table::text;
use crate::trouble::Trouble;

/// How long the API may take. Workers stop at their next checkpoint, within seconds;
/// mails are called off one by one, which may take longer than anybody waits.
const LIMIT: Duration = Duration::from_secs(60);

/// Cancels an import, waits for its end, and says in a few lines what was imported.
pub(crate) async fn cancel(id: &str, api: &mut Api, console: &mut Console<'_>) -> String {
    let mut last = None;
    let watched = timeout(LIMIT, watch(id, api, console, &mut last)).await;
    match (watched, last) {
        (Ok(Ok(())), Some(import)) | (Err(_), Some(import)) => outcome(&import, None),
        (Ok(Err(refusal)), Some(import)) => outcome(&import, Some(&refusal)),
        (Ok(Err(trouble)), None) => unknown(id, &trouble.what),
        (_, None) => unknown(id, "the API does not answer"),
    }
}

/// Asks for the end of an import, and looks at it until it is over. `last` is how it was
/// seen last.
async fn watch(
    id: &str,
    api: &mut Api,
    console: &mut Console<'_>,
    last: &mut Option<Value>,
) -> Result<(), Trouble> {
    let pace = console.pace;
    let mut progress = Progress::new(0, "{wide_msg}", console);
    let path = ["imports", id, "cancel"];
    let ask = async || api.post(&path, None, Repeat::Never).await;
    let refusal = retry(pace, &mut progress, ask).await.err();
    loop {
        let look = async || api.get_once(&["imports", id]).await;
        let import = last.insert(retry(pace, &mut progress, look).await?);
        if is_over(import) {
            return Ok(());
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        progress.say(&text(&import["status"]), &summary(import));
        sleep(pace).await;
    }
}

/// How an import stands that was asked to stop.
fn outcome(import: &Value, refusal: Option<&Trouble>) -> String {
    let (id, counts) = (text(&import["id"]), rows(import));
    let answered = import["rows"].as_object().into_iter().flatten();
    let untouched = answered
        .filter(|(kind, _)| *kind != "total")
        .all(|(_, count)| count == 0);
    let mut said = match (import["status"].as_str(), refusal) {
        (Some("cancelled"), _) if untouched => {
            format!("Nothing was imported. Import {id} is cancelled.")
        }
        (Some("cancelled"), _) => format!(
            "Import {id} is cancelled. S3 had the whole file, and before the import stopped it \
             answered {counts}. What was imported stays."
        ),
        (Some("failed"), _) => format!(
            "Import {id} failed before it could be cancelled: {}. It answered {counts}. What was \
             imported stays.",
            reason(&import["reason"])
        ),
        (Some("completed" | "completed_with_errors"), _) => format!(
            "Import {id} was complete before it could be cancelled: S3 had the whole file. It \
             answered {counts}."
        ),
        (_, None) => format!(
            "Import {id} is still being cancelled. So far it answered {counts}.\n\
             Follow it: muster imports show {id} --follow"
        ),
        (_, Some(refusal)) => format!(
            "Import {id} goes on: it could not be cancelled ({}). So far it answered {counts}.\n\
             Try again: muster imports cancel {id}",
            refusal.what
        ),
    };
    if is_dry_run(import) {
        said.push_str("\nIt is a dry run: no profile was created or changed.");
    }
    if !import["report"].is_null() {
        said.push_str(&format!("\nIts refused rows: muster imports errors {id}"));
    }
    said
}

/// That the API did not tell, and where to look.
pub(crate) fn unknown(id: &str, why: &str) -> String {
    format!(
        "Not known: whether import {id} is cancelled, and whether rows were imported ({why}).\n\
         See: muster imports show {id}\n\
         Cancel it: muster imports cancel {id}"
    )
}
