//! What operators see of imports.

use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ImportId;
use muster_core::platform::table::Table;
use muster_core::platform::time::Time;
use muster_imports::chunk::{ChunkItem, chunks_of};
use muster_imports::failure_reason::FailureReason;
use muster_imports::import::{Counts, ImportItem, ImportStatus, Start};
use muster_imports::options::{Confirm, OnConflict, Options};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::imports::upload_form::{self, Upload};
use crate::openapi::values;

/// An import.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Import, examples(example))]
pub(crate) struct ImportView {
    #[schema(value_type = values::Id)]
    id: ImportId,
    #[schema(value_type = values::ImportState)]
    status: ImportStatus,
    /// Why it failed, if it did.
    #[schema(required)]
    reason: Option<ReasonView>,
    /// The file.
    object: ObjectView,
    /// What the file is called where it comes from, if that is known.
    #[schema(required)]
    file_name: Option<String>,
    /// Who had it start: the client or the person of a token, or for a file that was
    /// dropped whom S3 names.
    #[schema(required)]
    started_by: Option<String>,
    /// Its bytes, once it is there.
    #[schema(required)]
    size: Option<u64>,
    options: OptionsView,
    #[schema(value_type = values::ImportStart)]
    start: Start,
    rows: RowsView,
    chunks: ChunksView,
    /// While it is `planning`, `running` or `reporting`.
    #[schema(required)]
    progress: Option<Progress>,
    /// The file that has the rows that were refused, if there are any.
    #[schema(required)]
    report: Option<ObjectView>,
    #[schema(value_type = values::Time)]
    created_at: String,
    /// When it was started, or resumed, if it was.
    #[schema(value_type = Option<values::Time>, required)]
    started_at: Option<String>,
    /// When it was over, if it is.
    #[schema(value_type = Option<values::Time>, required)]
    completed_at: Option<String>,
}

/// An import that was made, and where its file goes.
#[derive(Serialize, ToSchema)]
#[schema(examples(created_example))]
pub(crate) struct CreatedImport {
    #[serde(flatten)]
    import: ImportView,
    /// `null` once the file is there, or is not waited for any more.
    #[schema(required)]
    upload: Option<Upload>,
}

impl CreatedImport {
    /// The answer to whoever made it.
    pub(crate) const fn new(import: ImportView, upload: Option<Upload>) -> Self {
        Self { import, upload }
    }
}

/// One, as the document shows it.
pub(crate) fn example() -> Value {
    let id = "019aafb0-0000-5000-8000-000000000000";
    json!({
        "id": id,
        "status": "completed_with_errors",
        "reason": null,
        "object": { "bucket": "muster-uploads", "key": "uploads/people.csv" },
        "file_name": "people.csv",
        "started_by": "AWS:AIDAEXAMPLE",
        "size": 1_250_000,
        "options": { "on_conflict": "skip", "confirm": "skip", "dry_run": false },
        "start": "automatic",
        "rows": { "total": 20000, "created": 19990, "updated": 0, "skipped": 7, "failed": 3 },
        "chunks": { "total": 1, "done": 1, "failed": [] },
        "progress": null,
        "report": { "bucket": "muster-uploads", "key": format!("reports/{id}/errors.csv") },
        "created_at": "2026-11-24T08:00:00.000Z",
        "started_at": "2026-11-24T08:00:00.350Z",
        "completed_at": "2026-11-24T08:00:41.250Z",
    })
}

fn created_example() -> Value {
    let id = "019aafb0-0000-7000-8000-000000000000";
    json!({
        "id": id,
        "status": "awaiting_upload",
        "reason": null,
        "object": { "bucket": "muster-uploads", "key": format!("uploads/_/{id}.csv") },
        "file_name": "people.csv",
        "started_by": "5g2example",
        "size": null,
        "options": { "on_conflict": "update", "confirm": "skip", "dry_run": false },
        "start": "automatic",
        "rows": { "total": null, "created": 0, "updated": 0, "skipped": 0, "failed": 0 },
        "chunks": { "total": null, "done": 0, "failed": [] },
        "progress": null,
        "report": null,
        "created_at": "2026-11-24T08:00:00.000Z",
        "started_at": null,
        "completed_at": null,
        "upload": upload_form::example(),
    })
}

/// Why something failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportReason)]
struct ReasonView {
    /// For programs: a code stays what it is.
    #[schema(examples("no_email_column"))]
    code: String,
    /// For people.
    detail: String,
}

impl From<FailureReason> for ReasonView {
    fn from(FailureReason { code, detail }: FailureReason) -> Self {
        Self { code, detail }
    }
}

/// An object in S3.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = S3Object)]
struct ObjectView {
    bucket: String,
    key: String,
}

