//! `muster import`

use std::path::Path;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::Api;
use crate::arguments::Output;
use crate::arguments::imports::Import;
use crate::cancellation::cancel;
use crate::console::Console;
use crate::exit_status::ExitStatus;
use crate::follow::{exit_status, follow, goes_on, is_dry_run, summary};
use crate::on_interrupt::OnInterrupt;
use crate::progress::Progress;
use crate::report;
use crate::report_path::{ReportPath, Streams, is_descriptor};
use crate::retry::retry;
use crate::table::{harmless, path_text, text};
use crate::trouble::{OrTrouble, Trouble};
use crate::upload::{Destination, Upload};

/// The longest name of a file that the API takes.
const MAX_FILE_NAME_CHARS: usize = 255;

/// Imports a file.
///
/// # Errors
/// Whatever did not work, and what to do about it; also when the import does not
/// end well.
pub(crate) async fn run(
    what: &Import,
    api: &mut Api,
    output: Output,
    console: &mut Console<'_>,
) -> Result<ExitStatus, Trouble> {
    let file = Upload::new(&what.file).await?;
    spare(&file, console.streams)?;
    let (asked, force) = (what.report.path.as_deref(), what.report.force);
    let report = ReportPath::new(asked, force, neighbour(&what.file)).sparing(file.id);
    report::prepare(&report, console)?;
    console.on_interrupt = OnInterrupt::Explain("Nothing was imported.".to_owned());
    let mut import = create(what, api, console).await?;
    let destination = import.as_object_mut().and_then(|it| it.remove("upload"));
    let destination: Destination = serde_json::from_value(destination.unwrap_or_default())
        .or_trouble(
            "the API does not say where to upload the file",
            "Check that the API and muster are of the same version.",
        )?;
    let id = text(&import["id"]);
    console.on_interrupt = OnInterrupt::CancelImport(id.clone());
    if let Err(trouble) = send(file, destination, console).await {
        return Err(trouble.and(&cancel(&id, api, console).await));
    }
    if what.no_follow {
        leave(&import, output, console)?;
        return Ok(ExitStatus::Done);
    }
    let import = follow(&id, api, console).await;
    let import = import.map_err(|trouble| trouble.and(&goes_on(&id)))?;
    conclude(&import, &report, api, output, console).await
}

/// Nothing that is shown may end up in the file.
fn spare(file: &Upload<'_>, streams: Streams) -> Result<(), Trouble> {
    if ![streams.output, streams.aside].contains(&Some(file.id)) {
        return Ok(());
    }
    Err(Trouble::new(
        "what is shown would be written into the file that is imported",
        "Have it written elsewhere: the file is the standard output or the standard error.",
    ))
}

/// The file that a report goes beside. A descriptor has no place of its own.
pub(crate) fn neighbour(file: &Path) -> &Path {
    match is_descriptor(file) {
        true => Path::new("import.csv"),
        false => file,
    }
}

/// What lists call the file, in the form that the API takes: one line, no folder, not too
/// long. A descriptor has no name.
fn file_name(file: &Path) -> Option<String> {
    let name = file.file_name().filter(|_| !is_descriptor(file))?;
    let name = harmless(&name.to_string_lossy()).replace('\\', "\u{fffd}");
    Some(name.chars().take(MAX_FILE_NAME_CHARS).collect())
}

/// Makes an import that waits for its file. However often it is asked for, the
/// key makes it one.
async fn create(what: &Import, api: &mut Api, console: &mut Console<'_>) -> Result<Value, Trouble> {
    let mut body = json!({
        "on_conflict": what.on_conflict, "confirm": what.confirm, "dry_run": what.dry_run,
    });
    if let Some(name) = file_name(&what.file) {
        body["file_name"] = name.into();
    }
    let key = Uuid::new_v4().to_string();
    let pace = console.pace;
    let mut progress = Progress::new(0, "{wide_msg}", console);
    let ask = async || api.create(&["imports"], &body, &key).await;
    retry(pace, &mut progress, ask).await
}

async fn send(file: Upload<'_>, to: Destination, console: &mut Console<'_>) -> Result<(), Trouble> {
    let template = "{bar:16}  {percent}%  {bytes_per_sec}  {eta} left  {wide_msg}";
    let mut progress = Progress::new(file.size, template, console);
    progress.say("upload", &file.describe());
    file.send(to, &progress).await
}

/// Shows an import that has its file, and is left alone.
fn leave(import: &Value, output: Output, console: &mut Console<'_>) -> Result<(), Trouble> {
    match output {
        Output::Json => console.show_json(import),
        Output::Table => console.show(&format!(
            "The file is uploaded. Follow its import: muster imports show {} --follow",
            text(&import["id"])
        )),
    }
}

/// Shows what came of an import, and fetches the rows that it refused.
async fn conclude(
    import: &Value,
    to: &ReportPath<'_>,
    api: &mut Api,
    output: Output,
    console: &mut Console<'_>,
) -> Result<ExitStatus, Trouble> {
    let id = text(&import["id"]);
    match output {
        Output::Json => console.show_json(import)?,
        Output::Table => console.show(&totals(import))?,
    }
    let exit_status = exit_status(import);
    if import["report"].is_null() {
        return exit_status;
    }
    console.on_interrupt = OnInterrupt::Explain(format!(
        "The import is over. For the refused rows: muster imports errors {id}"
    ));
    match report::download(&id, to, api, console).await {
        // That it failed is worse than that the report is missing.
        Err(trouble) => return exit_status.and(Err(trouble)),
        Ok(None) => {}
        Ok(Some(path)) => {
            let text = format!(
                "The refused rows, each with its reason: {}",
                path_text(&path)
            );
            match output {
                Output::Json => console.remark(&text),
                Output::Table => console.show(&text)?,
            }
        }
    }
    exit_status
}

/// What became of the rows, and what there is to know besides.
fn totals(import: &Value) -> String {
    let mut totals = summary(import);
    if is_dry_run(import) {
        totals.push_str("\nThis was a dry run: no profile was created or changed.");
    }
    let chunks = import["chunks"]["failed"].as_array().map_or(0, Vec::len);
    if chunks > 0 {
        let id = text(&import["id"]);
        totals.push_str(&format!(
            "\nOf its chunks {chunks} failed: muster imports show {id} says why, \
             muster imports resume {id} tries them again."
        ));
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn a_file_is_named_as_the_api_takes_it() {
        let long = format!("/tmp/{}.csv", "ä".repeat(300));
        let expected = "ä".repeat(255);
        for (file, name) in [
            ("people.csv", Some("people.csv")),
            ("a/b/people.csv", Some("people.csv")),
            ("a\\b\u{1b}c\n.csv", Some("a\u{fffd}b\u{fffd}c\u{fffd}.csv")),
            (&long, Some(&expected)),
            ("/dev/stdin", None),
        ] {
            assert_eq!(file_name(Path::new(file)).as_deref(), name);
        }
        let file = Path::new(OsStr::from_bytes(b"p\xff.csv"));
        assert_eq!(file_name(file).as_deref(), Some("p\u{fffd}.csv"));
    }
}
