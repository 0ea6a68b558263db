//! A CSV of any size that is stored nowhere: each row is generated when it is read.
//!
//! Every hundred rows have what a worker must get right: addresses that repeat, at
//! once and across chunks, quoted line breaks, rows that are too short, too long or
//! too wide, and rows without an address.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

const HEADER: &str = "email,name,note,a,b,c,d,e,f,g,h\n";
/// Rows that are made together.
const BLOCK: u64 = 100;
/// The longest value that an attribute takes.
const LONGEST_VALUE: usize = 1024;

/// What the rows of a file are like.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Rows.
    pub rows: u64,
    /// In every hundred, one repeats the address of the row as many before it.
    pub apart: u64,
    /// In every hundred, one has a note of as many bytes, and is refused if that
    /// is too long.
    pub note: usize,
    /// Every second has as many bytes more, and the address of the one before it:
    /// what makes small chunks, and costs little to import.
    pub padding: usize,
    /// What most are called.
    pub name: &'static str,
}

/// The file.
#[derive(Debug)]
pub struct SyntheticCsv {
    shape: Shape,
    /// Where each block starts, and behind the last one.
    starts: Vec<u64>,
}

/// What is to become of the rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Line and address of those that ask for a profile.
    pub asking: HashMap<u64, String>,
    /// Profiles that come of it: addresses that are asked for.
    pub created: u64,
    /// Line and reason of those that are refused, in order.
    pub refused: Vec<(u64, &'static str)>,
}

impl SyntheticCsv {
    /// A file of that shape.
    pub fn new(shape: Shape) -> Arc<Self> {
        let mut file = Self {
            shape,
            starts: vec![0],
        };
        let mut end = 0;
        for block in 0..shape.rows.div_ceil(BLOCK) {
            end += file.block(block).len() as u64;
            file.starts.push(end);
        }
        Arc::new(file)
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.starts[self.starts.len() - 1]
    }

    /// Some of its bytes, block by block.
    pub fn bytes(self: Arc<Self>, range: Range<u64>) -> impl Iterator<Item = Bytes> {
        let mut at = range.start;
        std::iter::from_fn(move || {
            if at >= range.end {
                return None;
            }
            let block = self.starts.partition_point(|start| *start <= at) - 1;
            let start = self.starts[block];
            let bytes = Bytes::from(self.block(block as u64));
            let end = range.end.min(start + bytes.len() as u64);
            let piece = bytes.slice((at - start) as usize..(end - start) as usize);
            at = end;
            Some(piece)
        })
    }

    /// What is to become of its rows, by the `csv` crate and nothing of ours.
    pub fn expected(&self) -> Expected {
        let mut expected = Expected::default();
        let mut known = HashSet::new();
        let mut first_line = 1;
        for block in 0..self.starts.len() as u64 - 1 {
            let text = self.block(block);
            let lines = |until: usize| text[..until].iter().filter(|byte| **byte == b'\n').count();
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(&text[..]);
            for record in reader.records() {
                let record = record.expect("text");
                let place = record.position().expect("a place").byte() as usize;
                // The second half of the line break before it.
                let start = place + usize::from(text[place] == b'\n');
                let line = first_line + lines(start) as u64;
                if let Some(address) = expected.count(&record, line) {
                    expected.created += u64::from(known.insert(address));
                }
            }
            first_line += lines(text.len()) as u64;
        }
        expected
    }

    /// Some rows, and before the first of all the header.
    fn block(&self, block: u64) -> Vec<u8> {
        let mut text = match block {
            0 => HEADER.as_bytes().to_vec(),
            _ => Vec::new(),
        };
        let first = block * BLOCK;
        for row in first..self.shape.rows.min(first + BLOCK) {
            self.row(row, &mut text);
        }
        text
    }

