//! Imports through the real functions, of whose processes a hundred are killed, at
//! calls that chance has: what is stored in the end, and reported, is what it
//! would be had nobody been killed.
//!
//! Half way each import is cancelled, and then resumed; a chunk at which too many
//! processes died is given up, and run again when an operator says so.

use std::fmt;
use std::time::Duration;

use muster_core::platform::random::Random;
use muster_imports::import::{CHUNKS_FAILED, ImportItem, ImportStatus};

use crate::faults::{Fault, Schedule};
use crate::machine::Machine;
use crate::process::Function;
use crate::queues::IMPORT;
use crate::s3::BUCKET;
use crate::socket::request_of_operator;
use crate::state::Latency;
use crate::synthetic_csv::{Shape, SyntheticCsv};

/// Folders, and what they say of the files in them.
const PRESETS: [(&str, &str); 3] = [
    ("update", r#"{"on_conflict": "update", "confirm": "send"}"#),
    (
        "fail",
        r#"{"on_conflict": "fail", "confirm": "mark_confirmed"}"#,
    ),
    ("skip", r#"{"on_conflict": "skip", "confirm": "send"}"#),
];
/// People who are there before.
const KNOWN: Shape = Shape {
    rows: 500,
    apart: u64::MAX,
    note: 10,
    padding: 0,
    name: "Known",
};
/// Four chunks.
const PEOPLE: Shape = Shape {
    rows: 6_000,
    apart: u64::MAX,
    note: 2_000,
    padding: 8_000,
    name: "Row",
};
/// Calls of a thousand that kill: a checkpoint comes after ten or so.
const PER_MILLE: u64 = 60;
/// Deliveries until an import is cancelled, at the most: about as many as there are.
const CANCELLED_WITHIN: u32 = 30;
/// What kills.
const KINDS: [Fault; 2] = [Fault::KillBefore, Fault::KillAfter];

/// So many kills, one import after the other.
#[derive(Debug, Clone, Copy)]
pub struct Kills {
    /// How many.
    pub count: u64,
    /// Decides when.
    pub seed: u64,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Processes that were killed.
    pub killed: u64,
    /// Imports they were killed at.
    pub imports: u64,
    /// Calls.
    pub calls: usize,
    /// Imports that were cancelled in the middle, and resumed.
    pub cancelled: u64,
    /// Times that chunks were given up, and run again.
    pub given_up: u64,
    /// What is not as it should be.
    pub broken: Vec<String>,
}

impl Kills {
    /// Kills them.
    pub fn run(self) -> Seen {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(self.happen())
    }

    async fn happen(self) -> Seen {
        let mut seen = Seen::default();
        while seen.killed < self.count {
            let left = self.count - seen.killed;
            let preset = PRESETS[seen.imports as usize % PRESETS.len()].0;
            let mut clean = Place::new(preset).await;
            clean.machine.import().await;
            let mut place = Place::new(preset).await;
            let random = Random::seeded(self.seed + seen.imports);
            let until_cancelled = 1 + u32::from(random.bytes::<1>()[0]) % CANCELLED_WITHIN;
            place.kill(left, random);
            place.import(until_cancelled, &mut seen).await;
            seen.killed += place.machine.killed;
            seen.imports += 1;
            seen.calls += place.machine.state.lock().log.calls.len();
            let differs = place.differs_from(&clean);
            seen.broken
                .extend(differs.into_iter().map(|line| format!("{preset}: {line}")));
        }
        seen
    }
}

/// A world with people in it, and a file that is just there.
struct Place {
    machine: Machine,
    key: String,
}

impl Place {
    async fn new(preset: &str) -> Self {
        let mut machine = Machine::new(Schedule::Clean);
        {
            let mut state = machine.state.lock();
            state.latency = Latency::Off;
            let presets = PRESETS.map(|(name, says)| format!("{name:?}: {says}"));
            let presets = format!("{{{}}}", presets.join(", "));
            state.settings.insert("MUSTER_IMPORT_PRESETS", presets);
            state
                .settings
                .insert("MUSTER_MAIL_PAUSED", "true".to_owned());
        }
        drop_file(&machine, "uploads/known.csv", KNOWN);
        machine.import().await;
        let key = format!("uploads/{preset}/people.csv");
        drop_file(&machine, &key, PEOPLE);
        Self { machine, key }
    }

    /// From now on processes are killed.
    fn kill(&self, count: u64, random: Random) {
        self.machine.state.lock().schedule = Schedule::Rate {
            per_mille: PER_MILLE,
            left: count,
            kinds: &KINDS,
            random,
        };
    }

    /// Imports the file, with all that comes between: after so many deliveries of
    /// messages somebody cancels it.
    async fn import(&mut self, until_cancelled: u32, seen: &mut Seen) {
        for _ in 0..until_cancelled {
            self.machine.step().await;
        }
        if self.stored().is_some() && self.operate("cancel").await {
            self.machine.import().await;
            assert_eq!(self.status(), ImportStatus::Cancelled);
            seen.cancelled += u64::from(self.operate("resume").await);
        }
        self.machine.import().await;
        while self.is_given_up() {
            seen.given_up += u64::from(self.operate("resume").await);
            self.machine.import().await;
        }
    }

    /// Has an operator do something to the import; says whether that could be.
    async fn operate(&mut self, what: &str) -> bool {
        let id = self.stored().expect("an import").id;
        let event = request_of_operator(&format!("/imports/{id}/{what}"));
        let answer = self.machine.ask(Function::Api, &event).await;
        answer["statusCode"] == 202
    }

    fn stored(&self) -> Option<ImportItem> {
        self.machine.import_of(BUCKET, &self.key)
    }

    fn status(&self) -> ImportStatus {
        self.stored().expect("an import").status
    }

    fn is_given_up(&self) -> bool {
        let reason = self.stored().and_then(|import| import.reason);
        self.status() == ImportStatus::Failed
            && reason.is_some_and(|reason| reason.code == CHUNKS_FAILED)
    }

    fn differs_from(&self, clean: &Self) -> Vec<String> {
        let mut differs = self.machine.differs_from(&clean.machine);
        if self.report() != clean.report() {
            differs.push("another report".to_owned());
        }
        differs
    }

    fn report(&self) -> Vec<u8> {
        let key = self.stored().and_then(|import| import.report_key);
        let path = self.machine.state.lock().s3.path(&key.expect("a report"));
        std::fs::read(path).expect("a report")
    }
}

fn drop_file(machine: &Machine, key: &str, shape: Shape) {
    let mut state = machine.state.lock();
    let event = state.s3.make(key, &SyntheticCsv::new(shape), 1);
    let now = state.now();
    state.queues.send(IMPORT, &event, Duration::ZERO, now);
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            killed,
            imports,
            calls,
            cancelled,
            given_up,
            broken,
        } = self;
        writeln!(
            f,
            "{killed} processes killed at {calls} calls of {imports} imports"
        )?;
        write!(
            f,
            "imports cancelled and resumed {cancelled}, chunks given up and run again {given_up}"
        )?;
        for finding in broken.iter().take(20) {
            write!(f, "\n  broken: {finding}")?;
        }
        Ok(())
    }
}
