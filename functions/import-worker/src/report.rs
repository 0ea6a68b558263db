//! The refused rows: a part for each checkpoint, and at the end one file.
//!
//! A row of the report is the row of the file and behind it where and why it
//! was refused, so that it can be corrected and uploaded again.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use muster_core::failure::Failure;
use muster_core::header::Header;
use muster_core::ids::ImportId;
use muster_core::import::{report_key, report_part, report_parts};

use crate::row::BadRow;

/// What stands behind the columns of the file.
const REPORT_COLUMNS: [&str; 4] = ["error_line", "error_column", "error_code", "error_message"];
/// The pieces of a multipart upload: S3 takes none under 5 MiB but the last.
const PIECE_BYTES: usize = 8 * 1024 * 1024;

/// Writes reports to S3.
pub struct Reports {
    s3: Client,
}

impl Reports {
    /// Reports through that client.
    pub const fn new(s3: Client) -> Self {
        Self { s3 }
    }

    /// Writes the part of one checkpoint. The same checkpoint always writes
    /// the same bytes to the same key, so doing it again changes nothing.
    ///
    /// # Errors
    /// When S3 does not take it.
    pub async fn write_part(
        &self,
        place: Place<'_>,
        header: &Header,
        rows: &[BadRow],
    ) -> Result<(), Failure> {
        let key = report_part(place.import, place.chunk, place.checkpoint);
        self.put(place.bucket, &key, part(header, rows)?).await
    }

    /// Puts all parts together behind a header line; answers with the key.
    ///
    /// # Errors
    /// When S3 does not do its part.
    pub async fn assemble(
        &self,
        bucket: &str,
        import: ImportId,
        header: &Header,
    ) -> Result<String, Failure> {
        let key = report_key(import);
        let mut file = ReportFile::new(self, bucket, &key, header_line(header)?);
        for part in self.parts(bucket, import).await? {
            file.append(self.get(bucket, &part).await?).await?;
        }
        file.close().await?;
        Ok(key)
    }

    /// The keys of the parts; they sort by chunk and checkpoint.
    async fn parts(&self, bucket: &str, import: ImportId) -> Result<Vec<String>, Failure> {
        let mut pages = self
            .s3
            .list_objects_v2()
            .bucket(bucket)
            .prefix(report_parts(import))
            .into_paginator()
            .send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Failure::of("ListObjectsV2", error))?;
            keys.extend(
                page.contents
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|object| object.key),
            );
        }
        keys.sort_unstable();
        Ok(keys)
    }

    async fn get(&self, bucket: &str, key: &str) -> Result<Vec<u8>, Failure> {
        let output = self
            .s3
            .get_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
            .map_err(|error| Failure::of("GetObject", error))?;
        let bytes = output
            .body
            .collect()
            .await
            .map_err(|error| Failure::Unavailable {
                operation: "GetObject",
                source: Box::new(error),
            })?;
        Ok(bytes.to_vec())
    }

    async fn put(&self, bucket: &str, key: &str, bytes: Vec<u8>) -> Result<(), Failure> {
        self.s3
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type("text/csv; charset=utf-8")
            .body(bytes.into())
            .send()
            .await
            .map_err(|error| Failure::of("PutObject", error))?;
        Ok(())
    }
}

/// Where a part belongs.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The bucket of the import's file.
    pub bucket: &'a str,
    /// The import.
    pub import: ImportId,
    /// Which chunk.
    pub chunk: u32,
    /// Which checkpoint of it.
    pub checkpoint: u32,
}

/// A report being written: at once while it is small, in pieces once it grows,
/// so that memory does not grow with it.
struct ReportFile<'a> {
    reports: &'a Reports,
    bucket: &'a str,
    key: &'a str,
    buffer: Vec<u8>,
    upload_id: Option<String>,
    pieces: Vec<CompletedPart>,
}

impl<'a> ReportFile<'a> {
    const fn new(reports: &'a Reports, bucket: &'a str, key: &'a str, buffer: Vec<u8>) -> Self {
        Self {
            reports,
            bucket,
            key,
            buffer,
            upload_id: None,
            pieces: Vec::new(),
        }
    }

    async fn append(&mut self, bytes: Vec<u8>) -> Result<(), Failure> {
        self.buffer.extend(bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.upload_piece().await?;
        }
        Ok(())
    }

