//! The rows that an import refused, on this machine.

use std::io::ErrorKind;
use std::path::PathBuf;

use reqwest::Response;

use crate::api::Api;
use crate::console::Console;
use crate::report_path::{ReportPath, Target, directory};
use crate::sink::Sink;
use crate::table::path_text;
use crate::trouble::{OrTrouble, Trouble};
use crate::{http, s3};

/// Looks whether a report can be written, before there is one. What is shown otherwise
/// goes aside if the report is for standard output.
///
/// # Errors
/// When a report must not or cannot go where it is wanted.
pub(crate) fn prepare(to: &ReportPath<'_>, console: &mut Console<'_>) -> Result<(), Trouble> {
    let target = to.target(console.streams)?;
    if let Target::New(path) | Target::Old(path, _) = &target {
        tempfile::tempfile_in(directory(path)).or_trouble(
            format!("no file can be made in {}", path_text(directory(path))),
            "Have the report put elsewhere by --report.",
        )?;
    }
    console.output_taken = matches!(target, Target::Output);
    Ok(())
}

/// Downloads the report of an import, and says where it is, unless it was shown. A
/// regular file is whole or not there. If the reader of a pipe leaves, the rest is not
/// downloaded.
///
/// # Errors
/// When there is none, or it cannot be fetched or written.
pub(crate) async fn download(
    id: &str,
    to: &ReportPath<'_>,
    api: &mut Api,
    console: &mut Console<'_>,
) -> Result<Option<PathBuf>, Trouble> {
    let link = api.get(&["imports", id, "errors"], &[]).await?;
    let url = link["url"].as_str().unwrap_or_default();
    let target = to.target(console.streams)?;
    let unwritten = format!("the report cannot be written to {}", text(&target));
    let elsewhere = format!("Have it put elsewhere: muster imports errors {id} --report <PATH>");
    let sink = Sink::open(target, console).await;
    let mut sink = sink.or_trouble(&unwritten, &elsewhere)?;
    let again = format!("Try again: muster imports errors {id}");
    let mut response = fetch(url, &again).await?;
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(reqwest::Error::without_url)
        .or_trouble("the report breaks off", &again)?
    {
        match sink.write(&piece).await {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(None),
            written => written.or_trouble(&unwritten, &elsewhere)?,
        }
    }
    match sink.finish().await {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(None),
        finished => finished.or_trouble(unwritten, elsewhere),
    }
}

async fn fetch(url: &str, again: &str) -> Result<Response, Trouble> {
    let request = http::transfer(url)?.get(url);
    // Who has the link has the report, so that no complaint shows it.
    let response = request.send().await.map_err(reqwest::Error::without_url);
    let response = response.or_trouble("the report cannot be fetched", again)?;
    s3::granted(response, "the report").await
}

/// A target, as a complaint names it.
fn text(target: &Target) -> String {
    match target {
        Target::Output => "standard output".to_owned(),
        Target::Aside => "standard error".to_owned(),
        Target::Stream(path)
        | Target::Pipe { path, .. }
        | Target::Socket(path)
        | Target::New(path)
        | Target::Old(path, _) => path_text(path),
        Target::Beside(path) => path_text(directory(path)),
    }
}
