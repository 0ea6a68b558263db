//! `muster imports`

use std::path::Path;

use indicatif::HumanBytes;
use serde_json::{Value, json};

use crate::api::{Api, Repeat};
use crate::arguments::Output;
use crate::arguments::imports::Imports;
use crate::console::Console;
use crate::exit_status::ExitStatus;
use crate::follow::{count, exit_status, follow, progress, reason, status, summary};
use crate::list_view::show_list;
use crate::on_interrupt::OnInterrupt;
use crate::report;
use crate::report_path::ReportPath;
use crate::table::{Column, fields, path_text, text};
use crate::trouble::Trouble;

/// Does something about imports.
///
/// # Errors
/// Whatever did not work, and what to do about it.
pub(crate) async fn run(
    command: Imports,
    api: &mut Api,
    output: Output,
    console: &mut Console<'_>,
) -> Result<ExitStatus, Trouble> {
    match command {
        Imports::List { limit } => list(limit, api, output, console).await?,
        Imports::Show { id, follow: false } => {
            let import = api.get(&["imports", &id], &[]).await?;
            show(&import, output, console)?;
        }
        Imports::Show { id, follow: true } => {
            let import = follow(&id, api, console).await?;
            show(&import, output, console)?;
            return exit_status(&import);
        }
        Imports::Start { id } => steer(&id, "start", None, api, output, console).await?,
        Imports::Cancel { id } => steer(&id, "cancel", None, api, output, console).await?,
        Imports::Resume { id, chunks } => {
            let body = (!chunks.is_empty()).then(|| json!({ "chunks": chunks }));
            steer(&id, "resume", body.as_ref(), api, output, console).await?;
        }
        Imports::Errors { id, report } => {
            let file = format!("{id}.csv");
            let asked = report.path.as_deref();
            let to = ReportPath::new(asked, report.force, Path::new(&file));
            errors(&id, &to, api, output, console).await?;
        }
    }
    Ok(ExitStatus::Done)
}

/// Fetches the rows that an import refused.
async fn errors(
    id: &str,
    to: &ReportPath<'_>,
    api: &mut Api,
    output: Output,
    console: &mut Console<'_>,
) -> Result<(), Trouble> {
    report::prepare(to, console)?;
    let Some(path) = report::download(id, to, api, console).await? else {
        return Ok(());
    };
    match output {
        Output::Json => console.show_json(&json!({ "report": path.display().to_string() })),
        Output::Table => console.show(&path_text(&path)),
    }
}

async fn list(
    limit: usize,
    api: &mut Api,
    output: Output,
    console: &mut Console<'_>,
) -> Result<(), Trouble> {
    let columns = [
        Column("ID", "/id", text),
        Column("STATUS", "", status),
        Column("ROWS", "/rows/total", count),
        Column("CREATED", "/rows/created", count),
        Column("UPDATED", "/rows/updated", count),
        Column("SKIPPED", "/rows/skipped", count),
        Column("FAILED", "/rows/failed", count),
        Column("SINCE", "/created_at", text),
        Column("BY", "/started_by", text),
        Column("FILE", "", file),
    ];
    let (items, cursor) = api.list(&["imports"], Some(limit)).await?;
    let more = !cursor.is_null();
    let list = json!({ "items": items, "next_cursor": cursor });
    show_list(&list, &columns, "There are no imports.", output, console)?;
    if output == Output::Table && more {
        console.show("There are more: --limit lists as many as you like.")?;
    }
    Ok(())
}

/// Has an import started, cancelled or resumed.
async fn steer(
    id: &str,
    where_to: &str,
    body: Option<&Value>,
    api: &mut Api,
    output: Output,
    console: &mut Console<'_>,
) -> Result<(), Trouble> {
    console.on_interrupt = OnInterrupt::Explain(format!(
        "Not known: whether import {id} has changed. See: muster imports show {id}"
    ));
    // Chunks that run again have not failed any more, so that a second request is refused.
    let repeat = match body {
        Some(_) => Repeat::Unbegun,
        None => Repeat::Safe,
    };
    let path = ["imports", id, where_to];
    let import = api.post(&path, body, repeat).await?;
    match output {
        Output::Json => console.show_json(&import),
        Output::Table => console.show(&summary(&import)),
    }
}

fn show(import: &Value, output: Output, console: &mut Console<'_>) -> Result<(), Trouble> {
    if output == Output::Json {
        return console.show_json(import);
    }
    let (options, rows, chunks) = (&import["options"], &import["rows"], &import["chunks"]);
    let failed = chunks["failed"].as_array().map_or(&[][..], Vec::as_slice);
    let mut shown = vec![
        ("id", text(&import["id"])),
        ("status", status(import)),
        ("reason", reason(&import["reason"])),
        ("file name", text(&import["file_name"])),
        ("file", object(&import["object"])),
        ("size", size(&import["size"])),
        ("on conflict", text(&options["on_conflict"])),
        ("confirm", text(&options["confirm"])),
        ("dry run", text(&options["dry_run"])),
        ("start", text(&import["start"])),
        ("rows", count(&rows["total"])),
        ("created", count(&rows["created"])),
        ("updated", count(&rows["updated"])),
        ("skipped", count(&rows["skipped"])),
        ("failed", count(&rows["failed"])),
        ("chunks", count(&chunks["total"])),
        ("done", count(&chunks["done"])),
        (
            "progress",
            or_dash(progress(&import["progress"]).join(", ")),
        ),
        ("report", object(&import["report"])),
        ("created at", text(&import["created_at"])),
        ("started by", text(&import["started_by"])),
        ("started at", text(&import["started_at"])),
        ("completed at", text(&import["completed_at"])),
    ];
    shown.extend(failed.iter().map(|chunk| ("failed chunk", failure(chunk))));
    console.show(&fields(&shown))
}

/// `7, from line 120001: code: detail`
fn failure(chunk: &Value) -> String {
    let (number, line) = (text(&chunk["number"]), text(&chunk["first_line"]));
    format!("{number}, from line {line}: {}", reason(&chunk["reason"]))
}

/// What the file of an import is called where it comes from; if that is not known, its
/// key in the bucket.
fn file(import: &Value) -> String {
    match &import["file_name"] {
        Value::Null => text(&import["object"]["key"]),
        name => text(name),
    }
}

fn object(object: &Value) -> String {
    match object {
        Value::Null => "-".to_owned(),
        object => format!("s3://{}/{}", text(&object["bucket"]), text(&object["key"])),
    }
}

fn size(value: &Value) -> String {
    value
        .as_u64()
        .map_or_else(|| text(value), |size| HumanBytes(size).to_string())
}

fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}
