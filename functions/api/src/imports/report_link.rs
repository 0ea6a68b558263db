//! Where the report about an import's refused rows can be downloaded: an address
//! that is signed, and needs no token.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use muster_core::platform::failure::Failure;
use muster_core::platform::time::Time;
use muster_http::problem::{Kind, Problem};
use muster_imports::import::{ImportItem, ImportStatus};
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::values;
use crate::problems::{none_refused, not_over};

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
pub(crate) struct ReportLink {
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
pub(crate) async fn link(
    s3: &Client,
    import: &ImportItem,
    now: Time,
) -> Result<ReportLink, Problem> {
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
    match (import.status, &import.reason) {
        (ImportStatus::Completed, _) => none_refused(),
        (status, Some(reason)) if status.is_final() => Problem::new(
            Kind::NotFound,
            format!("the import has no report: {}", reason.detail),
        ),
        (ImportStatus::Cancelled, None) => none_refused_so_far(),
        (status, None) if status.is_final() => none_refused(),
        _ => not_over(),
    }
}

/// It was cancelled before.
fn none_refused_so_far() -> Problem {
    Problem::new(
        Kind::NotFound,
        "no row of this import was refused before it was cancelled",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::platform::aws::AwsSettings;
    use muster_core::platform::ids::ImportId;
    use muster_core::platform::settings::Variables;
    use muster_imports::object::s3_client;

    const NOW: Time = Time::from_millis(1_451_347_200_000);

    async fn link_to(
        report_key: Option<&str>,
        status: ImportStatus,
    ) -> Result<ReportLink, Problem> {
        let mut variables = Variables::from_fn(|name| match name {
            "AWS_REGION" => Some("eu-central-1".to_owned()),
            "AWS_ENDPOINT_URL" => None,
            name => Some(name.to_lowercase()),
        });
        let aws = AwsSettings::read(&mut variables);
        let id = ImportId::of_event("b", "k", "1");
        let import = ImportItem {
            status,
            report_key: report_key.map(str::to_owned),
            ..ImportItem::new(id, "bucket".to_owned(), "k".to_owned(), NOW)
        };
        link(&s3_client(&aws, &aws.sdk_config()), &import, NOW).await
    }

    #[tokio::test]
    async fn a_link_is_signed_for_a_quarter_of_an_hour() {
        let key = Some("reports/x/errors.csv");
        let link = link_to(key, ImportStatus::CompletedWithErrors).await;
        let link = link.unwrap();
        let (address, query) = link.url.split_once('?').unwrap();
        assert_eq!(
            address,
            "https://bucket.s3.eu-central-1.amazonaws.com/reports/x/errors.csv"
        );
        for part in [
            "X-Amz-Date=20151229T000000Z",
            "X-Amz-Expires=900",
            "X-Amz-SignedHeaders=host",
            "X-Amz-Security-Token=aws_session_token",
            "response-content-disposition=attachment%3B%20filename%3D%22errors-",
        ] {
            assert!(query.contains(part), "{part}: {query}");
        }
        assert_eq!(link.expires_at, "2015-12-29T00:15:00.000Z");
    }

    #[tokio::test]
    async fn that_there_is_no_report_has_a_reason() {
        for (status, why) in [
            (ImportStatus::Completed, "no row"),
            (ImportStatus::Running, "not over"),
            (ImportStatus::Cancelled, "before it was cancelled"),
        ] {
            let problem = link_to(None, status).await.err().unwrap();
            assert_eq!(problem.kind(), Kind::NotFound);
            assert!(problem.detail().contains(why), "{}", problem.detail());
        }
    }
}
