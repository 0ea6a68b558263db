//! Watches an import until it is over, and turns its end into an exit status.

use indicatif::HumanCount;
use serde_json::Value;
use tokio::time::sleep;

use crate::api::Api;
use crate::console::Console;
use crate::exit_status::ExitStatus;
use crate::on_interrupt::OnInterrupt;
use crate::progress::Progress;
use crate::retry::retry;
use crate::table::{age, text};
use crate::trouble::Trouble;

/// Watches an import until it is over. It survives what the import survives: that
/// the API is away for a while.
///
/// # Errors
/// When the API does not tell any more.
pub(crate) async fn follow(
    id: &str,
    api: &mut Api,
    console: &mut Console<'_>,
) -> Result<Value, Trouble> {
    let parting = format!("{}\nOr cancel it: muster imports cancel {id}", goes_on(id));
    console.on_interrupt = OnInterrupt::Explain(parting);
    let pace = console.pace;
    let mut progress = Progress::new(100, "{bar:16}  {wide_msg}", console);
    loop {
        let look = async || api.get_once(&["imports", id]).await;
        let import = retry(pace, &mut progress, look).await?;
        let percent = import["progress"]["percent"].as_f64().unwrap_or_default();
        progress.bar().set_position(percent as u64);
        progress.say(&text(&import["status"]), &summary(&import));
        if is_over(&import) {
            return Ok(import);
        }
        sleep(pace).await;
    }
}

/// What there is to know when nobody follows an import any more.
pub(crate) fn goes_on(id: &str) -> String {
    format!("The import goes on. Follow it: muster imports show {id} --follow")
}

/// Whether nothing happens to an import any more by itself.
pub(crate) fn is_over(import: &Value) -> bool {
    let over = ["completed", "completed_with_errors", "cancelled", "failed"];
    import["status"]
        .as_str()
        .is_some_and(|status| over.contains(&status))
}

/// The exit status for an import that is over.
///
/// # Errors
/// When it failed, or was cancelled.
pub(crate) fn exit_status(import: &Value) -> Result<ExitStatus, Trouble> {
    let id = text(&import["id"]);
    match import["status"].as_str() {
        Some("completed") => Ok(ExitStatus::Done),
        Some("completed_with_errors") => Ok(ExitStatus::RowsRefused),
        Some("cancelled") => Err(Trouble::new(
            "the import was cancelled",
            format!("It can go on: muster imports resume {id}"),
        )),
        _ => Err(Trouble::new(
            format!("the import failed: {}", reason(&import["reason"])),
            match import["reason"]["code"].as_str() {
                Some("chunks_failed") => format!(
                    "Mend what the chunks say, and have them run again: muster imports resume {id}"
                ),
                _ => "Mend that, and import the file again.".to_owned(),
            },
        )),
    }
}

/// Whether an import creates and changes nothing, whatever its counts say.
pub(crate) fn is_dry_run(import: &Value) -> bool {
    import["options"]["dry_run"] == true
}

/// The status of an import. A dry run is marked, as its counts look like a real one's.
pub(crate) fn status(import: &Value) -> String {
    let mark = if is_dry_run(import) { " (dry run)" } else { "" };
    format!("{}{mark}", text(&import["status"]))
}

/// Where an import is, in a line.
pub(crate) fn summary(import: &Value) -> String {
    let mut parts = vec![status(import).replace('_', " ")];
    parts.extend(progress(&import["progress"]));
    // Last, as a narrow terminal cuts it off.
    if answered(import) > 0 || is_over(import) {
        parts.push(rows(import));
    }
    parts.join("  ")
}

/// `11,000 of 20,000 rows: 10,990 created, 0 updated, 7 skipped, 3 failed`
pub(crate) fn rows(import: &Value) -> String {
    let answered = answered(import);
    let of = match import["rows"]["total"].as_u64() {
        Some(total) if total != answered => format!(" of {}", HumanCount(total)),
        _ => String::new(),
    };
    let kinds = KINDS.map(|kind| format!("{} {kind}", count(&import["rows"][kind])));
    format!("{}{of} rows: {}", HumanCount(answered), kinds.join(", "))
}

/// What can become of a row.
const KINDS: [&str; 4] = ["created", "updated", "skipped", "failed"];

fn answered(import: &Value) -> u64 {
    let rows = &import["rows"];
    KINDS.iter().filter_map(|kind| rows[kind].as_u64()).sum()
}

/// A count that people can read.
pub(crate) fn count(value: &Value) -> String {
    value
        .as_u64()
        .map_or_else(|| text(value), |count| HumanCount(count).to_string())
}

/// How far it is, how fast, and how long it will take.
pub(crate) fn progress(progress: &Value) -> Vec<String> {
    let number = |name: &str| progress[name].as_f64();
    let percent = number("percent").map(|percent| format!("{percent:.0}%"));
    let speed =
        number("rows_per_second").map(|speed| format!("{} rows/s", HumanCount(speed as u64)));
    let left = &progress["seconds_left"];
    let left = left.is_u64().then(|| format!("{} left", age(left)));
    [percent, speed, left].into_iter().flatten().collect()
}

/// `code: detail`
pub(crate) fn reason(reason: &Value) -> String {
    match reason {
        Value::Null => "-".to_owned(),
        reason => format!("{}: {}", text(&reason["code"]), text(&reason["detail"])),
    }
}