    fn row(&self, row: u64, text: &mut Vec<u8>) {
        let Shape {
            apart,
            note,
            padding,
            name,
            ..
        } = self.shape;
        let line = match row % 100 {
            23 => format!("nobody{row},=1+1,,,,,,,,,\n"),
            41 => format!("row{row}@example.com,Short\n"),
            59 => format!("row{row}@example.com,Wide,,,,,,,,,,one,two\r\n"),
            71 => format!("row{row}@example.com,Long,{},,,,,,,,\n", "n".repeat(note)),
            67 => format!("ROW{}@Example.com,Again,,,,,,,,,\n", row - 2),
            83 if row > apart => {
                let first = row - apart - 2;
                format!("row{first}@example.com,Again,\"later, much\",,,,,,,,\r\n")
            }
            own if own % 2 == 0 && padding > 0 => {
                let values = format!(",{}", "v".repeat(padding / 8)).repeat(8);
                format!("row{}@example.com,Padded,{values}\n", row.saturating_sub(1))
            }
            own if own % 10 == 3 => format!("row{row}@example.com,Ada,\"two\nlines\",,,,,,,,\n"),
            own if own % 10 == 7 => format!("row{row}@example.com,\"Jörg, \",x,y,,,,,,,\r\n"),
            _ => format!("row{row}@example.com,{name} {row},,,,,,,,,\n"),
        };
        text.extend(line.into_bytes());
    }
}

impl Expected {
    /// Rows that ask for a profile that another one has become.
    pub fn skipped(&self) -> u64 {
        self.asking.len() as u64 - self.created
    }

    /// Takes a row in; answers with the address if it asks for a profile.
    fn count(&mut self, row: &csv::StringRecord, line: u64) -> Option<String> {
        let address = row[0].to_lowercase();
        if line == 1 {
            // The header.
        } else if row.len() != HEADER.split(',').count() {
            self.refused.push((line, "wrong_field_count"));
        } else if !address.contains('@') {
            self.refused.push((line, "invalid_email"));
        } else if row.iter().any(|field| field.len() > LONGEST_VALUE) {
            self.refused.push((line, "attribute_too_long"));
        } else {
            self.asking.insert(line, address.clone());
            return Some(address);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        rows: 1234,
        apart: 500,
        note: 2000,
        padding: 0,
        name: "Row",
    };
    const PADDED: Shape = Shape {
        padding: 800,
        ..SHAPE
    };

    #[test]
    fn any_range_is_that_part_of_the_whole() {
        let file = SyntheticCsv::new(PADDED);
        let bytes = |range| file.clone().bytes(range).collect::<Vec<_>>().concat();
        let whole = bytes(0..file.size());
        assert_eq!(whole.len() as u64, file.size());
        for (start, end) in [(0, 1), (31, 33), (5_000, 100_000), (400_000, file.size())] {
            let part = &whole[start as usize..end as usize];
            assert_eq!(bytes(start..end), part, "{start}..{end}");
        }
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(&whole[..]);
        assert_eq!(reader.records().count() as u64, SHAPE.rows);
    }

    #[test]
    fn every_hundred_has_what_a_worker_must_get_right() {
        // Four are refused, one repeats at once, one later if there is anything
        // before it.
        let expected = SyntheticCsv::new(SHAPE).expected();
        assert_eq!(expected.refused.len(), 4 * 12 + 1);
        assert_eq!(
            expected.refused[..2],
            [(27, "invalid_email"), (46, "wrong_field_count")]
        );
        assert_eq!(expected.skipped(), 12 + 7);
        assert_eq!(expected.created, SHAPE.rows - 49 - 19);
        let [first, again] = [73, 75].map(|line| &*expected.asking[&line]);
        assert_eq!([first, again], ["row65@example.com"; 2]);
    }

    #[test]
    fn every_second_is_padded_and_asks_for_nobody_new() {
        let padded = SyntheticCsv::new(PADDED);
        let (expected, plain) = (padded.expected(), SyntheticCsv::new(SHAPE).expected());
        assert_eq!(expected.refused.len(), plain.refused.len());
        // But for those whose neighbour is refused, has another's address, or is
        // not there.
        let padded = SHAPE.rows / 2 - 49 - 12 - 7 - 1;
        assert_eq!(expected.skipped(), plain.skipped() + padded);
    }
}
