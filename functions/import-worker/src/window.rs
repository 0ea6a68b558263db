//! Rows read and checked: what is written between two checkpoints.

use std::collections::HashMap;

use bytes::Bytes;
use muster_core::people::new_profile::NewProfile;
use muster_core::people::validation::Violation;
use muster_core::platform::time::Clock;
use muster_imports::csv::records::{Limits, Record, Records};
use muster_imports::object::Opened;
use muster_imports::options::{OnConflict, Options};

use crate::row::{BadRow, RowError, RowReader};
use crate::unanswered::Unanswered;

/// The most rows between two checkpoints: what a crash makes us do again.
const MAX_ROWS: u64 = 1000;
/// The most bytes of fields between two checkpoints, so that rows of 64 KiB
/// do not make a window of 64 MiB.
const MAX_BYTES: usize = 1024 * 1024;
/// After so many rows, whatever else there is to do has its turn: a few hundred
/// microseconds, so that writes under way do not wait.
const TURN: u64 = 16;

/// A row that asks for a profile.
pub(crate) struct Row {
    /// The profile.
    pub profile: NewProfile,
    /// The line it is on.
    pub line: u64,
    /// The record as it was, if the row may still be refused.
    pub fields: Vec<Vec<u8>>,
}

impl Row {
    /// Refuses it.
    pub(crate) fn refused(&self, column: Option<&str>, violation: Violation) -> BadRow {
        BadRow {
            line: self.line,
            errors: vec![RowError {
                column: column.map(str::to_owned),
                violation,
            }],
            fields: self.fields.clone(),
        }
    }
}

/// The row of that line was first.
pub(crate) fn repeats(line: u64) -> Violation {
    Violation::new(
        "repeated_address",
        format!("line {line} has the same address"),
    )
}

/// The row of that line comes later, and keeps its place.
pub(crate) fn repeats_changed(line: u64) -> Violation {
    Violation::new(
        "repeated_address",
        format!(
            "line {line} has the same address; it was imported before this one, and its profile \
             was changed since"
        ),
    )
}

/// The rows since the last checkpoint.
pub(crate) struct Window {
    /// Those that ask for a profile, each address once.
    pub rows: Vec<Row>,
    /// Those that are refused.
    pub bad: Vec<BadRow>,
    /// Those whose address an earlier row of the window has, and that are not
    /// refused for it.
    pub repeated: u64,
    /// First byte behind it.
    pub position: u64,
    /// The line that byte is on.
    pub line: u64,
    addresses: HashMap<String, u64>,
    on_conflict: OnConflict,
    count: u64,
    bytes: usize,
}

impl Window {
    fn new(options: Options) -> Self {
        Self {
            rows: Vec::new(),
            bad: Vec::new(),
            repeated: 0,
            position: 0,
            line: 0,
            addresses: HashMap::new(),
            on_conflict: options.on_conflict,
            count: 0,
            bytes: 0,
        }
    }

    /// Reads one more row.
    fn add(&mut self, reader: &RowReader, record: &Record<'_>, clock: &Clock) {
        self.count += 1;
        self.bytes += record.fields().map(<[u8]>::len).sum::<usize>();
        let profile = match reader.read(record, clock.now()) {
            Ok(profile) => profile,
            Err(bad) => return self.bad.push(*bad),
        };
        let fields = match self.on_conflict {
            OnConflict::Skip => Vec::new(),
            OnConflict::Update | OnConflict::Fail => reader.own_fields(record),
        };
        let row = Row {
            profile,
            line: record.line,
            fields,
        };
        let key = row.profile.email.key();
        match (self.addresses.get(key), self.on_conflict) {
            (None, _) => {
                self.addresses.insert(key.to_owned(), record.line);
                self.rows.push(row);
            }
            (Some(first), OnConflict::Fail) => {
                self.bad
                    .push(row.refused(Some(reader.email()), repeats(*first)));
            }
            (Some(_), _) => self.repeated += 1,
        }
    }

    /// Whether it is time for a checkpoint.
    const fn is_full(&self) -> bool {
        self.count >= MAX_ROWS || self.bytes >= MAX_BYTES
    }
}

