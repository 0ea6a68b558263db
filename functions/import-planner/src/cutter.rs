//! Where a file can be cut.
//!
//! One pass over the bytes, as they arrive: the header first, then the places
//! between records where a chunk may end. Memory does not grow with the file.

use muster_imports::csv::header::Header;
use muster_imports::csv::records::{self, Most, RecordTooLong, Records};
use muster_imports::failure_reason::FailureReason;
use muster_imports::import::Planned;

/// How big a chunk is.
#[derive(Debug, Clone, Copy)]
pub struct ChunkSize {
    /// A chunk ends behind the record that reaches this many bytes…
    pub bytes: u64,
    /// …or this many rows.
    pub rows: u64,
}

/// A worker has five minutes. 20,000 rows are 400 transactions, a few seconds'
/// work; with a table that is throttled to 200 rows a second it is still done
/// in time. 8 MiB are 20,000 rows of 400 bytes.
impl Default for ChunkSize {
    fn default() -> Self {
        Self {
            bytes: 8 * 1024 * 1024,
            rows: 20_000,
        }
    }
}

/// What a file may be at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes.
    pub bytes: u64,
    /// Rows, the header not counted.
    pub rows: u64,
    /// Each of them.
    pub record: records::Limits,
}

/// A run of whole records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cut {
    /// Which chunk, from 0.
    pub number: u32,
    /// First byte.
    pub start: u64,
    /// Byte behind the last.
    pub end: u64,
    /// The line of the first byte.
    pub first_line: u64,
    /// The line behind the last byte.
    pub last_line: u64,
    /// Records in it.
    pub rows: u64,
}

/// What the whole file came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Chunks.
    pub chunks: u32,
    /// Rows, the header not counted.
    pub rows: u64,
}

/// Cuts a file.
#[derive(Debug)]
pub struct Cutter {
    size: ChunkSize,
    limits: Limits,
    records: Records,
    header: Option<Header>,
    current: Cut,
    rows: u64,
}

impl Cutter {
    /// A cutter at the start of a file.
    pub fn new(size: ChunkSize, limits: Limits) -> Self {
        Self {
            size,
            limits,
            records: Records::new(limits.record),
            header: None,
            current: Cut::default(),
            rows: 0,
        }
    }

    /// A cutter that goes on where another one was.
    pub fn resume(size: ChunkSize, limits: Limits, header: Header, planned: Planned) -> Self {
        let mut cutter = Self {
            records: Records::resume(planned.position, planned.line, limits.record),
            header: Some(header),
            rows: planned.rows,
            ..Self::new(size, limits)
        };
        cutter.start_chunk(planned.chunks);
        cutter
    }

    /// The header, once it has been seen.
    pub const fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Takes the next bytes and gives out the chunks that they complete.
    ///
    /// # Errors
    /// Why the file cannot be imported.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<Vec<Cut>, FailureReason> {
        let mut cuts = Vec::new();
        loop {
            if self.header.is_none() {
                match self.records.next(&mut bytes).map_err(too_long)? {
                    None => return Ok(cuts),
                    Some(record) => self.header = Some(Header::parse(record.fields())?),
                }
                self.start_chunk(0);
            } else if self.records.next(&mut bytes).map_err(too_long)?.is_none() {
                return Ok(cuts);
            } else {
                self.count()?;
                cuts.extend(self.full_chunk());
            }
        }
    }

    /// The file is over: its last chunk, and what it came to.
    ///
    /// # Errors
    /// Why the file cannot be imported.
    pub fn finish(&mut self) -> Result<(Option<Cut>, Totals), FailureReason> {
        let last = self.records.finish().map_err(too_long)?;
        if self.header.is_none() {
            let record = last.ok_or_else(|| {
                FailureReason::new(
                    "empty_file",
                    "the file is empty; its first row must name the columns",
                )
            })?;
            self.header = Some(Header::parse(record.fields())?);
            self.start_chunk(0);
        } else if last.is_some() {
            self.count()?;
        }
        let cut = (self.current.rows > 0).then(|| self.end_chunk());
        let totals = Totals {
            chunks: self.current.number,
            rows: self.rows,
        };
        Ok((cut, totals))
    }

    fn count(&mut self) -> Result<(), FailureReason> {
        self.current.rows += 1;
        if self.rows + self.current.rows > self.limits.rows {
            let most = self.limits.rows;
            return Err(FailureReason::new(
                "too_many_rows",
                format!("the file has more than {most} rows (ImportMaxRows); import it in pieces"),
            ));
        }
        Ok(())
    }

    fn full_chunk(&mut self) -> Option<Cut> {
        let bytes = self.records.position() - self.current.start;
        (bytes >= self.size.bytes || self.current.rows >= self.size.rows).then(|| self.end_chunk())
    }

    fn end_chunk(&mut self) -> Cut {
        let cut = Cut {
            end: self.records.position(),
            last_line: self.records.line(),
            ..self.current
        };
        self.rows += cut.rows;
        self.start_chunk(cut.number + 1);
        cut
    }

    fn start_chunk(&mut self, number: u32) {
        self.current = Cut {
            number,
            start: self.records.position(),
            end: self.records.position(),
            first_line: self.records.line(),
            last_line: self.records.line(),
            rows: 0,
        };
    }
}