/// What is done with the people in the file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportOptions)]
struct OptionsView {
    #[schema(value_type = values::ImportConflict)]
    on_conflict: OnConflict,
    #[schema(value_type = values::ImportConfirm)]
    confirm: Confirm,
    /// Whether it only looks what would become of the rows.
    dry_run: bool,
}

impl From<Options> for OptionsView {
    fn from(options: Options) -> Self {
        Self {
            on_conflict: options.on_conflict,
            confirm: options.confirm,
            dry_run: options.dry_run,
        }
    }
}

/// Rows, by what became of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportRows)]
struct RowsView {
    /// Known once the whole file has been looked through.
    #[schema(required)]
    total: Option<u64>,
    /// Became a profile.
    created: u64,
    /// Changed a profile.
    updated: u64,
    /// Had an address that another row or profile has already.
    skipped: u64,
    /// Were refused; the report says why.
    failed: u64,
}

impl RowsView {
    const fn new(total: Option<u64>, counts: Counts) -> Self {
        Self {
            total,
            created: counts.created,
            updated: counts.updated,
            skipped: counts.skipped,
            failed: counts.failed,
        }
    }
}

/// The pieces that a file is imported in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportChunks)]
struct ChunksView {
    /// Known once the whole file has been looked through.
    #[schema(required)]
    total: Option<u32>,
    /// All of whose rows are answered.
    done: usize,
    /// Given up; they can be run again.
    failed: Vec<FailedChunk>,
}

/// A piece of a file that was given up.
#[derive(Debug, Serialize, ToSchema)]
struct FailedChunk {
    /// Which one, from 0.
    number: u32,
    /// The line of the file that it starts on.
    #[schema(minimum = 1)]
    first_line: u64,
    /// Why.
    reason: ReasonView,
}

/// How far an import is.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = ImportProgress)]
struct Progress {
    /// Of the file's bytes, those whose rows are answered.
    #[schema(minimum = 0, maximum = 100)]
    percent: f64,
    /// Since it was started, or resumed.
    #[schema(minimum = 0)]
    rows_per_second: f64,
    /// At that speed; `null` as long as it cannot be told.
    #[schema(required)]
    seconds_left: Option<u64>,
}

/// An import as it is now.
///
/// # Errors
/// When the table cannot be read.
pub(crate) async fn view(
    table: &Table,
    item: ImportItem,
    now: Time,
) -> Result<ImportView, Failure> {
    let chunks = telling_chunks(table, &item).await?;
    let (counts, done) = match item.counts.zip(item.chunks) {
        Some((counts, all)) if is_complete(&item) => (counts, all as usize),
        _ => (
            // Once it stands still, it knows of rows that lost their place to others.
            item.counts
                .unwrap_or_else(|| chunks.iter().map(|chunk| chunk.counts).sum()),
            chunks.iter().filter(|chunk| chunk.done).count(),
        ),
    };
    Ok(ImportView {
        progress: progress(&item, &chunks, now),
        id: item.id,
        status: item.status,
        reason: item.reason.map(ReasonView::from),
        file_name: item.file_name,
        started_by: item.started_by,
        size: item.file.map(|file| file.size),
        options: item.options.into(),
        start: item.start,
        report: item.report_key.map(|key| ObjectView {
            bucket: item.bucket.clone(),
            key,
        }),
        object: ObjectView {
            bucket: item.bucket,
            key: item.key,
        },
        rows: RowsView::new(item.rows, counts),
        chunks: ChunksView {
            total: item.chunks,
            done,
            failed: chunks.into_iter().filter_map(failed).collect(),
        },
        created_at: item.created_at.to_string(),
        started_at: item.started_at.map(|time| time.to_string()),
        completed_at: item.completed_at.map(|time| time.to_string()),
    })
}

/// The chunks that tell what the import does not.
async fn telling_chunks(table: &Table, item: &ImportItem) -> Result<Vec<ChunkItem>, Failure> {
    if is_complete(item) || item.planned.is_none() {
        return Ok(Vec::new());
    }
    chunks_of(table, item.id).await
}

/// Whether all chunks are done, and the import says what came of them.
const fn is_complete(item: &ImportItem) -> bool {
    matches!(
        item.status,
        ImportStatus::Completed | ImportStatus::CompletedWithErrors
    )
}

fn failed(chunk: ChunkItem) -> Option<FailedChunk> {
    Some(FailedChunk {
        number: chunk.number,
        first_line: chunk.first_line,
        reason: chunk.failed?.into(),
    })
}

