//! CSV cut into records at exact byte offsets.
//!
//! The planner looks for places where a file can be cut; the workers read the
//! pieces. Both must agree to the byte on what a record is, also where quoted
//! fields hold line breaks, so both use this one reader, which takes bytes in
//! whatever pieces they arrive.

use csv_core::{ReadRecordResult, Reader};

/// What a record may be at most: a file with a longer one is no CSV of people,
/// and is not to be held in memory to find that out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all fields of a record together.
    pub line: usize,
    /// Bytes of one field.
    pub field: usize,
    /// Fields.
    pub columns: usize,
}

impl Limits {
    /// For what is known to keep them: a chunk that was cut already.
    pub const NONE: Self = Self {
        line: usize::MAX,
        field: usize::MAX,
        columns: usize::MAX,
    };
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A record is more than any that could be imported. Usually a quote was opened
/// and never closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record that starts on line {line} has more than {most}")]
pub struct RecordTooLong {
    /// Where it starts.
    pub line: u64,
    /// What it has too much of.
    pub most: Most,
}

/// The limit that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Most {
    /// See [`Limits::line`].
    #[error("{0} bytes (ImportMaxLineBytes)")]
    Line(usize),
    /// See [`Limits::field`].
    #[error("{0} bytes in a field (ImportMaxFieldBytes)")]
    Field(usize),
    /// See [`Limits::columns`].
    #[error("{0} columns (ImportMaxColumns)")]
    Columns(usize),
    /// Empty lines in front of it, which are no more to be read for ever than it is.
    #[error("{0} bytes of empty lines in front of it (ImportMaxLineBytes)")]
    Blank(usize),
}

/// One record.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    data: &'a [u8],
    ends: &'a [usize],
    /// The line of the file it starts on, from 1.
    pub line: u64,
}

impl<'a> Record<'a> {
    /// Its fields, unquoted.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let data = self.data;
        let ends = self.ends;
        (0..ends.len()).map(move |index| {
            let start = if index == 0 { 0 } else { ends[index - 1] };
            &data[start..ends[index]]
        })
    }
}

/// Cuts a stream of bytes into records.
#[derive(Debug)]
pub struct Records {
    limits: Limits,
    reader: Reader,
    data: Vec<u8>,
    data_len: usize,
    ends: Vec<usize>,
    ends_len: usize,
    position: u64,
    /// The line that the next byte is on.
    next_line: u64,
    /// Whether the last byte was a carriage return: a line feed behind it ends no
    /// line of its own.
    after_cr: bool,
    /// Line of the record being read; `None` between records.
    line: Option<u64>,
    /// Whether the record is complete, and waits for a line feed that may belong to
    /// its end.
    complete: bool,
    /// Bytes of line breaks since the last record.
    blank: usize,
    byte_order_mark: ByteOrderMark,
}

/// How much of a byte order mark has been seen. It is ours to skip, as it may
/// arrive byte by byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ByteOrderMark {
    Possible(usize),
    Past,
}

impl Records {
    /// A reader at the start of a file.
    pub fn new(limits: Limits) -> Self {
        Self {
            byte_order_mark: ByteOrderMark::Possible(0),
            ..Self::resume(0, 1, limits)
        }
    }

    /// A reader at a boundary that another one found: a byte offset and the
    /// line it is on.
    pub fn resume(position: u64, line: u64, limits: Limits) -> Self {
        let mut reader = Reader::new();
        // The reader takes a byte order mark at its start for the start of a
        // file; an empty line first tells it otherwise.
        let mut unused = ([0], [0]);
        reader.read_record(b"\n", &mut unused.0, &mut unused.1);
        Self {
            limits,
            reader,
            data: vec![0; 1024],
            data_len: 0,
            ends: vec![0; 32],
            ends_len: 0,
            position,
            next_line: line,
            after_cr: false,
            line: None,
            complete: false,
            blank: 0,
            byte_order_mark: ByteOrderMark::Past,
        }
    }

