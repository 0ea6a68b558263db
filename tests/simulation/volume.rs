//! A file of a million rows through the real planner and the real worker, while of
//! all their calls three in ten go wrong: every row is accounted for, and memory
//! does not grow with the file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use muster_core::platform::random::Random;
use muster_imports::import::{Counts, ImportStatus, report_key};
use tokio::time::Instant;

use crate::faults::{Fault, Schedule};
use crate::invariants::{number, text};
use crate::machine::Machine;
use crate::process::Function;
use crate::queues::IMPORT;
use crate::s3::BUCKET;
use crate::state::{Latency, Shared};
use crate::synthetic_csv::{Expected, Shape, SyntheticCsv};

const KEY: &str = "uploads/crowd.csv";

/// What goes wrong. Time is real: who hears nothing waits for three seconds, whose
/// connection breaks for half a second until the next try, and who is in conflict
/// for a tenth of one; who is refused in another way is told to come back at once.
/// So most are.
const KINDS: [Fault; 1000] = kinds();

const fn kinds() -> [Fault; 1000] {
    let mut kinds = [Fault::Throttle; 1000];
    let mut index = 0;
    while index < kinds.len() {
        kinds[index] = match index {
            0 => Fault::TimeoutBefore,
            1 => Fault::TimeoutAfter,
            2..12 => Fault::DroppedReply,
            12..120 => Fault::MalformedReply,
            120..240 => Fault::Conflict,
            240..600 => Fault::ServerError,
            _ => Fault::Throttle,
        };
        index += 1;
    }
    kinds
}

/// How much, and how bad it is.
#[derive(Debug, Clone, Copy)]
pub struct Volume {
    /// The file.
    pub shape: Shape,
    /// How many calls of a thousand go wrong.
    pub per_mille: u64,
    /// Decides which.
    pub seed: u64,
}

/// What was seen.
#[derive(Debug)]
pub struct Seen {
    /// Rows of the file.
    pub rows: u64,
    /// How long all of it took.
    pub took: Duration,
    /// Calls.
    pub calls: usize,
    /// Faults by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// What the process of the planner took.
    pub planner: Usage,
    /// What the process of the worker took.
    pub worker: Usage,
    /// What is not as it should be.
    pub broken: Vec<String>,
}

/// What a process took of the machine.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// The most memory at once, in bytes.
    pub peak: u64,
    /// Processor time.
    pub busy: Duration,
}

/// No process is to have more memory at once.
const MOST: u64 = 64 * MEBIBYTE;
const MEBIBYTE: u64 = 1024 * 1024;

