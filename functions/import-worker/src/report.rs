//! The refused rows: a part for each checkpoint, and at the end one file.
//!
//! A row of the report is the row of the file and behind it where and why it
//! was refused, so that it can be corrected and uploaded again as it is: the
//! reasons are passed over then, and what was defused is restored.

use std::borrow::Cow;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadError;
use aws_sdk_s3::primitives::AggregatedBytes;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::{self, StreamExt};
use muster_core::failure::Failure;
use muster_core::formula::{defused, defused_first};
use muster_core::header::{Header, REPORT_COLUMNS};
use muster_core::ids::ImportId;
use muster_core::import::{report_key, report_part};

use crate::row::{BadRow, RowError};

/// Parts that are read at once; none is much longer than [`PART_BYTES`].
const PARTS_AT_ONCE: usize = 4;
/// What a checkpoint that is all refused makes.
const PART_BYTES: usize = 1024 * 1024;
/// Tries of a part again, each of which is three of the SDK's.
const MAX_TRIES: u32 = 10;
/// The wait before the second try; so much longer before each further one.
const BACK_OFF: Duration = Duration::from_millis(200);
/// S3 may take minutes to put a big upload together.
const TIME_TO_COMPLETE: Duration = Duration::from_secs(100);
/// What is between the errors of one row. A spreadsheet may cut at others.
const BETWEEN_ERRORS: &str = " | ";
/// The pieces of a multipart upload: S3 takes none under 5 MiB but the last.
const PIECE_BYTES: usize = 5 * 1024 * 1024;

/// Writes reports to S3.
pub struct Reports {
    s3: Client,
}

impl Reports {
    /// Reports through that client.
    pub const fn new(s3: Client) -> Self {
        Self { s3 }
    }

    /// Writes the part of one checkpoint; answers with its name.
    ///
    /// # Errors
    /// When S3 does not take it.
    pub async fn write_part(
        &self,
        place: Place<'_>,
        header: &Header,
        rows: &[BadRow],
    ) -> Result<String, Failure> {
        let name = part_name(place.checkpoint, place.owner);
        let key = report_part(place.import, place.chunk, &name);
        let bytes = part(header, rows)?.into();
        self.put(place.bucket, &key, bytes).await?;
        Ok(name)
    }

    /// Puts the parts together behind a header line; answers with the key.
    ///
    /// # Errors
    /// When S3 does not do its part.
    pub async fn assemble<'p>(
        &self,
        bucket: &str,
        import: ImportId,
        header: &Header,
        parts: impl Iterator<Item = (u32, &'p str)>,
    ) -> Result<String, Failure> {
        let key = report_key(import);
        let mut file = ReportFile::new(self, bucket, &key);
        file.buffer.extend(header_line(header)?);
        let mut parts = stream::iter(parts)
            .map(async |(chunk, name)| {
                let part = report_part(import, chunk, name);
                self.get_patiently(bucket, &part).await
            })
            .buffered(PARTS_AT_ONCE);
        while let Some(bytes) = parts.next().await {
            file.append(bytes?).await?;
        }
        file.close().await?;
        Ok(key)
    }

    /// One part in ten thousand that does not come is no reason to begin anew.
    async fn get_patiently(&self, bucket: &str, key: &str) -> Result<AggregatedBytes, Failure> {
        let mut tries = 0;
        loop {
            match self.get(bucket, key).await {
                Err(failure) if failure.is_transient() && tries < MAX_TRIES => {
                    tries += 1;
                    tokio::time::sleep(BACK_OFF * tries).await;
                }
                result => return result,
            }
        }
    }

    async fn get(&self, bucket: &str, key: &str) -> Result<AggregatedBytes, Failure> {
        let output = self
            .s3
            .get_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
            .map_err(|error| Failure::of("GetObject", error))?;
        let body = output.body.collect().await;
        body.map_err(|error| Failure::Unavailable {
            operation: "GetObject",
            source: Box::new(error),
        })
    }