    /// Bytes taken so far, counted from the start of the file. Right after a
    /// record was given out this is a boundary: a place to cut.
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// The line that [`position`](Self::position) is on, from 1. A line ends with
    /// CR LF, with LF, or with CR.
    pub const fn line(&self) -> u64 {
        self.next_line
    }

    /// Takes bytes off the front of `input` until a record is complete.
    /// `None` says that the input is used up.
    ///
    /// # Errors
    /// When the record is longer than any that could be imported.
    pub fn next<'a>(&'a mut self, input: &mut &[u8]) -> Result<Option<Record<'a>>, RecordTooLong> {
        self.skip_byte_order_mark(input)?;
        while !self.complete {
            if self.line.is_none() {
                self.skip_line_breaks(input)?;
            }
            if input.is_empty() {
                return Ok(None);
            }
            self.complete = self.read(input)?;
        }
        // A boundary is never inside a line break: whoever goes on there would
        // count it twice.
        if self.after_cr {
            match input.first() {
                None => return Ok(None),
                Some(b'\n') => self.take(input, 1),
                Some(_) => {}
            }
        }
        Ok(Some(self.record()))
    }

    /// Says that the input is over: the last record, if the file does not
    /// end with a line break.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn finish(&mut self) -> Result<Option<Record<'_>>, RecordTooLong> {
        if self.line.is_none() {
            return Ok(None);
        }
        if self.complete || self.read(&mut &[][..])? {
            return Ok(Some(self.record()));
        }
        Ok(None)
    }

    /// Takes bytes off the front, and counts them and their lines.
    fn take(&mut self, input: &mut &[u8], count: usize) {
        let (taken, rest) = input.split_at(count);
        for byte in taken {
            let ends_line = *byte == b'\r' || (*byte == b'\n' && !self.after_cr);
            self.next_line += u64::from(ends_line);
            self.after_cr = *byte == b'\r';
        }
        self.position += count as u64;
        *input = rest;
    }

    /// One step of the underlying reader; an empty input means the end.
    /// True when a record is complete.
    fn read(&mut self, input: &mut &[u8]) -> Result<bool, RecordTooLong> {
        let line = *self.line.get_or_insert(self.next_line);
        loop {
            let (result, taken, written, ended) = self.reader.read_record(
                input,
                &mut self.data[self.data_len..],
                &mut self.ends[self.ends_len..],
            );
            self.take(input, taken);
            let known = self.ends_len;
            self.data_len += written;
            self.ends_len += ended;
            let check = |holds: bool, most| holds.then_some(()).ok_or(RecordTooLong { line, most });
            check(
                self.longest_field(known) <= self.limits.field,
                Most::Field(self.limits.field),
            )?;
            check(
                self.data_len <= self.limits.line,
                Most::Line(self.limits.line),
            )?;
            check(
                self.ends_len <= self.limits.columns,
                Most::Columns(self.limits.columns),
            )?;
            match result {
                ReadRecordResult::Record => return Ok(true),
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return Ok(false),
                ReadRecordResult::OutputFull => self.data.resize(self.data.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            }
        }
    }

    /// The length of the longest field of those that ended behind the first
    /// `known` ones, or of the one that is being read.
    fn longest_field(&self, known: usize) -> usize {
        let mut start = known.checked_sub(1).map_or(0, |last| self.ends[last]);
        let mut longest = 0;
        for end in self.ends[known..self.ends_len]
            .iter()
            .copied()
            .chain([self.data_len])
        {
            longest = longest.max(end - start);
            start = end;
        }
        longest
    }

    /// Hands the complete record out and makes room for the next.
    fn record(&mut self) -> Record<'_> {
        let record = Record {
            data: &self.data[..self.data_len],
            ends: &self.ends[..self.ends_len],
            line: self.line.take().unwrap_or_default(),
        };
        self.data_len = 0;
        self.ends_len = 0;
        self.complete = false;
        self.blank = 0;
        record
    }

    /// Between records, line breaks mean nothing. Taken here so that a record's
    /// line is where its text starts.
    fn skip_line_breaks(&mut self, input: &mut &[u8]) -> Result<(), RecordTooLong> {
        let breaks = input
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        self.take(input, breaks);
        self.blank += breaks;
        let (line, most) = (self.next_line, Most::Blank(self.limits.line));
        (self.blank <= self.limits.line)
            .then_some(())
            .ok_or(RecordTooLong { line, most })
    }

    fn skip_byte_order_mark(&mut self, input: &mut &[u8]) -> Result<(), RecordTooLong> {
        while let ByteOrderMark::Possible(seen) = self.byte_order_mark {
            if seen == BYTE_ORDER_MARK.len() {
                self.byte_order_mark = ByteOrderMark::Past;
            } else if let Some((first, rest)) = input.split_first() {
                if *first == BYTE_ORDER_MARK[seen] {
                    self.byte_order_mark = ByteOrderMark::Possible(seen + 1);
                    self.position += 1;
                    *input = rest;
                } else {
                    // It only started like one: those bytes are data.
                    self.byte_order_mark = ByteOrderMark::Past;
                    if seen > 0 {
                        self.position -= seen as u64;
                        self.read(&mut &BYTE_ORDER_MARK[..seen])?;
                    }
                }
            } else {
                return Ok(());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::platform::random::Random;

    const LIMITS: Limits = Limits {
        line: 64 * 1024,
        field: 32 * 1024,
        columns: 212,
    };

    type Fields = Vec<Vec<u8>>;
    type Numbered = (u64, Fields);

    /// Records by the `csv` crate, over the whole file at once.
    fn reference(bytes: &[u8]) -> Vec<Fields> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(bytes);
        reader
            .byte_records()
            .map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect())
            .collect()
    }

    fn owned(record: Record<'_>) -> Numbered {
        (record.line, record.fields().map(<[u8]>::to_vec).collect())
    }

    /// Records by ours, the bytes arriving `piece` at a time, and every
    /// boundary with its line.
    fn read(bytes: &[u8], piece: usize) -> (Vec<Numbered>, Vec<(u64, u64)>) {
        let mut records = Records::new(LIMITS);
        let (mut found, mut boundaries) = (Vec::new(), Vec::new());
        for mut input in bytes.chunks(piece) {
            while let Some(record) = records.next(&mut input).unwrap() {
                found.push(owned(record));
                boundaries.push((records.position(), records.line()));
            }
        }
        found.extend(records.finish().unwrap().map(owned));
        (found, boundaries)
    }

    /// Files made of the bytes that matter, so that they meet often.
    fn hostile_file(seed: u64) -> Vec<u8> {
        let random = Random::seeded(seed);
        let pieces: [&[u8]; 14] = [
            b"a",
            b"b",
            b",",
            b"\"",
            b"\"",
            b"\n",
            b"\r",
            b"\r\n",
            b"\0",
            b"\xff",
            b"\xef\xbb\xbf",
            b"\xef\xbba",
            b"\xefa",
            b"\xc3\xbc",
        ];
        let length = usize::from(random.bytes::<1>()[0] % 60);
        (0..length)
            .flat_map(|_| pieces[usize::from(random.bytes::<1>()[0]) % pieces.len()])
            .copied()
            .collect()
    }

    #[test]
    fn any_bytes_in_any_pieces_are_the_records_of_the_whole_file() {
        for seed in 0..3000 {
            let file = hostile_file(seed);
            let expected = reference(&file);
            for piece in [1, 2, 3, 7, 1000] {
                let (found, _) = read(&file, piece);
                let fields: Vec<Fields> = found.into_iter().map(|(_, fields)| fields).collect();
                assert_eq!(
                    fields,
                    expected,
                    "seed {seed}, pieces of {piece}: {:?}",
                    String::from_utf8_lossy(&file)
                );
            }
        }
    }

    #[test]
    fn a_file_cut_at_any_boundary_reads_the_same() {
        for seed in 0..3000 {
            let file = hostile_file(seed);
            let (whole, boundaries) = read(&file, 1000);
            for (index, (position, line)) in boundaries.iter().enumerate() {
                let mut rest = Records::resume(*position, *line, LIMITS);
                let mut input = &file[usize::try_from(*position).unwrap()..];
                let mut found = Vec::new();
                while let Some(record) = rest.next(&mut input).unwrap() {
                    found.push(owned(record));
                }
                found.extend(rest.finish().unwrap().map(owned));
                assert_eq!(found, whole[index + 1..], "seed {seed}, cut at {position}");
            }
        }
    }

    #[test]
    fn lines_are_where_the_text_starts() {
        let file =
            b"email,name\r\nada@example.com,\"Ada\r\nLovelace\"\r\n\r\nbob@example.com,Bob\r\n";
        let (found, _) = read(file, 5);
        let lines: Vec<u64> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 5]);
    }

    /// The error of a file, and how much was held in memory to find it.
    fn refused(file: &[u8]) -> (RecordTooLong, usize) {
        let mut records = Records::new(LIMITS);
        for mut input in file.chunks(16 * 1024) {
            loop {
                match records.next(&mut input) {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => {
                        let held = records.data.len() + records.ends.len() * size_of::<usize>();
                        return (error, held);
                    }
                }
            }
        }
        panic!("nothing is wrong with it");
    }

    #[test]
    fn what_never_ends_is_refused_before_it_fills_the_memory() {
        let quote = [&b"email\n\"ada"[..], &vec![b'x'; 10_000_000]].concat();
        let line = "abc,".repeat(20_000).into_bytes();
        let commas = vec![b','; 10_000_000];
        for (file, line, most) in [
            (quote, 2, Most::Field(32 * 1024)),
            (vec![b'x'; 10_000_000], 1, Most::Field(32 * 1024)),
            (commas, 1, Most::Columns(212)),
            (line, 1, Most::Columns(212)),
            (
                [&b"a,b\n"[..], &[&vec![b'y'; 30_000][..]; 3].join(&b","[..])].concat(),
                2,
                Most::Line(64 * 1024),
            ),
        ] {
            let (error, held) = refused(&file);
            assert_eq!(error, RecordTooLong { line, most });
            assert!(held < 200_000, "{held} bytes");
        }
    }

    #[test]
    fn a_line_ends_however_it_ends() {
        for (end, piece) in [("\n", 1), ("\r", 1), ("\r\n", 1), ("\r\n", 3), ("\r", 1000)] {
            let file = ["email", "a", "\"b", "c\"", "", "d"].join(end);
            let (found, boundaries) = read(file.as_bytes(), piece);
            let lines: Vec<u64> = found.iter().map(|(line, _)| *line).collect();
            assert_eq!(lines, [1, 2, 3, 6], "{end:?}");
            let at = |line: usize| (boundaries[line].0 as usize, boundaries[line].1);
            assert_eq!(
                at(0),
                (5 + end.len(), 2),
                "no boundary is inside a line break"
            );
        }
    }

    #[test]
    fn empty_lines_do_not_go_on_for_ever() {
        let limits = Limits { line: 10, ..LIMITS };
        let read = |file: &str| {
            let mut records = Records::new(limits);
            let mut input = file.as_bytes();
            while records.next(&mut input)?.is_some() {}
            Ok(())
        };
        assert_eq!(read(&format!("a{}b\n", "\n".repeat(11))), Ok(()));
        let most = Most::Blank(10);
        let error = RecordTooLong { line: 13, most };
        assert_eq!(read(&format!("a{}b\n", "\n".repeat(12))), Err(error));
    }

    #[test]
    fn what_is_as_long_as_it_may_be_is_read() {
        let limits = Limits {
            line: 10,
            field: 6,
            columns: 3,
        };
        let read = |file: &[u8]| {
            let mut records = Records::new(limits);
            records.next(&mut &file[..]).map(|record| record.is_some())
        };
        assert_eq!(read(b"123456,1234,\n"), Ok(true));
        for (file, most) in [
            (&b"1234567\n"[..], Most::Field(6)),
            (b"1,1234567\n", Most::Field(6)),
            (b"123456,12345\n", Most::Line(10)),
            (b"1,2,3,4\n", Most::Columns(3)),
            (b"\"1234567", Most::Field(6)),
        ] {
            assert_eq!(read(file), Err(RecordTooLong { line: 1, most }));
        }
    }
}
