//! The parts of a report, put together to one file: piece by piece, so that
//! memory does not grow with it, and a report of gigabytes need not be written
//! by one worker.
//!
//! A small report is one object. A bigger one is a multipart upload: the parts
//! are read in order, and whenever they fill a piece it is uploaded. How far that
//! came (parts read, pieces uploaded) fits into the import's item, as S3 itself
//! lists the pieces. The next worker goes on with the first part that is in none
//! of them; a piece that was uploaded and not noted is uploaded again.
//!
//! The upload names its checksum, and each piece's is handed back in the end: S3
//! refuses a piece with a checksum that the upload did not name (apache/opendal
//! #4533), and a completion without it (apache/arrow-rs-object-store#568).

use std::error::Error;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::AggregatedBytes;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, Part};
use bytes::{BufMut, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt};
use muster_core::platform::failure::Failure;
use muster_imports::import::ReportProgress;

use crate::report::{CONTENT_TYPE, Reports};

/// Parts that are read at once; few are longer than [`PART_BYTES`].
const PARTS_AT_ONCE: usize = 4;
/// What a checkpoint that is all refused makes.
const PART_BYTES: usize = 1024 * 1024;
/// S3 takes no piece under 5 MiB but the last.
const MIN_PIECE_BYTES: usize = 5 * 1024 * 1024;
/// S3 takes 10,000 pieces. They grow by the smallest one's size with each of so
/// many, so that they hold 250 GiB, and the last is 50 MiB.
const PIECES_OF_A_SIZE: usize = 1000;
/// S3 may take minutes to put a big upload together.
const TIME_TO_COMPLETE: Duration = Duration::from_secs(100);

/// A report that is being put together.
pub(crate) struct Assembly<'a> {
    reports: &'a Reports,
    bucket: &'a str,
    key: &'a str,
    progress: ReportProgress,
    /// Parts that are read, whether or not a piece has them.
    read: usize,
    parts: BoxStream<'a, Result<AggregatedBytes, Failure>>,
    buffer: BytesMut,
}

/// What a step came to.
#[derive(Debug)]
pub(crate) enum Step {
    /// One more piece is uploaded: so far it has come.
    Piece(ReportProgress),
    /// The file is whole.
    Whole,
}

