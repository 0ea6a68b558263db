//! CSV cut into records at exact byte offsets.
//!
//! The planner looks for places where a file can be cut; the workers read the
//! pieces. Both must agree to the byte on what a record is, also where quoted
//! fields hold line breaks, so both use this one reader, which takes bytes in
//! whatever pieces they arrive.

use csv_core::{ReadRecordResult, Reader};

use crate::person::MAX_ATTRIBUTES;

/// The longest record, in bytes of field data: room for the longest profile
/// that passes validation, four times over.
pub const MAX_RECORD_BYTES: usize = 64 * 1024;
/// The most columns: every attribute, address, name, locale, and as many again
/// to be reported as too many rather than as a broken file.
pub const MAX_COLUMNS: usize = 4 * (MAX_ATTRIBUTES + 3);

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A record is longer, or has more columns, than any that could be imported.
/// Usually a quote was opened and never closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the record that starts on line {line} has more than {MAX_RECORD_BYTES} bytes or {MAX_COLUMNS} columns"
)]
pub struct RecordTooLong {
    /// Where it starts.
    pub line: u64,
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
    reader: Reader,
    data: Vec<u8>,
    data_len: usize,
    ends: Vec<usize>,
    ends_len: usize,
    position: u64,
    /// Line of the record being read; `None` between records.
    line: Option<u64>,
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
    pub fn new() -> Self {
        Self {
            byte_order_mark: ByteOrderMark::Possible(0),
            ..Self::resume(0, 1)
        }
    }

    /// A reader at a boundary that another one found: a byte offset and the
    /// line it is on.
    pub fn resume(position: u64, line: u64) -> Self {
        let mut reader = Reader::new();
        // The reader takes a byte order mark at its start for the start of a
        // file; an empty line first tells it otherwise.
        let mut unused = ([0], [0]);
        reader.read_record(b"\n", &mut unused.0, &mut unused.1);
        reader.set_line(line);
        Self {
            reader,
            data: vec![0; 1024],
            data_len: 0,
            ends: vec![0; 32],
            ends_len: 0,
            position,
            line: None,
            byte_order_mark: ByteOrderMark::Past,
        }
    }

    /// Bytes taken so far, counted from the start of the file. Right after a
    /// record was given out this is a boundary: a place to cut.
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// The line that [`position`](Self::position) is on, from 1.
    pub fn line(&self) -> u64 {
        self.reader.line()
    }

    /// Takes bytes off the front of `input` until a record is complete.
    /// `None` says that the input is used up.
    ///
    /// # Errors
    /// When the record is longer than any that could be imported.
    pub fn next<'a>(&'a mut self, input: &mut &[u8]) -> Result<Option<Record<'a>>, RecordTooLong> {
        self.skip_byte_order_mark(input)?;
        loop {
            if self.line.is_none() {
                self.skip_line_breaks(input);
            }
            if input.is_empty() {
                return Ok(None);
            }
            if self.read(input)? {
                return Ok(Some(self.record()));
            }
        }
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
        if self.read(&mut &[][..])? {
            return Ok(Some(self.record()));
        }
        Ok(None)
    }

    /// One step of the underlying reader; an empty input means the end.
    /// True when a record is complete.
    fn read(&mut self, input: &mut &[u8]) -> Result<bool, RecordTooLong> {
        let line = *self.line.get_or_insert(self.reader.line());
        loop {
            let (result, taken, written, ended) = self.reader.read_record(
                input,
                &mut self.data[self.data_len..],
                &mut self.ends[self.ends_len..],
            );
            *input = &input[taken..];
            self.position += taken as u64;
            self.data_len += written;
            self.ends_len += ended;
            match result {
                ReadRecordResult::Record => return Ok(true),
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return Ok(false),
                ReadRecordResult::OutputFull => {
                    grow(&mut self.data, MAX_RECORD_BYTES).ok_or(RecordTooLong { line })?;
                }
                ReadRecordResult::OutputEndsFull => {
                    grow(&mut self.ends, MAX_COLUMNS).ok_or(RecordTooLong { line })?;
                }
            }
        }
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
        record
    }

    /// Between records, line breaks mean nothing: the `\n` of a `\r\n`, or an
    /// empty line. Taken here so that a record's line is where its text starts.
    fn skip_line_breaks(&mut self, input: &mut &[u8]) {
        let breaks = input
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        let (skipped, rest) = input.split_at(breaks);
        let lines = skipped.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.reader.set_line(self.reader.line() + lines);
        self.position += breaks as u64;
        *input = rest;
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

impl Default for Records {
    fn default() -> Self {
        Self::new()
    }
}

/// Doubles a buffer up to its limit; `None` when it is there already.
fn grow<T: Clone + Default>(buffer: &mut Vec<T>, limit: usize) -> Option<()> {
    let length = buffer.len();
    (length < limit).then(|| buffer.resize((length * 2).min(limit), T::default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

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
        let mut records = Records::new();
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
        let pieces: [&[u8]; 12] = [
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
                let mut rest = Records::resume(*position, *line);
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

    #[test]
    fn a_quote_that_is_never_closed_ends_in_an_error_not_in_memory() {
        let mut records = Records::new();
        let mut input: &[u8] = b"email\n\"ada";
        assert!(records.next(&mut input).unwrap().is_some());
        let block = vec![b'x'; 64 * 1024];
        let mut input = [input, &block].concat();
        input.extend_from_slice(&block);
        let error = records.next(&mut input.as_slice()).unwrap_err();
        assert_eq!(error, RecordTooLong { line: 2 });
    }

    #[test]
    fn ten_million_commas_end_in_an_error() {
        let commas = vec![b','; 1_000_000];
        assert_eq!(
            Records::new().next(&mut commas.as_slice()).unwrap_err(),
            RecordTooLong { line: 1 }
        );
    }
}
