//! An uploaded file, pinned to the version that was announced.
//!
//! A key can be overwritten while its import runs. Every read therefore says
//! which ETag it expects; another one ends the import with a reason instead of
//! mixing two files.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::StalledStreamProtectionConfig;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_types::SdkConfig;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::failure_reason::FailureReason;
use muster_core::platform::aws::AwsSettings;
use muster_core::platform::failure::Failure;

/// How long a body may stand still. A reader that waits for throttled writes
/// takes no bytes meanwhile, which the SDK would mistake for a dead line.
const STALLED_STREAM_GRACE: Duration = Duration::from_secs(120);

/// An S3 client for reading files that are worked on while they arrive.
pub fn s3_client(settings: &AwsSettings, config: &SdkConfig) -> Client {
    let config = aws_sdk_s3::config::Builder::from(config)
        .force_path_style(settings.endpoint().is_some())
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled()
                .grace_period(STALLED_STREAM_GRACE)
                .build(),
        )
        .build();
    Client::from_conf(config)
}

/// One version of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// In which bucket.
    pub bucket: String,
    /// Which object.
    pub key: String,
    /// Which version, with or without quotes.
    pub etag: String,
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// It is gone or another one: the import cannot go on.
    #[error("{}: {}", .0.code, .0.detail)]
    Refused(FailureReason),
    /// S3 did not do its part.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Object {
    /// Opens a range of bytes, or the whole file.
    ///
    /// # Errors
    /// See [`Unread`].
    pub async fn open(&self, s3: &Client, range: Option<Range<u64>>) -> Result<Opened, Unread> {
        if range.as_ref().is_some_and(Range::is_empty) {
            // S3 knows no range of no bytes.
            return Ok(Opened::default());
        }
        let range = range.map(|range| format!("bytes={}-{}", range.start, range.end - 1));
        let output = s3
            .get_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .if_match(quoted(&self.etag))
            .set_range(range)
            .send()
            .await
            .map_err(unread)?;
        Ok(Opened {
            metadata: output.metadata.unwrap_or_default(),
            body: output.body,
        })
    }
}

/// A file that is being read.
#[derive(Debug, Default)]
pub struct Opened {
    /// The object's own metadata (`x-amz-meta-…`).
    pub metadata: HashMap<String, String>,
    body: ByteStream,
}

impl Opened {
    /// The next bytes as they arrive; `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let next = self.body.next().await.transpose();
        next.map_err(|error| Failure::Unavailable {
            operation: "GetObject",
            source: Box::new(error),
        })
    }
}

/// An entity tag is quoted in HTTP; in S3's events it is not.
fn quoted(etag: &str) -> String {
    format!("\"{}\"", etag.trim_matches('"'))
}

fn unread(error: SdkError<GetObjectError>) -> Unread {
    match error
        .raw_response()
        .map(|response| response.status().as_u16())
    {
        Some(404) => Unread::Refused(FailureReason::new(
            "object_missing",
            "the file was removed before it was imported",
        )),
        Some(412) => Unread::Refused(FailureReason::new(
            "object_replaced",
            "the file was overwritten before it was imported",
        )),
        _ => match Failure::of("GetObject", error) {
            failure if failure.is_transient() => Unread::Failed(failure),
            // Trying again for ever would not tell anybody.
            failure => Unread::Refused(FailureReason::new(
                "object_unreadable",
                format!("S3 does not hand the file out: {failure}"),
            )),
        },
    }
}

/// The file of an import, in the version that was announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileVersion {
    /// Every read is pinned to this.
    pub etag: String,
    /// In bytes.
    pub size: u64,
    /// S3's order of the events for the object.
    pub sequencer: String,
}
