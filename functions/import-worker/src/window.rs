//! Rows read and checked: what is written between two checkpoints.

use std::collections::HashSet;

use muster_core::profile::NewProfile;
use muster_core::records::Record;
use muster_core::time::Time;

use crate::row::{BadRow, RowReader};

/// The most rows between two checkpoints: what a crash makes us do again.
const MAX_ROWS: u64 = 1000;
/// The most bytes of fields between two checkpoints, so that rows of 64 KiB
/// do not make a window of 64 MiB.
const MAX_BYTES: usize = 1024 * 1024;

/// The rows since the last checkpoint.
#[derive(Debug, Default)]
pub struct Window {
    /// Those that ask for a profile, each address once.
    pub profiles: Vec<NewProfile>,
    /// Those that are refused.
    pub bad: Vec<BadRow>,
    /// Those whose address an earlier row of the window has.
    pub repeated: u64,
    addresses: HashSet<String>,
    rows: u64,
    bytes: usize,
}

impl Window {
    /// Reads one more row.
    pub fn add(&mut self, reader: &RowReader, record: &Record<'_>, now: Time) {
        self.rows += 1;
        self.bytes += record.fields().map(<[u8]>::len).sum::<usize>();
        match reader.read(record, now) {
            Err(bad) => self.bad.push(*bad),
            Ok(profile) if self.addresses.insert(profile.email.key().to_owned()) => {
                self.profiles.push(profile);
            }
            Ok(_) => self.repeated += 1,
        }
    }

    /// Whether it is time for a checkpoint.
    pub const fn is_full(&self) -> bool {
        self.rows >= MAX_ROWS || self.bytes >= MAX_BYTES
    }

    /// Whether nothing was read.
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::header::Header;
    use muster_core::ids::ImportId;
    use muster_core::records::Records;

    fn window(file: &str) -> Window {
        let header = Header::parse([&b"email"[..]]).unwrap();
        let reader = RowReader::new(ImportId::of_event("b", "k", "1"), header);
        let mut records = Records::resume(6, 2);
        let mut input = file.as_bytes();
        let mut window = Window::default();
        while let Some(record) = records.next(&mut input).unwrap() {
            window.add(&reader, &record, Time::from_millis(0));
        }
        window
    }

    #[test]
    fn an_address_is_written_once_by_its_first_row() {
        let window = window("ada@example.com\nADA@example.com\nbob\n");
        assert_eq!(window.profiles.len(), 1);
        assert_eq!(window.profiles[0].row.unwrap().1, 2);
        assert_eq!((window.repeated, window.bad.len()), (1, 1));
    }

    #[test]
    fn a_window_ends_by_rows_or_by_bytes() {
        assert!(window(&"x@y.org\n".repeat(1000)).is_full());
        assert!(!window(&"x@y.org\n".repeat(999)).is_full());
        assert!(window(&format!("{}\n", "x".repeat(60_000)).repeat(18)).is_full());
        assert!(window("").is_empty());
    }
}
