//! What people do in a run.

use std::sync::LazyLock;
use std::time::Duration;

use muster_core::random::Random;
use muster_core::records::MAX_RECORD_BYTES;

/// One thing that somebody does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Signs up; tries again when the answer is no success.
    SignUp(String),
    /// Clicks the link of the newest mail to that address, as soon as there is
    /// one; tries again when the answer is no success.
    Confirm(String),
    /// Drops a CSV.
    Upload {
        /// The object.
        key: String,
        /// The file.
        csv: Vec<u8>,
    },
}

/// When somebody does what.
#[derive(Debug, Clone)]
pub struct Story {
    /// The acts, in the order of their times.
    pub acts: Vec<(Duration, Act)>,
}

/// What became of the rows of a file, had nothing gone wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// All.
    pub total: u64,
    /// Those that are refused.
    pub bad: u64,
    /// Those whose address an earlier row has.
    pub repeated: u64,
}

/// Rows of the file that a story drops.
pub const FILE: Rows = Rows {
    total: 100,
    bad: 6,
    repeated: 8,
};

impl Story {
    /// A few sign-ups, some of the same address, most of them confirmed, and
    /// a file that asks for no mails.
    pub fn of(random: &Random) -> Self {
        let second =
            |limit: u64| Duration::from_millis(u64::from_le_bytes(random.bytes()) % (limit * 1000));
        let mut acts = Vec::new();
        for person in 0..3 {
            let address = format!("person{person}@example.com");
            acts.push((second(5), Act::SignUp(address.clone())));
            if person == 0 {
                acts.push((second(5), Act::SignUp(address.clone())));
            }
            if person < 2 {
                acts.push((Duration::from_secs(6) + second(60), Act::Confirm(address)));
            }
        }
        acts.push((
            second(20),
            Act::Upload {
                key: "uploads/people.csv".to_owned(),
                csv: FILE_CSV.clone(),
            },
        ));
        acts.sort_by_key(|(at, _)| *at);
        Self { acts }
    }
}

impl Story {
    /// A file that turns out to be broken when some of its chunks are being
    /// imported already: a quote is opened and never closed.
    pub fn of_a_broken_file(_: &Random) -> Self {
        let mut csv = FILE_CSV.clone();
        csv.extend_from_slice(b"\"never closed");
        csv.resize(csv.len() + 2 * MAX_RECORD_BYTES, b'x');
        let key = "uploads/broken.csv".to_owned();
        Self {
            acts: vec![(Duration::ZERO, Act::Upload { key, csv })],
        }
    }
}

/// The file that a story drops.
pub static FILE_CSV: LazyLock<Vec<u8>> = LazyLock::new(csv);

/// A hundred rows: in several chunks, with addresses that repeat across them,
/// quoted line breaks, and bad ones.
fn csv() -> Vec<u8> {
    let mut csv = "email,name,note\n".to_owned();
    for row in 0..FILE.total {
        csv.push_str(&match row {
            _ if row % 17 == 5 => format!("bad{row},Bad,\n"),
            _ if row % 10 == 9 => format!("row{}@example.com,Again,\n", row - 9),
            _ => format!("row{row}@example.com,\"Row\",\"two\nlines\"\n"),
        });
    }
    csv.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_rows_that_it_says() {
        let text = csv();
        let mut reader = csv::Reader::from_reader(&text[..]);
        let (mut total, mut bad, mut repeated) = (0, 0, 0);
        let mut seen = std::collections::HashSet::new();
        for record in reader.records() {
            let address = record.unwrap()[0].to_owned();
            total += 1;
            if !address.contains('@') {
                bad += 1;
            } else if !seen.insert(address) {
                repeated += 1;
            }
        }
        assert_eq!(
            Rows {
                total,
                bad,
                repeated
            },
            FILE
        );
    }
}
