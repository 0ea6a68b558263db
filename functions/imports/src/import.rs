//! Imports and their chunks, as items.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use crate::csv::header::Header;
use crate::failure_reason::FailureReason;
use crate::object::{FileVersion, Object};
use crate::options::{Confirm, Options};
use muster_core::platform::due::Kind;
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ImportId;
use muster_core::platform::table::expired;
use muster_core::platform::table::{Key, text};
use muster_core::platform::time::Time;

/// The partition of the `listing` index that all imports are in. One is
/// enough: imports are started by hand, not by the thousand a second.
pub const IMPORT_LIST: &str = "LIST#import";

/// The longest name of a file, as most file systems have it.
pub const MAX_FILE_NAME_CHARS: usize = 255;

/// What an import is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportStatus {
    /// Made; its file is still to be uploaded.
    AwaitingUpload,
    /// The file is there; somebody wants to say when it starts.
    AwaitingStart,
    /// Nobody has looked into the file yet.
    Queued,
    /// The planner cuts the file; chunks cut already are being imported.
    Planning,
    /// All chunks are known and being imported.
    Running,
    /// All rows are answered; the report is being written.
    Reporting,
    /// Every row was imported or skipped.
    Completed,
    /// Some rows were refused; the report says which and why.
    CompletedWithErrors,
    /// No more rows are begun; mails that are still to go are called off.
    Cancelling,
    /// It stands still where it was stopped, and may be resumed.
    Cancelled,
    /// It could not be imported, or not whole; the reason says why.
    Failed,
}

impl ImportStatus {
    /// The status as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingUpload => "awaiting_upload",
            Self::AwaitingStart => "awaiting_start",
            Self::Queued => "queued",
            Self::Planning => "planning",
            Self::Running => "running",
            Self::Reporting => "reporting",
            Self::Completed => "completed",
            Self::CompletedWithErrors => "completed_with_errors",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing more will happen by itself.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::CompletedWithErrors | Self::Cancelled | Self::Failed
        )
    }

    /// Whether rows are being imported.
    pub const fn imports(self) -> bool {
        matches!(self, Self::Planning | Self::Running)
    }
}

/// The status as an attribute value.
impl From<ImportStatus> for AttributeValue {
    fn from(status: ImportStatus) -> Self {
        text(status.as_str())
    }
}

/// Whether an import whose file is there waits for somebody to start it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// It starts by itself.
    #[default]
    Automatic,
    /// It waits.
    Manual,
}

/// Rows by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Became a profile.
    pub created: u64,
    /// Changed a profile.
    pub updated: u64,
    /// Had an address that another row or profile has already.
    pub skipped: u64,
    /// Were refused; the report says why.
    pub failed: u64,
}

impl Counts {
    /// No rows.
    pub const NONE: Self = Self {
        created: 0,
        updated: 0,
        skipped: 0,
        failed: 0,
    };

    /// All rows that were answered.
    pub const fn rows(&self) -> u64 {
        self.created + self.updated + self.skipped + self.failed
    }
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            created: self.created + other.created,
            updated: self.updated + other.updated,
            skipped: self.skipped + other.skipped,
            failed: self.failed + other.failed,
        }
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), std::ops::Add::add)
    }
}

/// How far the planner has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Chunks cut so far: the number of the next one.
    pub chunks: u32,
    /// Rows in them.
    pub rows: u64,
    /// First byte that is in none of them.
    pub position: u64,
    /// The line that byte is on.
    pub line: u64,
}

/// How far the report of the refused rows has come that is put together as a
/// multipart upload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportProgress {
    /// All parts that it was begun with, and rows that lost their places to others.
    /// With another number it is another report: both only ever grow.
    pub of: usize,
    /// Parts that the pieces hold.
    pub parts: usize,
    /// S3's name of the upload.
    pub upload_id: String,
    /// Pieces uploaded.
    pub pieces: usize,
}

impl ReportProgress {
    /// Nothing yet of a report of so many parts.
    pub fn of(parts: usize) -> Self {
        Self {
            of: parts,
            ..Self::default()
        }
    }
}

/// An import as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImportItem {
    /// Its id.
    pub id: ImportId,
    /// Where its file is, or is to be.
    pub bucket: String,
    /// Which object.
    pub key: String,
    /// Which version of it, once it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileVersion>,
    /// What the file is called where it comes from. People name files after people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// Who had it start, as the token or S3 says; none where neither does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
    /// Until when the file can be uploaded, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_until: Option<Time>,
    /// What is done with the people in it.
    pub options: Options,
    /// Whether it waits to be started.
    #[serde(default)]
    pub start: Start,
    /// What it is at.
    pub status: ImportStatus,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<FailureReason>,
    /// The names of the columns, once the file was looked into.
    #[serde(default)]
    pub header: Vec<String>,
    /// How far the planner has come, once there is a chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Planned>,
    /// How many of its chunks wait in the queue at most: chunk `n` is followed
    /// by chunk `n + lanes`.
    #[serde(default)]
    pub lanes: u32,
    /// How many chunks there are, once all are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunks: Option<u32>,
    /// How many rows there are, once all are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// What became of the rows, as long as nothing more happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// The object that lists the refused rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_key: Option<String>,
    /// How far the report has come, while it is put together in pieces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_progress: Option<ReportProgress>,
    /// Tries to write the report since its last piece that ended in a crash, and
    /// the one under way.
    #[serde(default)]
    pub report_attempts: u32,
    /// Who is planning or reporting, and until when nobody else may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_owner: Option<String>,
    /// End of the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Time>,
    /// When it was recorded.
    pub created_at: Time,
    /// When it was started, or resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// Rows that were answered before then.
    #[serde(default)]
    pub answered_before: u64,
    /// When it reached a final status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
    /// Partition of the `listing` index.
    pub list: String,
    /// Sort key of the `listing` index.
    pub list_sort: String,
    /// Partition of the `due` index, until it is final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_shard: Option<String>,
    /// When somebody should look after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<String>,
    /// When it and its chunks count as absent, in seconds since 1970: see
    /// [`IMPORT_LIFETIME`]. None while its file is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

