//! What S3 says when it refuses. It is asked by presigned requests, which carry
//! all that it wants to know: it never gets a token of ours.

use reqwest::Response;
use serde::Deserialize;

use crate::table::harmless;
use crate::trouble::Trouble;

/// The body of a refusal, as far as people care.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Refusal {
    code: String,
    message: String,
}

/// The answer, if S3 did what it was asked for.
///
/// # Errors
/// S3's own words, and what to do about them.
pub(crate) async fn granted(response: Response, what: &str) -> Result<Response, Trouble> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.text().await.unwrap_or_default();
    let Refusal { code, message } = quick_xml::de::from_str(&body).unwrap_or_default();
    let said = match code.is_empty() {
        true => status.to_string(),
        false => format!("{code}: {message}"),
    };
    Err(Trouble::new(
        format!("S3 refuses {what}: {}", harmless(&said)),
        remedy(&code),
    ))
}

fn remedy(code: &str) -> &'static str {
    match code {
        "EntityTooLarge" => "Split the file, and import the parts, each with the header row.",
        "EntityTooSmall" => "Look whether the file is whole: it holds too little to be one.",
        "AccessDenied" | "ExpiredToken" => {
            "What S3 is asked by is good for some time only, so it may have expired. Try again."
        }
        "RequestTimeout" => "The network is too slow, or was away. Try again.",
        "NoSuchKey" => "It has been deleted: reports are kept for ReportRetentionDays.",
        _ => "Try again. If it stays, look at the bucket's policy.",
    }
}