fn progress(item: &ImportItem, chunks: &[ChunkItem], now: Time) -> Option<Progress> {
    let reporting = item.status == ImportStatus::Reporting;
    if !item.status.imports() && !reporting {
        return None;
    }
    let size = item.file.as_ref()?.size as f64;
    let bytes: u64 = chunks
        .iter()
        .map(|chunk| chunk.position - chunk.start)
        .sum();
    let answered = chunks
        .iter()
        .map(|chunk| chunk.counts)
        .sum::<Counts>()
        .rows();
    let percent = match reporting {
        true => 100.0,
        false => 100.0 * bytes as f64 / size.max(1.0),
    };
    let speed = speed(item, answered, now);
    // Of the report nobody can tell how long it takes.
    let left = rows(item, size).filter(|_| !reporting && speed > 0.0);
    Some(Progress {
        percent: rounded(percent),
        rows_per_second: rounded(speed),
        seconds_left: left.map(|rows| ((rows - answered as f64).max(0.0) / speed).ceil() as u64),
    })
}

/// Rows in a second.
fn speed(item: &ImportItem, answered: u64, now: Time) -> f64 {
    let Some(started) = item.started_at else {
        return 0.0;
    };
    let millis = now.as_millis() - started.as_millis();
    let rows = answered.saturating_sub(item.answered_before);
    match millis > 0 {
        true => rows as f64 * 1000.0 / millis as f64,
        false => 0.0,
    }
}

/// All rows: as many as there are, or as there are likely to be, going by those
/// that the planner has seen.
fn rows(item: &ImportItem, size: f64) -> Option<f64> {
    let known = item.rows.map(|rows| rows as f64);
    known.or_else(|| {
        let planned = item.planned?;
        Some(planned.rows as f64 * size / (planned.position as f64).max(1.0))
    })
}

fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_imports::import::Planned;
    use muster_imports::object::FileVersion;

    const STARTED: Time = Time::from_millis(1_000_000);

    /// One of 1,000 bytes, of which the planner has seen 600 with 30 rows.
    fn import(status: ImportStatus) -> ImportItem {
        let id = ImportId::of_event("b", "k", "1");
        let file = FileVersion {
            etag: "e".to_owned(),
            size: 1000,
            sequencer: "1".to_owned(),
        };
        ImportItem {
            status,
            file: Some(file),
            planned: Some(Planned {
                chunks: 2,
                rows: 30,
                position: 600,
                line: 32,
            }),
            started_at: Some(STARTED),
            ..ImportItem::new(id, "b".to_owned(), "k".to_owned(), STARTED)
        }
    }

    fn chunk(start: u64, position: u64, rows: u64) -> ChunkItem {
        ChunkItem {
            position,
            counts: Counts {
                created: rows - 1,
                failed: 1,
                ..Counts::default()
            },
            ..ChunkItem::new(ImportId::of_event("b", "k", "1"), 0, start..300, 2, 15)
        }
    }

    /// After four seconds, with 10 rows of 200 bytes answered.
    fn seen(import: &ImportItem) -> Option<(f64, f64, Option<u64>)> {
        let chunks = [chunk(20, 140, 6), chunk(300, 380, 4)];
        let now = Time::from_millis(STARTED.as_millis() + 4_000);
        let progress = progress(import, &chunks, now)?;
        Some((
            progress.percent,
            progress.rows_per_second,
            progress.seconds_left,
        ))
    }

    #[test]
    fn progress_is_what_is_answered() {
        // 1,000 bytes may have 50 rows, so 40 are left.
        let planning = import(ImportStatus::Planning);
        assert_eq!(seen(&planning), Some((20.0, 2.5, Some(16))));
        let running = ImportItem {
            rows: Some(31),
            ..import(ImportStatus::Running)
        };
        assert_eq!(seen(&running), Some((20.0, 2.5, Some(9))));
        let reporting = ImportItem {
            status: ImportStatus::Reporting,
            ..running
        };
        assert_eq!(seen(&reporting), Some((100.0, 2.5, None)));
    }

    #[test]
    fn what_was_answered_before_a_resume_is_not_its_speed() {
        let resumed = ImportItem {
            answered_before: 4,
            ..import(ImportStatus::Running)
        };
        assert_eq!(seen(&resumed), Some((20.0, 1.5, Some(27))));
        let standing = ImportItem {
            answered_before: 10,
            ..import(ImportStatus::Running)
        };
        assert_eq!(seen(&standing), Some((20.0, 0.0, None)));
    }

    #[test]
    fn nobody_knows_before_it_begins() {
        let unseen = ImportItem {
            planned: None,
            ..import(ImportStatus::Planning)
        };
        let progress = progress(&unseen, &[], STARTED);
        let nothing = Progress {
            percent: 0.0,
            rows_per_second: 0.0,
            seconds_left: None,
        };
        assert_eq!(progress, Some(nothing));
        for status in [
            ImportStatus::Queued,
            ImportStatus::Completed,
            ImportStatus::Cancelling,
            ImportStatus::Failed,
        ] {
            assert_eq!(seen(&import(status)), None, "{status:?}");
        }
    }
}