impl ImportItem {
    /// An import that starts by itself, of an object that is to come.
    pub fn new(id: ImportId, bucket: String, key: String, now: Time) -> Self {
        Self {
            id,
            bucket,
            key,
            file: None,
            file_name: None,
            started_by: None,
            upload_until: None,
            options: Options::default(),
            start: Start::Automatic,
            status: ImportStatus::AwaitingUpload,
            reason: None,
            header: Vec::new(),
            planned: None,
            lanes: 0,
            chunks: None,
            rows: None,
            counts: None,
            report_key: None,
            report_progress: None,
            report_attempts: 0,
            lease_owner: None,
            lease_until: None,
            created_at: now,
            started_at: None,
            answered_before: 0,
            completed_at: None,
            list: IMPORT_LIST.to_owned(),
            list_sort: format!("{now}#{id}"),
            due_shard: Some(due_shard(id)),
            due_at: Some(now.after(OVERDUE_AFTER).to_string()),
            expires_at: None,
        }
    }

    /// Whether it counts as being there: time-to-live removes it late.
    pub fn is_present(&self, now: Time) -> bool {
        !expired(self.expires_at, now)
    }

    /// The file, in the version that was announced, if it is there.
    pub fn object(&self) -> Option<Object> {
        let file = self.file.as_ref()?;
        Some(Object {
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            etag: file.etag.clone(),
        })
    }

    /// Its columns, as the planner kept them.
    ///
    /// # Errors
    /// When they cannot be understood.
    pub fn columns(&self) -> Result<Header, Failure> {
        Header::of_names(self.header.clone())
            .map_err(|reason| Failure::unreadable("read header", reason.detail))
    }

    /// Whether somebody made it, and was asked for its file; others begin with a
    /// file that was dropped.
    pub const fn was_made(&self) -> bool {
        self.upload_until.is_some()
    }

    /// Whether it writes mails.
    pub fn sends_mails(&self) -> bool {
        self.options.confirm == Confirm::Send && !self.options.dry_run
    }

    /// How many chunks are known.
    pub fn known_chunks(&self) -> u32 {
        self.planned.map_or(0, |planned| planned.chunks)
    }
}

/// The newest event seen for an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectItem {
    /// S3's order of events for the key, padded so that it sorts as text.
    pub sequencer: String,
    /// The import that this version of the object became.
    pub import_id: ImportId,
    /// When it is removed, in seconds since 1970. No event of the object comes so
    /// late: queues keep them for two weeks at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

/// How long an import, its chunks and what is known of its object are kept after it
/// began, or was given up before: names of files may be personal. An import can be
/// resumed for thirty days, so none still runs by then.
pub const IMPORT_LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// When an import that begins now is removed, in seconds since 1970.
pub const fn import_expiry(now: Time) -> i64 {
    now.after(IMPORT_LIFETIME).as_seconds()
}

/// The key of an import.
pub fn import_key(id: ImportId) -> Key {
    Key {
        pk: format!("IMPORT#{id}"),
        sk: "IMPORT".to_owned(),
    }
}

/// The key of what is known about an object's events.
pub fn object_key(bucket: &str, key: &str) -> Key {
    Key {
        pk: format!("OBJECT#{bucket}/{key}"),
        sk: "OBJECT".to_owned(),
    }
}

/// The object that lists the refused rows of an import.
pub fn report_key(import: ImportId) -> String {
    format!("reports/{import}/errors.csv")
}

/// The part of a report that one checkpoint of a chunk wrote.
pub fn report_part(import: ImportId, chunk: u32, name: &str) -> String {
    format!("reports/{import}/parts/{chunk:06}-{name}.csv")
}

/// What an import or a chunk loses that nobody works on, or need look after.
pub const AT_REST: &str = "REMOVE lease_owner, lease_until, due_shard, due_at";

/// Why an import failed whose file never came. If it comes after all, it is
/// imported.
pub const UPLOAD_EXPIRED: &str = "upload_expired";
/// Why an import failed of which some chunks were given up; they can be run again.
pub const CHUNKS_FAILED: &str = "chunks_failed";

/// The partition of the `due` index that an import and its chunks are in.
pub fn due_shard(import: ImportId) -> String {
    Kind::Work.of_import(import)
}

/// How long the nudge for a chunk, or the end of an import that runs, is waited
/// for before somebody looks. A chunk may stand in the queue behind others.
pub const OVERDUE_AFTER: Duration = Duration::from_secs(15 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_each_by_itself() {
        let some = Counts {
            created: 1,
            updated: 20,
            skipped: 300,
            failed: 4000,
        };
        let others = Counts {
            created: 5,
            updated: 50,
            skipped: 500,
            failed: 5000,
        };
        let sum = Counts {
            created: 6,
            updated: 70,
            skipped: 800,
            failed: 9000,
        };
        assert_eq!(some + others, sum);
        assert_eq!((some.rows(), sum.rows()), (4321, 9876));
    }
}
