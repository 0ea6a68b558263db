//! Planner and workers read one file as one reader would, wherever it is cut.
//!
//! The planner's cutter and the workers' readers share their code, so neither can
//! vouch for the other: what is a row, the `csv` crate says, which reads the whole
//! file. What fails is made as small as it gets.

use muster_import_planner::cutter::{ChunkSize, Cut, Cutter, Limits};
use muster_imports::csv::records::{self, Records};
use muster_imports::import::Planned;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

/// A row: the line it starts on, and its fields.
type Row = (u64, Vec<Vec<u8>>);

const LIMITS: Limits = Limits {
    bytes: u64::MAX,
    rows: u64::MAX,
    record: records::Limits::NONE,
};

/// What is done with a file.
#[derive(Debug, Clone)]
struct Reading {
    size: ChunkSize,
    /// Bytes that arrive at once.
    piece: usize,
    /// Chunks that a planner cuts before another one takes over.
    cuts: usize,
}

/// The header, as one may be written.
static HEADERS: [&[u8]; 5] = [
    b"email\n",
    b"email,note\r\n",
    b"\xef\xbb\xbfemail,note\n",
    b"\r\n\"note\",\"email\"\n\n",
    b"\"a note\",email\r",
];

/// What matters to a reader.
static MATTERS: [&[u8]; 12] = [
    b"a",
    b",",
    b"\"",
    b"\"\"",
    b",\"",
    b"\",",
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
];

/// Any bytes, and mostly those that matter.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        9 => select(&MATTERS[..]).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 1..4),
    ];
    vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

fn reading() -> impl Strategy<Value = Reading> {
    (1..80_u64, 1..8_u64, 1..20_usize, 1..6_usize).prop_map(|(bytes, rows, piece, cuts)| Reading {
        size: ChunkSize { bytes, rows },
        piece,
        cuts,
    })
}

/// The chunks, cut by one planner after the other, and the rows they count.
fn planned(file: &[u8], reading: &Reading) -> (Vec<Cut>, u64) {
    let mut cuts: Vec<Cut> = Vec::new();
    let mut cutter = Cutter::new(reading.size, LIMITS);
    loop {
        let start = cuts.last().map_or(0, |cut| cut.end);
        let before = cuts.len();
        for bytes in file[start as usize..].chunks(reading.piece) {
            cuts.extend(cutter.feed(bytes).unwrap());
            if cuts.len() >= before + reading.cuts {
                break;
            }
        }
        if cuts.len() < before + reading.cuts {
            let (last, totals) = cutter.finish().unwrap();
            cuts.extend(last);
            assert_eq!(totals.chunks as usize, cuts.len());
            return (cuts, totals.rows);
        }
        cuts.truncate(before + reading.cuts);
        let last = cuts[cuts.len() - 1];
        let planned = Planned {
            chunks: last.number + 1,
            rows: cuts.iter().map(|cut| cut.rows).sum(),
            position: last.end,
            line: last.last_line,
        };
        let header = cutter.header().unwrap().clone();
        cutter = Cutter::resume(reading.size, LIMITS, header, planned);
    }
}

/// The rows of a chunk, as a worker reads them.
fn worked(file: &[u8], cut: &Cut, reading: &Reading) -> Vec<Row> {
    let mut records = Records::resume(cut.start, cut.first_line, records::Limits::NONE);
    let mut rows = Vec::new();
    let owned = |record: records::Record<'_>| -> Row {
        (record.line, record.fields().map(<[u8]>::to_vec).collect())
    };
    for mut bytes in file[cut.start as usize..cut.end as usize].chunks(reading.piece) {
        while let Some(record) = records.next(&mut bytes).unwrap() {
            rows.push(owned(record));
        }
    }
    rows.extend(records.finish().unwrap().map(owned));
    rows
}

/// The rows of the whole file, by the `csv` crate. The text of a row starts
/// behind the line breaks before it.
fn reference(file: &[u8]) -> Vec<Row> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(file);
    let rows = reader.byte_records().skip(1).map(|record| {
        let record = record.unwrap();
        let start = record.position().unwrap().byte() as usize;
        let breaks = file[start..]
            .iter()
            .take_while(|byte| b"\r\n".contains(byte));
        let before = String::from_utf8_lossy(&file[..start + breaks.count()]);
        let line = 1 + before
            .replace("\r\n", "\n")
            .replace('\r', "\n")
            .matches('\n')
            .count();
        (line as u64, record.iter().map(<[u8]>::to_vec).collect())
    });
    rows.collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_file_cut_anywhere_has_the_rows_of_the_whole_file(
        header in select(&HEADERS[..]),
        bytes in bytes(),
        reading in reading(),
    ) {
        let file = [header, &bytes].concat();
        let (cuts, rows) = planned(&file, &reading);
        for pair in cuts.windows(2) {
            prop_assert_eq!(pair[0].end, pair[1].start);
        }
        let mut found = Vec::new();
        for cut in &cuts {
            let of_cut = worked(&file, cut, &reading);
            prop_assert_eq!(of_cut.len() as u64, cut.rows, "{:?}", cut);
            found.extend(of_cut);
        }
        prop_assert_eq!(found.len() as u64, rows);
        prop_assert_eq!(found, reference(&file), "{:?}", String::from_utf8_lossy(&file));
    }
}
