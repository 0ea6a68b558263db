//! Where the report about an import's refused rows can be downloaded: an address
//! that is signed, and needs no token.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use muster_core::failure::Failure;
use muster_core::import::{ImportItem, ImportStatus};
use muster_core::time::Time;
use muster_http::problem::{Kind, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::values;

/// How long an address is good.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// A file that can be downloaded.
#[derive(Serialize, ToSchema)]
#[schema(
    as = ImportErrors,
    examples(json!({
        "url": "https://muster-uploads.s3.eu-central-1.amazonaws.com/reports/019aafb0-0000-7000-8000-000000000000/errors.csv?X-Amz-Algorithm=AWS4-HMAC-SHA256",
        "expires_at": "2026-11-24T08:15:00.000Z",
    }))
)]
pub struct ReportLink {
    /// For `GET`, without a token: whoever knows it can read the file.
    #[schema(format = "uri")]
    url: String,
    /// Until when.
    #[schema(value_type = values::Time)]
    expires_at: String,
}

/// Signs an address of an import's report. No call is made for it.
///
/// # Errors
/// 404 if there is no report.
pub async fn link(s3: &Client, import: &ImportItem, now: Time) -> Result<ReportLink, Problem> {
    let key = import.report_key.as_ref().ok_or_else(|| missing(import))?;
    let name = format!("attachment; filename=\"errors-{}.csv\"", import.id);
    let lifetime = PresigningConfig::builder()
        .start_time(now.into())
        .expires_in(LIFETIME)
        .build()
        .map_err(|error| Failure::unreadable("build PresigningConfig", error))?;
    let request = s3
        .get_object()
        .bucket(&import.bucket)
        .key(key)
        .response_content_disposition(name)
        .presigned(lifetime)
        .await
        .map_err(|error| Failure::of("presign GetObject", error))?;
    Ok(ReportLink {
        url: request.uri().to_owned(),
        expires_at: now.after(LIFETIME).to_string(),
    })
}

/// Why there is no report.
fn missing(import: &ImportItem) -> Problem {
    match import.status {
        ImportStatus::Completed => none_refused(),
        status if status.is_final() => Problem::new(
            Kind::NotFound,
            "the import was not finished, and has no report",
        ),
        _ => not_over(),
    }
}

/// There is nothing to report.
pub fn none_refused() -> Problem {
    Problem::new(Kind::NotFound, "no row of this import was refused")
}

/// It is not written yet.
pub fn not_over() -> Problem {
    Problem::new(
        Kind::NotFound,
        "the import is not over; its report comes at the end",
    )
}