fn too_long(error: RecordTooLong) -> FailureReason {
    let detail = match error.most {
        Most::Line(_) | Most::Field(_) => {
            format!("{error}; a quote that was opened and not closed is the usual cause")
        }
        Most::Columns(_) | Most::Blank(_) => error.to_string(),
    };
    FailureReason::new("record_too_long", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        bytes: u64::MAX,
        rows: 500,
        record: records::Limits {
            line: 64 * 1024,
            field: 32 * 1024,
            columns: 20,
        },
    };

    fn cut(
        file: &[u8],
        size: ChunkSize,
        piece: usize,
    ) -> Result<(Vec<Cut>, Totals), FailureReason> {
        let mut cutter = Cutter::new(size, LIMITS);
        let mut cuts = Vec::new();
        for bytes in file.chunks(piece) {
            cuts.extend(cutter.feed(bytes)?);
        }
        let (last, totals) = cutter.finish()?;
        cuts.extend(last);
        Ok((cuts, totals))
    }

    const SMALL: ChunkSize = ChunkSize { bytes: 30, rows: 2 };

    #[test]
    fn chunks_follow_each_other_and_cover_every_row() {
        let file =
            b"email,note\na@x.org,\"two\nlines\"\r\nb@x.org,\r\n\r\nc@x.org,\"a,b\"\nd@x.org,last";
        for piece in [1, 3, 1000] {
            let (cuts, totals) = cut(file, SMALL, piece).unwrap();
            assert_eq!(
                totals,
                Totals {
                    chunks: cuts.len() as u32,
                    rows: 4
                }
            );
            assert_eq!(cuts.iter().map(|cut| cut.rows).sum::<u64>(), 4);
            assert_eq!(cuts[0].start, 11);
            assert_eq!(cuts[0].first_line, 2);
            assert_eq!(cuts.last().unwrap().end, file.len() as u64);
            for (index, pair) in cuts.windows(2).enumerate() {
                assert_eq!(pair[0].end, pair[1].start, "pieces of {piece}");
                assert_eq!(pair[1].number, index as u32 + 1);
            }
        }
    }

    #[test]
    fn the_same_file_is_always_cut_the_same() {
        let file: Vec<u8> = std::iter::once("email\n".to_owned())
            .chain((0..500).map(|n| format!("\"person\n{n}@example.com\"\n")))
            .collect::<String>()
            .into_bytes();
        let whole = cut(&file, SMALL, file.len()).unwrap();
        assert_eq!(whole.1.rows, 500);
        for piece in [1, 17, 256] {
            assert_eq!(cut(&file, SMALL, piece).unwrap(), whole);
        }
    }

    #[test]
    fn who_goes_on_where_another_stopped_cuts_as_if_it_had_begun() {
        let file =
            b"email,note\na@x.org,\"two\nlines\"\r\nb@x.org,\r\n\r\nc@x.org,\"a,b\"\nd@x.org,last";
        let (whole, totals) = cut(file, SMALL, 1000).unwrap();
        let header = Header::parse([&b"email"[..], b"note"]).unwrap();
        for stop in 0..whole.len() {
            let last = &whole[stop];
            let planned = Planned {
                chunks: last.number + 1,
                rows: whole[..=stop].iter().map(|cut| cut.rows).sum(),
                position: last.end,
                line: last.last_line,
            };
            let mut cutter = Cutter::resume(SMALL, LIMITS, header.clone(), planned);
            let mut cuts = cutter.feed(&file[last.end as usize..]).unwrap();
            let (end, all) = cutter.finish().unwrap();
            cuts.extend(end);
            assert_eq!((&cuts[..], all), (&whole[stop + 1..], totals));
        }
    }

    #[test]
    fn a_header_alone_is_a_file_without_rows() {
        for file in [&b"email"[..], b"email\n", b"\xef\xbb\xbfemail\r\n\r\n"] {
            let (cuts, totals) = cut(file, SMALL, 1).unwrap();
            assert_eq!((cuts.len(), totals), (0, Totals { chunks: 0, rows: 0 }));
        }
    }

    #[test]
    fn a_file_that_cannot_be_imported_says_why() {
        let endless = [&b"email\n\"never closed,"[..], &vec![b'x'; 100_000]].concat();
        for (file, code) in [
            (&b""[..], "empty_file"),
            (b"\n\n", "empty_file"),
            (b"name\nAda\n", "no_email_column"),
            (b"\x89PNG\r\n\x1a\n\0\0\0", "not_text"),
            (&endless, "record_too_long"),
            (
                &[&b"email\n"[..], &b"a@x.org\n".repeat(501)].concat(),
                "too_many_rows",
            ),
        ] {
            assert_eq!(cut(file, SMALL, 4096).unwrap_err().code, code);
        }
    }
}