/// Why a step came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAssembled {
    /// S3 does not know the upload any more: all pieces are gone.
    #[error("the upload of the report is gone")]
    UploadGone,
    /// AWS did not do its part.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl<'a> Assembly<'a> {
    /// Puts the parts with these keys together behind a header line, from where
    /// `progress` has come.
    pub(crate) fn new(
        reports: &'a Reports,
        (bucket, key): (&'a str, &'a str),
        header: &[u8],
        parts: Vec<String>,
        progress: ReportProgress,
    ) -> Self {
        // What is not written to is no memory; what is, serves all pieces.
        let mut buffer = BytesMut::with_capacity(MIN_PIECE_BYTES + PART_BYTES);
        if progress.pieces == 0 {
            buffer.extend_from_slice(header);
        }
        let rest = stream::iter(parts.into_iter().skip(progress.parts));
        Self {
            reports,
            bucket,
            key,
            read: progress.parts,
            progress,
            parts: rest
                .map(move |part| async move { reports.read_part(bucket, &part).await })
                .buffered(PARTS_AT_ONCE)
                .boxed(),
            buffer,
        }
    }

    /// Uploads the next piece, or finishes the file.
    ///
    /// # Errors
    /// See [`NotAssembled`]. What was uploaded before stays.
    pub(crate) async fn step(&mut self) -> Result<Step, NotAssembled> {
        let is_full = self.fill().await?;
        if !is_full && self.progress.pieces == 0 {
            let whole = self.buffer.split().freeze();
            self.reports.put(self.bucket, self.key, whole).await?;
            return Ok(Step::Whole);
        }
        if self.buffer.is_empty() {
            self.complete().await?;
            return Ok(Step::Whole);
        }
        self.upload_piece().await?;
        Ok(Step::Piece(self.progress.clone()))
    }

    /// Reads parts until they fill a piece; says whether they do.
    async fn fill(&mut self) -> Result<bool, Failure> {
        let enough = piece_bytes(self.progress.pieces);
        while self.buffer.len() < enough {
            let Some(part) = self.parts.next().await else {
                return Ok(false);
            };
            self.buffer.put(part?);
            self.read += 1;
        }
        Ok(true)
    }

    async fn upload_piece(&mut self) -> Result<(), NotAssembled> {
        if self.progress.upload_id.is_empty() {
            self.progress.upload_id = self.create().await?;
        }
        let number = self.progress.pieces + 1;
        self.reports
            .s3
            .upload_part()
            .bucket(self.bucket)
            .key(self.key)
            .upload_id(&self.progress.upload_id)
            .part_number(i32::try_from(number).unwrap_or(i32::MAX))
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .body(self.buffer.split().freeze().into())
            .send()
            .await
            .map_err(|error| not_assembled("UploadPart", error))?;
        self.progress.pieces = number;
        self.progress.parts = self.read;
        Ok(())
    }

    /// An upload that nobody goes on with goes by the bucket's lifecycle.
    async fn create(&self) -> Result<String, Failure> {
        let output = self
            .reports
            .s3
            .create_multipart_upload()
            .bucket(self.bucket)
            .key(self.key)
            .content_type(CONTENT_TYPE)
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .send()
            .await
            .map_err(|error| Failure::of("CreateMultipartUpload", error))?;
        let missing = || Failure::unreadable("CreateMultipartUpload", "S3 names no upload");
        output.upload_id.ok_or_else(missing)
    }

    async fn complete(&self) -> Result<(), NotAssembled> {
        let pieces = self.pieces().await?;
        let patient = TimeoutConfig::builder()
            .operation_attempt_timeout(TIME_TO_COMPLETE)
            .operation_timeout(TIME_TO_COMPLETE)
            .build();
        let whole = CompletedMultipartUpload::builder()
            .set_parts(Some(pieces))
            .build();
        self.reports
            .s3
            .complete_multipart_upload()
            .bucket(self.bucket)
            .key(self.key)
            .upload_id(&self.progress.upload_id)
            .multipart_upload(whole)
            .customize()
            .config_override(aws_sdk_s3::config::Builder::new().timeout_config(patient))
            .send()
            .await
            .map_err(|error| not_assembled("CompleteMultipartUpload", error))?;
        Ok(())
    }

    /// The pieces, as S3 lists them: a thousand at once.
    async fn pieces(&self) -> Result<Vec<CompletedPart>, NotAssembled> {
        let mut listed = self
            .reports
            .s3
            .list_parts()
            .bucket(self.bucket)
            .key(self.key)
            .upload_id(&self.progress.upload_id)
            .into_paginator()
            .items()
            .send();
        let mut pieces = Vec::with_capacity(self.progress.pieces);
        while let Some(part) = listed.next().await {
            let part = part.map_err(|error| not_assembled("ListParts", error))?;
            pieces.push(completed(part));
        }
        // One that was uploaded and not noted was uploaded again, or is what comes
        // behind the last.
        pieces.truncate(self.progress.pieces);
        match pieces.len() == self.progress.pieces {
            true => Ok(pieces),
            false => Err(NotAssembled::UploadGone),
        }
    }
}

fn completed(part: Part) -> CompletedPart {
    CompletedPart::builder()
        .set_part_number(part.part_number)
        .set_e_tag(part.e_tag)
        .set_checksum_crc32(part.checksum_crc32)
        .build()
}

/// How many bytes fill a piece, by how many there are.
const fn piece_bytes(pieces: usize) -> usize {
    MIN_PIECE_BYTES * (1 + pieces / PIECES_OF_A_SIZE)
}

/// The SDK repeats a call whose reply was lost. If that was a completion, there is
/// no such upload any more either: putting the report together again does no harm.
fn not_assembled<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> NotAssembled
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match error.code() {
        Some("NoSuchUpload") => NotAssembled::UploadGone,
        _ => Failure::of(operation, error).into(),
    }
}