    async fn put(&self, bucket: &str, key: &str, bytes: Bytes) -> Result<(), Failure> {
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
    /// Who writes it. Whoever writes the same part again may see other rows in
    /// the way; which one counts, the checkpoint says.
    pub owner: &'a str,
}

fn part_name(checkpoint: u32, owner: &str) -> String {
    format!("{checkpoint:06}-{owner}")
}

/// A report being written: at once while it is small, in pieces once it grows,
/// so that memory does not grow with it.
struct ReportFile<'a> {
    reports: &'a Reports,
    bucket: &'a str,
    key: &'a str,
    buffer: BytesMut,
    upload_id: Option<String>,
    pieces: Vec<CompletedPart>,
}

impl<'a> ReportFile<'a> {
    fn new(reports: &'a Reports, bucket: &'a str, key: &'a str) -> Self {
        Self {
            reports,
            bucket,
            key,
            // What is not written to is no memory; what is, serves all pieces.
            buffer: BytesMut::with_capacity(PIECE_BYTES + PART_BYTES),
            upload_id: None,
            pieces: Vec::new(),
        }
    }

    async fn append(&mut self, part: AggregatedBytes) -> Result<(), Failure> {
        self.buffer.put(part);
        if self.buffer.len() >= PIECE_BYTES {
            self.upload_piece().await?;
        }
        Ok(())
    }

