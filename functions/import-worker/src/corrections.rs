//! Rows that lost their place to an earlier row of the same address.
//!
//! Of several rows with one address the first one counts. Two chunks that hold
//! them run at once, so the later row may be imported first; the earlier one then
//! takes its place (see [`first_row`](crate::first_row)) and leaves a correction in
//! the same transaction. A chunk counts a row as what it first became; the
//! corrections are applied when the import ends. So no chunk waits for another, a
//! row may be worked on again at any time, and where no address occurs twice
//! nothing is written for it.

use std::collections::{BTreeMap, HashMap};

use muster_core::people::profile::Outcome;
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ImportId;
use muster_core::platform::table::{Condition, Key, Table, decode};
use muster_core::platform::time::{Clock, Time};
use muster_imports::chunk::ChunkItem;
use muster_imports::import::{ImportItem, import_expiry, import_key};
use muster_imports::options::OnConflict;
use serde::{Deserialize, Serialize};

use crate::report::Reports;
use crate::row::{BadRow, RowReader};
use crate::unanswered::Unanswered;
use crate::window::{Windows, repeats};

/// What the sort keys of an import's corrections start with.
const PREFIX: &str = "REPEAT#";

/// A row that was imported and lost its place since, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Correction {
    /// Its line.
    pub line: u64,
    /// The line of the row that took its place.
    pub first: u64,
    /// What its chunk counts it as.
    pub was: Outcome,
    /// When it is forgotten, in seconds since 1970. Later than its import: a cancel
    /// counts all rows again.
    pub expires_at: i64,
}

impl Correction {
    /// The row of the line `first` takes the place of that of `line`.
    pub(crate) fn new(line: u64, first: u64, was: Outcome, now: Time) -> Self {
        Self {
            line,
            first,
            was,
            expires_at: import_expiry(now),
        }
    }

    /// The action that stores it. No row loses its place twice.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub(crate) fn put(
        &self,
        table: &Table,
        import: ImportId,
    ) -> Result<aws_sdk_dynamodb::types::TransactWriteItem, Failure> {
        table.put(&key_of(import, self.line), self, &Condition::absent())
    }
}

/// Ten digits, so that they sort by line.
fn key_of(import: ImportId, line: u64) -> Key {
    Key {
        sk: format!("{PREFIX}{line:010}"),
        ..import_key(import)
    }
}

/// What rows of these lines were imported as before they lost their place; at most
/// a hundred.
///
/// # Errors
/// When the table cannot be read.
pub(crate) async fn imported_before(
    table: &Table,
    import: ImportId,
    lines: impl Iterator<Item = u64>,
) -> Result<HashMap<u64, Outcome>, Failure> {
    let keys: Vec<_> = lines.map(|line| key_of(import, line)).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let found = table.get_many(&keys).await?.into_iter().flatten();
    found
        .map(|item| {
            let correction: Correction = decode(item)?;
            Ok((correction.line, correction.was))
        })
        .collect()
}

/// The corrections of an import, each with the chunk of its row.
#[derive(Debug, Default)]
pub(crate) struct Corrections {
    by_chunk: BTreeMap<usize, Vec<Correction>>,
    first: HashMap<u64, u64>,
}

impl Corrections {
    /// Those of rows that these chunks have counted. A chunk that stopped before a
    /// row has not.
    ///
    /// # Errors
    /// When the table cannot be read, or an item cannot be understood.
    pub(crate) async fn of(
        table: &Table,
        import: ImportId,
        chunks: &[ChunkItem],
    ) -> Result<Self, Failure> {
        let mut all = Self::default();
        if chunks.len() < 2 {
            return Ok(all);
        }
        let found: Vec<Correction> = table.list(&import_key(import).pk, PREFIX).await?;
        for correction in found {
            all.first.insert(correction.line, correction.first);
            let behind = chunks.partition_point(|chunk| chunk.first_line <= correction.line);
            let chunk = behind.saturating_sub(1);
            if correction.line < chunks[chunk].line {
                all.by_chunk.entry(chunk).or_default().push(correction);
            }
        }
        Ok(all)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_chunk.values().map(Vec::len).sum()
    }

    /// Counts the rows as what they are now: refused or skipped.
    pub(crate) fn correct_counts(&self, import: &ImportItem, chunks: &mut [ChunkItem]) {
        for (chunk, corrections) in &self.by_chunk {
            let counts = &mut chunks[*chunk].counts;
            for correction in corrections {
                let was = match correction.was {
                    Outcome::Updated => &mut counts.updated,
                    Outcome::Created | Outcome::Unchanged => &mut counts.created,
                };
                *was = was.saturating_sub(1);
                match import.options.on_conflict {
                    OnConflict::Fail => counts.failed += 1,
                    OnConflict::Skip | OnConflict::Update => counts.skipped += 1,
                }
            }
        }
    }

    /// Puts the rows among those that their chunks refused, if they are refused: the
    /// chunk's parts of the report become one. From `until` on no further chunk is
    /// begun; says whether all are done.
    ///
    /// # Errors
    /// When the file or a part cannot be read, or a part cannot be written.
    pub(crate) async fn correct_parts(
        &self,
        import: &ImportItem,
        chunks: &mut [ChunkItem],
        (reports, clock): (&Reports, &Clock),
        until: Time,
    ) -> Result<bool, Failure> {
        if import.options.on_conflict != OnConflict::Fail {
            return Ok(true);
        }
        let reader = RowReader::of(import)?;
        for (index, corrections) in &self.by_chunk {
            if clock.now() >= until {
                return Ok(false);
            }
            let chunk = &chunks[*index];
            let rows = async {
                let rows = self.rows(import, chunk, corrections, (&reader, reports, clock));
                rows.await.map_err(failure)
            };
            let more = (corrections.len(), rows);
            let part = reports.merge_part(import, chunk, reader.header(), more);
            let name = part.await?;
            chunks[*index].parts = vec![name];
        }
        Ok(true)
    }

    /// The rows as they are in the file, refused.
    async fn rows(
        &self,
        import: &ImportItem,
        chunk: &ChunkItem,
        corrections: &[Correction],
        (reader, reports, clock): (&RowReader, &Reports, &Clock),
    ) -> Result<Vec<BadRow>, Unanswered> {
        let object = import
            .object()
            .ok_or_else(|| Failure::unreadable("read import", "it was imported and has no file"))?;
        let bytes = chunk.start..chunk.position;
        let file = object.open(&reports.s3, Some(bytes)).await?;
        let start = (chunk.start, chunk.first_line);
        let mut windows = Windows::new(reader, import.options, file, start, clock);
        let mut rows = Vec::new();
        while let Some(window) = windows.next().await? {
            let lost = window.rows.iter().filter_map(|row| {
                let found = corrections.binary_search_by_key(&row.line, |lost| lost.line);
                found.ok().map(|_| row)
            });
            let refused =
                lost.map(|row| row.refused(Some(reader.email()), repeats(self.first_of(row.line))));
            rows.extend(refused);
        }
        Ok(rows)
    }

    /// The row that has the place now: the one that took it may have lost it, too.
    fn first_of(&self, line: u64) -> u64 {
        let mut first = line;
        while let Some(earlier) = self.first.get(&first) {
            first = *earlier;
        }
        first
    }
}

/// The report cannot be put together; the rows are answered all the same.
fn failure(error: Unanswered) -> Failure {
    match error {
        Unanswered::Failed(failure) => failure,
        error => Failure::unreadable("read the file again", error.to_string()),
    }
}
