//! The refused rows: a part for each checkpoint. `assembly` makes one file of them.
//!
//! A row of the report is the row of the file and behind it where and why it
//! was refused, so that it can be corrected and uploaded again as it is: the
//! reasons are passed over then, and what was defused is restored.

use std::borrow::Cow;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::AggregatedBytes;
use bytes::Bytes;
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ImportId;
use muster_imports::chunk::ChunkItem;
use muster_imports::csv::formula::{defused, defused_first};
use muster_imports::csv::header::{Header, REPORT_COLUMNS};
use muster_imports::import::{ImportItem, report_part};

use crate::row::{BadRow, RowError};

/// What a report is, for who downloads it.
pub const CONTENT_TYPE: &str = "text/csv; charset=utf-8";
/// Tries of a part again, each of which is three of the SDK's.
const MAX_TRIES: u32 = 10;
/// The wait before the second try; so much longer before each further one.
const BACK_OFF: Duration = Duration::from_millis(200);
/// What is between the errors of one row. A spreadsheet may cut at others.
const BETWEEN_ERRORS: &str = " | ";
/// Keeps reports in S3.
pub struct Reports {
    /// Where they are.
    pub(crate) s3: Client,
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

    /// Has the part of a chunk that has these rows among those of its parts, in the
    /// order of their lines; answers with its name. It is written once: another
    /// worker that comes by finds it.
    ///
    /// # Errors
    /// When S3 does not take it, or does not give a part, or the rows cannot be read.
    pub async fn merge_part(
        &self,
        import: &ImportItem,
        chunk: &ChunkItem,
        header: &Header,
        (count, rows): (usize, impl Future<Output = Result<Vec<BadRow>, Failure>>),
    ) -> Result<String, Failure> {
        let name = part_name(chunk.checkpoints, &format!("with-{count}-more"));
        let bucket = &import.bucket;
        let key = report_part(import.id, chunk.number, &name);
        if self.get(bucket, &key).await.is_ok() {
            return Ok(name);
        }
        let mut merged = part(header, &rows.await?)?;
        for name in &chunk.parts {
            let key = report_part(import.id, chunk.number, name);
            let bytes = self.read_part(bucket, &key).await?;
            merged.extend_from_slice(&bytes.into_bytes());
        }
        let bytes = in_order(header, &merged)?.into();
        self.put(bucket, &key, bytes).await?;
        Ok(name)
    }

    /// Throws away what was uploaded of a report. If that fails, the bucket's
    /// lifecycle does it.
    pub async fn abort(&self, bucket: &str, key: &str, upload_id: &str) {
        let call = self.s3.abort_multipart_upload();
        let call = call.bucket(bucket).key(key).upload_id(upload_id);
        if let Err(error) = call.send().await {
            let error = Failure::of("AbortMultipartUpload", error);
            tracing::info!(%error, "pieces of an older report stay for a day");
        }
    }

    /// Reads a part. One in ten thousand that does not come is no reason to begin
    /// again.
    ///
    /// # Errors
    /// When S3 does not hand it out for long.
    pub async fn read_part(&self, bucket: &str, key: &str) -> Result<AggregatedBytes, Failure> {
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

    /// Writes an object at once.
    ///
    /// # Errors
    /// When S3 does not take it.
    pub async fn put(&self, bucket: &str, key: &str, bytes: Bytes) -> Result<(), Failure> {
        self.s3
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type(CONTENT_TYPE)
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

/// The first line of a report.
///
/// # Errors
/// When it cannot be written.
pub fn header_line(header: &Header) -> Result<Vec<u8>, Failure> {
    let names = &header.names()[..header.width()];
    let own = defused_cells(names.iter().map(String::as_str));
    let reasons = REPORT_COLUMNS.map(str::to_owned);
    csv_lines([own.into_iter().chain(reasons)])
}

fn part(header: &Header, rows: &[BadRow]) -> Result<Vec<u8>, Failure> {
    csv_lines(rows.iter().map(|row| report_row(header.width(), row)))
}

/// The rows of a part by the lines that they are on.
fn in_order(header: &Header, part: &[u8]) -> Result<Vec<u8>, Failure> {
    let line = |row: &csv::ByteRecord| -> Option<u64> {
        let line = row.get(header.width())?;
        std::str::from_utf8(line).ok()?.parse().ok()
    };
    let mut rows: Vec<_> = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(part)
        .into_byte_records()
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::unreadable("read report", error))?;
    rows.sort_by_key(line);
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer
            .write_byte_record(&row)
            .map_err(|error| Failure::unreadable("write report", error))?;
    }
    writer
        .into_inner()
        .map_err(|error| Failure::unreadable("write report", error.into_error()))
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
    use muster_core::people::validation::Violation;
    use muster_core::platform::time::Time;
    use muster_imports::csv::records::{Limits, Records};

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