impl Seen {
    /// What took more memory than in an import of fewer rows; chance is left a
    /// fiftieth, or a mebibyte.
    pub fn grown_since(&self, fewer: &Self) -> Vec<String> {
        let processes = [
            ("planner", fewer.planner, self.planner),
            ("worker", fewer.worker, self.worker),
        ];
        let grown = processes.into_iter().filter(|(_, before, now)| {
            now.peak > before.peak + MEBIBYTE.max(before.peak / 50) || now.peak >= MOST
        });
        let say = |(name, before, now): (&str, Usage, Usage)| {
            format!("the {name} grew: {before}, then {now}")
        };
        grown.map(say).collect()
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        let Self { rows, calls, .. } = self;
        writeln!(f, "{rows} rows in {seconds:.0} s, {calls} calls")?;
        for (fault, times) in &self.faults {
            writeln!(f, "  {fault:<22} {times}")?;
        }
        writeln!(f, "  planner: {}", self.planner)?;
        write!(f, "  worker: {}", self.worker)?;
        for finding in &self.broken {
            write!(f, "\n  broken: {finding}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peak = self.peak as f64 / MEBIBYTE as f64;
        let busy = self.busy.as_secs_f64();
        write!(f, "{peak:.1} MiB at the most, {busy:.1} s of a processor")
    }
}

impl Volume {
    /// Imports the file.
    pub fn run(self) -> Seen {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(self.happen())
    }

    /// Imports the file.
    pub async fn happen(self) -> Seen {
        let file = SyntheticCsv::new(self.shape);
        let mut machine = Machine::new(Schedule::Rate {
            per_mille: self.per_mille,
            left: u64::MAX,
            kinds: &KINDS,
            random: Random::seeded(self.seed),
        });
        let began = Instant::now();
        {
            let mut state = machine.state.lock();
            state.latency = Latency::Off;
            let event = state.s3.make(KEY, &file, 1);
            let now = state.now();
            state.queues.send(IMPORT, &event, Duration::ZERO, now);
        }
        machine.import().await;
        let took = began.elapsed();
        let state = machine.state.lock();
        let mut faults = BTreeMap::new();
        for fault in state.log.calls.iter().filter_map(|call| call.fault) {
            *faults.entry(fault).or_insert(0) += 1;
        }
        let calls = state.log.calls.len();
        drop(state);
        let usage = |function| {
            let process = machine.process(function).expect("a process that is alive");
            Usage {
                peak: process.peak(),
                busy: process.busy(),
            }
        };
        Seen {
            rows: self.shape.rows,
            took,
            calls,
            faults,
            planner: usage(Function::Planner),
            worker: usage(Function::Worker),
            broken: broken(&machine, &file.expected()),
        }
    }
}

/// What is not as it should be.
fn broken(machine: &Machine, expected: &Expected) -> Vec<String> {
    let import = machine.import_of(BUCKET, KEY).expect("an import");
    let counts = Counts {
        created: expected.created,
        updated: 0,
        skipped: expected.skipped(),
        failed: expected.refused.len() as u64,
    };
    let mut broken = Vec::new();
    if (import.status, import.counts) != (ImportStatus::CompletedWithErrors, Some(counts)) {
        broken.push(format!(
            "{:?} {:?} {:?}, not {counts:?}",
            import.status, import.reason, import.counts
        ));
    }
    let state = machine.state.lock();
    broken.extend(stored(&state, expected));
    let report = state.s3.path(&report_key(import.id));
    let reported = reported(&report);
    if reported != expected.refused {
        let place = reported
            .iter()
            .zip(&expected.refused)
            .position(|(a, b)| a != b);
        broken.push(format!(
            "the report has {} rows, not {}, and differs at {place:?}",
            reported.len(),
            expected.refused.len()
        ));
    }
    let due = state.dynamodb.due().len();
    if due > 0 {
        broken.push(format!("{due} items are left due"));
    }
    broken
}

/// Profiles and locks that are not of a row which asks for that address. Which of
/// several it is depends on whose chunk was first.
fn stored(state: &Shared, expected: &Expected) -> Option<String> {
    let (mut profiles, mut locks, mut others) = (0, 0, 0);
    for item in state.dynamodb.each_item() {
        let (pk, key) = (text(&item, "pk"), text(&item, "email_key"));
        let (count, address) = match pk.strip_prefix("EMAIL#") {
            Some(address) => (&mut locks, address),
            None if pk.starts_with("PROFILE#") => (&mut profiles, &*key),
            None => continue,
        };
        match expected.asking.get(&number(&item, "line")) {
            Some(asking) if asking == address => *count += 1,
            _ => others += 1,
        }
    }
    let expected = (expected.created, expected.created, 0);
    ((profiles, locks, others) != expected).then(|| {
        format!("profiles, locks, others are {profiles}, {locks}, {others}, not {expected:?}")
    })
}

/// Line and reason of each row of a report.
fn reported(report: &Path) -> Vec<(u64, &'static str)> {
    const CODES: [&str; 3] = ["wrong_field_count", "invalid_email", "attribute_too_long"];
    let Ok(mut reader) = csv::ReaderBuilder::new().flexible(true).from_path(report) else {
        return Vec::new();
    };
    let columns = reader.headers().expect("a header").clone();
    let column = |name| {
        columns
            .iter()
            .position(|column| column == name)
            .expect("a column")
    };
    let (line, code) = (column("error_line"), column("error_code"));
    let rows = reader.records().map(|row| {
        let row = row.expect("a row");
        let code = CODES.iter().find(|known| **known == &row[code]);
        (
            row[line].parse().expect("a line"),
            *code.expect("a reason that is meant"),
        )
    });
    rows.collect()
}