/// Reads a file window by window.
pub(crate) struct Windows<'a> {
    reader: &'a RowReader,
    options: Options,
    file: Opened,
    input: Bytes,
    records: Records,
    clock: &'a Clock,
}

impl<'a> Windows<'a> {
    /// The windows of a file that was opened at that byte, which is on that line.
    pub(crate) fn new(
        reader: &'a RowReader,
        options: Options,
        file: Opened,
        (position, line): (u64, u64),
        clock: &'a Clock,
    ) -> Self {
        Self {
            reader,
            options,
            file,
            input: Bytes::new(),
            // The planner has held it to the limits.
            records: Records::resume(position, line, Limits::NONE),
            clock,
        }
    }

    /// First byte that is in no window yet.
    pub(crate) const fn position(&self) -> u64 {
        self.records.position()
    }

    /// The next window; none behind the last row.
    ///
    /// # Errors
    /// When S3 does not do its part.
    pub(crate) async fn next(&mut self) -> Result<Option<Window>, Unanswered> {
        let mut window = Window::new(self.options);
        loop {
            self.fill(&mut window).await?;
            if window.is_full() {
                break;
            }
            let Some(bytes) = self.file.next().await? else {
                if let Some(record) = self.records.finish()? {
                    window.add(self.reader, &record, self.clock);
                }
                break;
            };
            self.input = bytes;
        }
        window.position = self.records.position();
        window.line = self.records.line();
        Ok((window.count > 0).then_some(window))
    }

    /// Reads what is there.
    async fn fill(&mut self, window: &mut Window) -> Result<(), Unanswered> {
        while !window.is_full() {
            let mut input = &self.input[..];
            let record = self.records.next(&mut input)?;
            let record = match record {
                Some(record) => record,
                None => {
                    self.input = Bytes::new();
                    return Ok(());
                }
            };
            window.add(self.reader, &record, self.clock);
            let rest = input.len();
            self.input = self.input.slice(self.input.len() - rest..);
            if window.count.is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::platform::ids::ImportId;
    use muster_core::platform::time::Time;
    use muster_imports::csv::header::Header;

    fn window(file: &str, on_conflict: OnConflict) -> Window {
        let header = Header::parse([&b"email"[..]]).unwrap();
        let reader = RowReader::new(ImportId::of_event("b", "k", "1"), header, false);
        let mut records = Records::resume(6, 2, Limits::NONE);
        let mut input = file.as_bytes();
        let options = Options {
            on_conflict,
            ..Options::default()
        };
        let mut window = Window::new(options);
        let clock = Clock::manual(Time::from_millis(0));
        while let Some(record) = records.next(&mut input).unwrap() {
            window.add(&reader, &record, &clock);
        }
        window
    }

    #[test]
    fn an_address_is_written_once_by_its_first_row() {
        for on_conflict in [OnConflict::Skip, OnConflict::Update] {
            let window = window("ada@example.com\nADA@example.com\nbob\n", on_conflict);
            assert_eq!(window.rows.len(), 1);
            assert_eq!(window.rows[0].line, 2);
            assert_eq!((window.repeated, window.bad.len()), (1, 1));
        }
    }

    #[test]
    fn where_a_conflict_is_an_error_a_repetition_is_one() {
        let window = window("ada@example.com\nADA@example.com\n", OnConflict::Fail);
        assert_eq!((window.rows.len(), window.repeated), (1, 0));
        let bad = &window.bad[0];
        let violation = &bad.errors[0].violation;
        assert_eq!((bad.line, violation.code), (3, "repeated_address"));
        assert_eq!(violation.detail, "line 2 has the same address");
        assert_eq!(bad.fields, [b"ADA@example.com"]);
    }

    #[test]
    fn a_window_ends_by_rows_or_by_bytes() {
        let window = |file: &str| window(file, OnConflict::Skip);
        assert!(window(&"x@y.org\n".repeat(1000)).is_full());
        assert!(!window(&"x@y.org\n".repeat(999)).is_full());
        assert!(window(&format!("{}\n", "x".repeat(60_000)).repeat(18)).is_full());
        assert!(!window("").is_full());
    }
}
