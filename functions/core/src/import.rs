//! Imports and their chunks, as items.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::due::Kind;
use crate::ids::ImportId;
use crate::table::Key;
use crate::time::Time;

/// The partition of the `listing` index that all imports are in. One is
/// enough: imports are started by hand, not by the thousand a second.
pub const IMPORT_LIST: &str = "LIST#import";

/// What an import is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportStatus {
    /// Recorded; nobody has looked into the file yet.
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
    /// The file could not be imported; the reason says why.
    Failed,
}

impl ImportStatus {
    /// The status as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Planning => "planning",
            Self::Running => "running",
            Self::Reporting => "reporting",
            Self::Completed => "completed",
            Self::CompletedWithErrors => "completed_with_errors",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing more will happen.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::CompletedWithErrors | Self::Failed
        )
    }
}

/// Whether imported people are asked to confirm their address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confirm {
    /// No mail.
    #[default]
    Skip,
    /// A confirmation mail each.
    Send,
}

impl Confirm {
    /// The option as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Send => "send",
        }
    }

    /// The option as an operator writes it; nothing is the default.
    ///
    /// # Errors
    /// `invalid_option`.
    pub fn parse(text: Option<&str>) -> Result<Self, FailureReason> {
        match text {
            None => Ok(Self::default()),
            Some("skip") => Ok(Self::Skip),
            Some("send") => Ok(Self::Send),
            Some(_) => Err(FailureReason::new(
                "invalid_option",
                "the object's metadata says confirm, which must be skip or send",
            )),
        }
    }
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

/// Why an import failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureReason {
    /// Stable, `snake_case`.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
}

impl FailureReason {
    /// A reason with this code and sentence.
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            detail: detail.into(),
        }
    }
}

/// An import as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImportItem {
    /// Its id.
    pub id: ImportId,
    /// Where its file is.
    pub bucket: String,
    /// Which object.
    pub key: String,
    /// Which version of it: every read is pinned to this.
    pub etag: String,
    /// Size of the file in bytes.
    pub size: u64,
    /// S3's order of events for this key.
    pub sequencer: String,
    /// Whether the people get a confirmation mail.
    pub confirm: Confirm,
    /// What it is at.
    pub status: ImportStatus,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<FailureReason>,
    /// The names of the columns.
    #[serde(default)]
    pub header: Vec<String>,
    /// How many chunks there are, once all are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunks: Option<u32>,
    /// How many rows there are, once all are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// What became of the rows, once all are answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// The object that lists the refused rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_key: Option<String>,
    /// Who is planning or reporting, and until when nobody else may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_owner: Option<String>,
    /// End of the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Time>,
    /// When it was recorded.
    pub created_at: Time,
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
}

impl ImportItem {
    /// The file, in the version that was announced.
    pub fn object(&self) -> crate::object::Object {
        crate::object::Object {
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            etag: self.etag.clone(),
        }
    }
}

/// A run of whole records of an import's file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChunkItem {
    /// Whose chunk.
    pub import_id: ImportId,
    /// Which one, from 0.
    pub number: u32,
    /// First byte.
    pub start: u64,
    /// Byte behind the last.
    pub end: u64,
    /// The line that the first byte is on.
    pub first_line: u64,
    /// Records in it.
    pub rows: u64,
    /// Whether all its rows are answered.
    pub done: bool,
    /// Checkpoints committed so far.
    pub checkpoints: u32,
    /// First byte not answered yet.
    pub position: u64,
    /// The line that byte is on.
    pub line: u64,
    /// What became of the rows before it.
    pub counts: Counts,
    /// Who is working on it, and until when nobody else may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_owner: Option<String>,
    /// End of the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Time>,
    /// Partition of the `due` index, until it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_shard: Option<String>,
    /// When somebody should look after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<String>,
}

/// The newest event seen for an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectItem {
    /// S3's order of events for the key, padded so that it sorts as text.
    pub sequencer: String,
    /// The import that this version of the object became.
    pub import_id: ImportId,
}

/// The key of an import.
pub fn import_key(id: ImportId) -> Key {
    Key {
        pk: format!("IMPORT#{id}"),
        sk: "IMPORT".to_owned(),
    }
}

/// What the sort keys of an import's chunks start with.
pub const CHUNK_PREFIX: &str = "CHUNK#";

/// The key of an import's chunk. Six digits, so that chunks sort by number.
pub fn chunk_key(import: ImportId, number: u32) -> Key {
    Key {
        pk: format!("IMPORT#{import}"),
        sk: format!("{CHUNK_PREFIX}{number:06}"),
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

/// What the keys of the parts of a report start with.
pub fn report_parts(import: ImportId) -> String {
    format!("reports/{import}/parts/")
}

/// The part of a report that one checkpoint writes: the same checkpoint
/// always writes the same part, so that repeating it changes nothing.
pub fn report_part(import: ImportId, chunk: u32, checkpoint: u32) -> String {
    format!("{}{chunk:06}-{checkpoint:06}.csv", report_parts(import))
}

/// The partition of the `due` index that an import and its chunks are in.
pub fn due_shard(import: ImportId) -> String {
    Kind::Work.of_import(import)
}

/// How long the nudge for a chunk, or the end of an import that runs, is waited
/// for before somebody looks. A chunk may stand in the queue behind others.
pub const OVERDUE_AFTER: Duration = Duration::from_secs(15 * 60);