    async fn close(mut self) -> Result<(), Failure> {
        if self.upload_id.is_none() {
            return self.reports.put(self.bucket, self.key, self.buffer).await;
        }
        if !self.buffer.is_empty() {
            self.upload_piece().await?;
        }
        let whole = CompletedMultipartUpload::builder()
            .set_parts(Some(self.pieces))
            .build();
        self.reports
            .s3
            .complete_multipart_upload()
            .bucket(self.bucket)
            .key(self.key)
            .set_upload_id(self.upload_id)
            .multipart_upload(whole)
            .send()
            .await
            .map_err(|error| Failure::of("CompleteMultipartUpload", error))?;
        Ok(())
    }

    async fn upload_piece(&mut self) -> Result<(), Failure> {
        let upload_id = self.upload_id().await?;
        let number = i32::try_from(self.pieces.len() + 1).unwrap_or(i32::MAX);
        let output = self
            .reports
            .s3
            .upload_part()
            .bucket(self.bucket)
            .key(self.key)
            .upload_id(upload_id)
            .part_number(number)
            .body(std::mem::take(&mut self.buffer).into())
            .send()
            .await
            .map_err(|error| Failure::of("UploadPart", error))?;
        let piece = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(output.e_tag)
            .build();
        self.pieces.push(piece);
        Ok(())
    }

    /// An upload that a crash leaves behind goes by the bucket's lifecycle.
    async fn upload_id(&mut self) -> Result<String, Failure> {
        if self.upload_id.is_none() {
            let output = self
                .reports
                .s3
                .create_multipart_upload()
                .bucket(self.bucket)
                .key(self.key)
                .content_type("text/csv; charset=utf-8")
                .send()
                .await
                .map_err(|error| Failure::of("CreateMultipartUpload", error))?;
            self.upload_id = output.upload_id;
        }
        Ok(self.upload_id.clone().unwrap_or_default())
    }
}

fn header_line(header: &Header) -> Result<Vec<u8>, Failure> {
    let names = header.names().iter().map(String::as_str);
    csv_lines([names.chain(REPORT_COLUMNS)])
}

fn part(header: &Header, rows: &[BadRow]) -> Result<Vec<u8>, Failure> {
    let width = header.names().len();
    csv_lines(rows.iter().map(|row| {
        let line = row.line.to_string().into_bytes();
        let reason = [
            line,
            row.column.clone().unwrap_or_default().into_bytes(),
            row.violation.code.as_bytes().to_vec(),
            row.violation.detail.clone().into_bytes(),
        ];
        // A row with too few or too many fields must not push the reason into
        // another column.
        let fields = row
            .fields
            .iter()
            .cloned()
            .chain(std::iter::repeat(Vec::new()));
        fields.take(width).map(text_only).chain(reason)
    }))
}

/// The report is UTF-8 whatever the file was.
fn text_only(field: Vec<u8>) -> Vec<u8> {
    match String::from_utf8(field) {
        Ok(text) => text.into_bytes(),
        Err(error) => String::from_utf8_lossy(error.as_bytes())
            .into_owned()
            .into_bytes(),
    }
}

fn csv_lines<R, F>(rows: impl IntoIterator<Item = R>) -> Result<Vec<u8>, Failure>
where
    R: IntoIterator<Item = F>,
    F: AsRef<[u8]>,
{
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer
            .write_record(row)
            .map_err(|error| Failure::unreadable("write report", error))?;
    }
    writer
        .into_inner()
        .map_err(|error| Failure::unreadable("write report", error.into_error()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::violation::Violation;

    fn bad(fields: &[&[u8]]) -> BadRow {
        BadRow {
            line: 7,
            column: Some("email".to_owned()),
            violation: Violation::new("invalid_email", "not an e-mail address"),
            fields: fields.iter().map(|field| field.to_vec()).collect(),
        }
    }

    #[test]
    fn the_row_comes_first_and_the_reason_behind_it() {
        let header = Header::parse([&b"email"[..], b"note"]).unwrap();
        let mut report = header_line(&header).unwrap();
        let rows = [
            bad(&[b"ada", b"a \"quote\"\nand a line"]),
            bad(&[b"bob"]),
            bad(&[b"c", b"\xff", b"extra"]),
        ];
        report.extend(part(&header, &rows).unwrap());
        assert_eq!(
            String::from_utf8(report).unwrap(),
            "email,note,error_line,error_column,error_code,error_message\n\
             ada,\"a \"\"quote\"\"\nand a line\",7,email,invalid_email,not an e-mail address\n\
             bob,,7,email,invalid_email,not an e-mail address\n\
             c,\u{FFFD},7,email,invalid_email,not an e-mail address\n"
        );
    }
}
