//! Chunks: runs of whole records of an import's file.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::failure_reason::FailureReason;
use crate::import::{Counts, ImportItem, ImportStatus, import_key};
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ImportId;
use muster_core::platform::table::{Key, Table};
use muster_core::platform::time::Time;

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
    /// Why it is given up, until somebody has it run again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailureReason>,
    /// Tries since the last checkpoint that ended in a crash, or in something
    /// that trying again does not mend.
    #[serde(default)]
    pub attempts: u32,
    /// What the last of them said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Checkpoints committed so far.
    pub checkpoints: u32,
    /// First byte not answered yet.
    pub position: u64,
    /// The line that byte is on.
    pub line: u64,
    /// What became of the rows before it.
    pub counts: Counts,
    /// The parts of the report that belong to them.
    #[serde(default)]
    pub parts: Vec<String>,
    /// Whether a worker ever had it: rows may be written behind the last
    /// checkpoint.
    #[serde(default)]
    pub begun: bool,
    /// Whether the mails of its rows go.
    #[serde(default)]
    pub mails: Call,
    /// How far they are called off, or on again, while that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calling: Option<Calling>,
    /// Who is working on it, and until when nobody else may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_owner: Option<String>,
    /// End of the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Time>,
    /// Partition of the `due` index, while it is in the queue or in work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_shard: Option<String>,
    /// When somebody should look after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<String>,
    /// When it is removed, in seconds since 1970: as its import is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

/// Whether the mails of a chunk's rows go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// They go.
    #[default]
    On,
    /// They do not.
    Off,
    /// Some do and some do not: somebody has begun to call them off, or on again.
    Turning,
}

/// How far somebody has come who calls mails off, or on again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calling {
    /// Which of the two.
    pub call: Call,
    /// First byte of the rows whose mails were not called yet.
    pub position: u64,
    /// The line that byte is on.
    pub line: u64,
    /// Mails before it that somebody had in hand: they are to be looked at again.
    pub in_hand: u64,
}

/// What there is to do for a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Rows are to be imported.
    Import,
    /// Mails of its rows are to be called off: the import was cancelled.
    CallOff,
    /// They are to go after all: it was resumed.
    CallOn,
    /// Whoever works on it is to stop.
    Stop,
}

impl ChunkItem {
    /// A chunk that nobody is told of yet: those bytes, the first of which is on
    /// that line, and so many rows.
    pub const fn new(
        import_id: ImportId,
        number: u32,
        bytes: Range<u64>,
        first_line: u64,
        rows: u64,
    ) -> Self {
        Self {
            import_id,
            number,
            start: bytes.start,
            end: bytes.end,
            first_line,
            rows,
            done: false,
            failed: None,
            attempts: 0,
            trouble: None,
            checkpoints: 0,
            position: bytes.start,
            line: first_line,
            counts: Counts::NONE,
            parts: Vec::new(),
            begun: false,
            mails: Call::On,
            calling: None,
            lease_owner: None,
            lease_until: None,
            due_shard: None,
            due_at: None,
            expires_at: None,
        }
    }

    /// What there is to do for it; nothing, if it is settled.
    pub fn job(&self, import: &ImportItem) -> Option<Job> {
        if import.status == ImportStatus::Cancelling {
            let has_mails = import.sends_mails() && self.begun;
            return match (has_mails && self.mails != Call::Off, &self.lease_owner) {
                (true, _) => Some(Job::CallOff),
                (false, Some(_)) => Some(Job::Stop),
                (false, None) => None,
            };
        }
        if self.mails != Call::On {
            return Some(Job::CallOn);
        }
        (!self.done && self.failed.is_none()).then_some(Job::Import)
    }

    /// Where to go on with calling mails: where somebody stopped who called them the
    /// same way, or at the first row.
    pub fn calling(&self, call: Call) -> Calling {
        let goes_on = self.calling.filter(|calling| calling.call == call);
        goes_on.unwrap_or(Calling {
            call,
            position: self.start,
            line: self.first_line,
            in_hand: 0,
        })
    }

    /// Whether nothing is to be done for it.
    pub fn is_settled(&self, import: &ImportItem) -> bool {
        self.job(import).is_none()
    }
}

/// What the sort keys of an import's chunks start with.
pub const CHUNK_PREFIX: &str = "CHUNK#";

/// The chunks of an import that are cut so far, by number, as they are now.
///
/// # Errors
/// When the table cannot be read, or an item cannot be understood.
pub async fn chunks_of(table: &Table, import: ImportId) -> Result<Vec<ChunkItem>, Failure> {
    table.list(&import_key(import).pk, CHUNK_PREFIX).await
}

/// The key of an import's chunk. Six digits, so that chunks sort by number.
pub fn chunk_key(import: ImportId, number: u32) -> Key {
    Key {
        pk: format!("IMPORT#{import}"),
        sk: format!("{CHUNK_PREFIX}{number:06}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Confirm, Options};

    fn import(status: ImportStatus, confirm: Confirm) -> ImportItem {
        let id = ImportId::of_event("b", "k", "1");
        let now = Time::from_millis(0);
        ImportItem {
            status,
            options: Options {
                confirm,
                ..Options::default()
            },
            ..ImportItem::new(id, "b".to_owned(), "k".to_owned(), now)
        }
    }

    fn chunk() -> ChunkItem {
        ChunkItem::new(ImportId::of_event("b", "k", "1"), 0, 10..90, 2, 5)
    }

    #[test]
    fn what_there_is_to_do_follows_from_chunk_and_import() {
        let running = import(ImportStatus::Running, Confirm::Send);
        let stopped = import(ImportStatus::Cancelling, Confirm::Send);
        let without_mails = import(ImportStatus::Cancelling, Confirm::Skip);
        let leased = Some("somebody".to_owned());
        let failed = Some(FailureReason::new(
            "attempts_used_up",
            "three came to nothing",
        ));
        for (chunk, goes_on, stops, stops_without_mails) in [
            (chunk(), Some(Job::Import), None, None),
            (
                ChunkItem {
                    begun: true,
                    ..chunk()
                },
                Some(Job::Import),
                Some(Job::CallOff),
                None,
            ),
            (
                ChunkItem {
                    begun: true,
                    lease_owner: leased,
                    ..chunk()
                },
                Some(Job::Import),
                Some(Job::CallOff),
                Some(Job::Stop),
            ),
            (
                ChunkItem {
                    begun: true,
                    done: true,
                    ..chunk()
                },
                None,
                Some(Job::CallOff),
                None,
            ),
            (
                ChunkItem {
                    begun: true,
                    failed,
                    ..chunk()
                },
                None,
                Some(Job::CallOff),
                None,
            ),
            (
                ChunkItem {
                    begun: true,
                    done: true,
                    mails: Call::Off,
                    ..chunk()
                },
                Some(Job::CallOn),
                None,
                None,
            ),
            (
                ChunkItem {
                    begun: true,
                    mails: Call::Turning,
                    ..chunk()
                },
                Some(Job::CallOn),
                Some(Job::CallOff),
                None,
            ),
        ] {
            assert_eq!(chunk.job(&running), goes_on, "{chunk:?}");
            assert_eq!(chunk.job(&stopped), stops, "{chunk:?}");
            assert_eq!(chunk.job(&without_mails), stops_without_mails, "{chunk:?}");
            assert_eq!(chunk.is_settled(&running), goes_on.is_none());
        }
    }
}