    async fn close(mut self) -> Result<(), Failure> {
        if self.upload_id.is_none() {
            return self
                .reports
                .put(self.bucket, self.key, self.buffer.freeze())
                .await;
        }
        if !self.buffer.is_empty() {
            self.upload_piece().await?;
        }
        let patient = TimeoutConfig::builder()
            .operation_attempt_timeout(TIME_TO_COMPLETE)
            .operation_timeout(TIME_TO_COMPLETE)
            .build();
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
            .customize()
            .config_override(aws_sdk_s3::config::Builder::new().timeout_config(patient))
            .send()
            .await
            .map_err(not_completed)?;
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
            .body(self.buffer.split().freeze().into())
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

/// The SDK repeats a call whose reply was lost. If it was done, there is no such
/// upload any more: putting the report together anew does no harm.
fn not_completed(error: SdkError<CompleteMultipartUploadError>) -> Failure {
    let operation = "CompleteMultipartUpload";
    match error.code() {
        Some("NoSuchUpload") => Failure::Unavailable {
            operation,
            source: error.into(),
        },
        _ => Failure::of(operation, error),
    }
}

fn header_line(header: &Header) -> Result<Vec<u8>, Failure> {
    let names = &header.names()[..header.width()];
    let own = defused_cells(names.iter().map(String::as_str));
    let reasons = REPORT_COLUMNS.map(str::to_owned);
    csv_lines([own.into_iter().chain(reasons)])
}

fn part(header: &Header, rows: &[BadRow]) -> Result<Vec<u8>, Failure> {
    csv_lines(rows.iter().map(|row| report_row(header.width(), row)))
}

/// A row with too few or too many fields must not push the reason into another
/// column: what is missing is empty, what is too much is said with the reason.
fn report_row(width: usize, row: &BadRow) -> Vec<String> {
    let texts: Vec<_> = row.fields.iter().map(|field| text(field)).collect();
    let (own, more) = texts.split_at(width.min(texts.len()));
    let mut cells = defused_cells(own.iter().map(|text| &**text));
    cells.resize(width, String::new());
    cells.push(row.line.to_string());
    cells.extend(reasons(&row.errors, more).map(|reason| defused(&reason).into_owned()));
    cells
}

fn text(field: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(field)
}

fn defused_cells<'a>(cells: impl Iterator<Item = &'a str>) -> Vec<String> {
    let defuse = |(index, cell)| match index {
        0 => defused_first(cell),
        _ => defused(cell),
    };
    let cells = cells.enumerate().map(defuse);
    cells.map(Cow::into_owned).collect()
}

/// Columns, codes and sentences of what is wrong, each in the same order.
fn reasons(errors: &[RowError], more: &[Cow<'_, str>]) -> [String; 3] {
    let joined = |part: fn(&RowError) -> &str| {
        let parts: Vec<_> = errors.iter().map(part).collect();
        parts.join(BETWEEN_ERRORS)
    };
    let mut details = joined(|error| &error.violation.detail);
    if !more.is_empty() {
        details = format!("{details}; too many: {}", more.join(", "));
    }
    [
        joined(|error| error.column.as_deref().unwrap_or_default()),
        joined(|error| error.violation.code),
        details,
    ]
}

fn csv_lines<R, F>(rows: impl IntoIterator<Item = R>) -> Result<Vec<u8>, Failure>
where
    R: IntoIterator<Item = F>,
    F: AsRef<str>,
{
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        let cells = row.into_iter();
        let mut record = csv::StringRecord::new();
        cells.for_each(|cell| record.push_field(cell.as_ref()));
        writer
            .write_record(&record)
            .map_err(|error| Failure::unreadable("write report", error))?;
    }
    writer
        .into_inner()
        .map_err(|error| Failure::unreadable("write report", error.into_error()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::records::{Limits, Records};
    use muster_core::time::Time;
    use muster_core::violation::Violation;

    use crate::row::RowReader;

    fn error(column: Option<&str>, code: &'static str, detail: &str) -> RowError {
        RowError {
            column: column.map(str::to_owned),
            violation: Violation::new(code, detail),
        }
    }

    fn bad(fields: &[&[u8]]) -> BadRow {
        let error = error(Some("email"), "invalid_email", "not an e-mail address");
        BadRow {
            line: 7,
            errors: vec![error],
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
            bad(&[b"=HYPERLINK(1)", b"+44 20 7946 0958"]),
            bad(&[b"+44", b"x;=1", b"y;=2"]),
        ];
        report.extend(part(&header, &rows).unwrap());
        assert_eq!(
            String::from_utf8(report).unwrap(),
            "email,note,error_line,error_column,error_code,error_message\n\
             ada,\"a \"\"quote\"\"\nand a line\",7,email,invalid_email,not an e-mail address\n\
             bob,,7,email,invalid_email,not an e-mail address\n\
             c,\u{FFFD},7,email,invalid_email,not an e-mail address; too many: extra\n\
             '=HYPERLINK(1),+44 20 7946 0958,7,email,invalid_email,not an e-mail address\n\
             '+44,x;'=1,7,email,invalid_email,not an e-mail address; too many: y;'=2\n"
        );
    }

    #[test]
    fn all_errors_of_a_row_are_in_one_row_of_the_report() {
        let bad = BadRow {
            errors: vec![
                error(None, "too_many_attributes", "at most 50"),
                error(Some("email"), "invalid_email", "not an e-mail address"),
                error(Some("Locale"), "invalid_locale", "such as de-AT"),
            ],
            ..bad(&[b"ada", b"x"])
        };
        assert_eq!(
            report_row(2, &bad)[2..],
            [
                "7",
                " | email | Locale",
                "too_many_attributes | invalid_email | invalid_locale",
                "at most 50 | not an e-mail address | such as de-AT",
            ]
        );
    }

    #[test]
    fn the_report_of_a_report_has_the_rows_of_the_file() {
        let names = ["email", "'=note"].into_iter().chain(REPORT_COLUMNS);
        let header = Header::parse(names.map(str::as_bytes)).unwrap();
        let line = header_line(&header).unwrap();
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "email,'=note,error_line,error_column,error_code,error_message\n"
        );
        let reader = RowReader::new(ImportId::of_event("b", "k", "1"), header.clone(), false);
        let file = b"ada,'=1+1,7,email,invalid_email,not an e-mail address\n";
        let mut records = Records::resume(0, 2, Limits::NONE);
        let record = records.next(&mut &file[..]).unwrap().unwrap();
        let bad = reader.read(&record, Time::from_millis(0)).unwrap_err();
        assert_eq!(bad.fields, [&b"ada"[..], b"=1+1"]);
        let row = report_row(header.width(), &bad);
        assert_eq!(row[..4], ["ada", "'=1+1", "2", "email"]);
    }
}
