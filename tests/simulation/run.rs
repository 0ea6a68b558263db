//! One run, from its seed.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::mpsc::sync_channel;

use bytes::Bytes;
use muster_core::platform::random::Random;
use muster_core::platform::table::Item;
use muster_core::platform::time::{Clock, Time};

use crate::bug::Bug;
use crate::deployment::empty_world;
use crate::faults::{FAULTS, Schedule};
use crate::invariants::{INVARIANTS, text};
use crate::log::Log;
use crate::scenario::{Rule, Scenario};
use crate::state::Shared;
use crate::world::World;
use crate::{import_scenarios, people_scenarios};

/// When every run begins: 2026-01-01T00:00:00Z.
pub const EPOCH: Time = Time::from_millis(1_767_225_600_000);

/// What a run was, and what it broke.
#[derive(Debug)]
pub struct Run {
    /// Its calls.
    pub log: Log,
    /// Invariants that do not hold, with their findings.
    pub broken: Vec<(&'static str, Vec<String>)>,
    /// Mails that went again in the window.
    pub doubled: usize,
    /// What is stored in the end.
    pub items: Vec<Item>,
    /// The report of the import, if it has one.
    pub report: Option<Bytes>,
}

/// Runs scenarios of one kind.
pub struct ScenarioRunner {
    scenario: fn(&Random) -> Scenario,
    /// As many calls as a run makes in which nothing goes wrong, give or take: a
    /// clean run of every seed would take as long as the run itself.
    clean_calls: OnceLock<u64>,
}

/// People who sign up, confirm, move and leave, and a file.
pub static PEOPLE: ScenarioRunner = ScenarioRunner::new(people_scenarios::people);
/// An import with everything that is done to one.
pub static IMPORTS: ScenarioRunner = ScenarioRunner::new(import_scenarios::busy_import);
/// An import that ends the same whatever happens.
pub static PLAIN_IMPORTS: ScenarioRunner = ScenarioRunner::new(import_scenarios::plain_import);
/// An import of forty chunks, twenty to a lane.
pub static LONG_IMPORTS: ScenarioRunner = ScenarioRunner::new(import_scenarios::long_import);
/// An import of a file in which addresses occur in several chunks.
pub static REPEATS: ScenarioRunner = ScenarioRunner::new(import_scenarios::repeated_addresses);

impl ScenarioRunner {
    /// A runner of the scenarios that this function draws.
    pub const fn new(scenario: fn(&Random) -> Scenario) -> Self {
        Self {
            scenario,
            clean_calls: OnceLock::new(),
        }
    }

    /// The run of a seed.
    pub fn run(&self, seed: u64, bug: Option<Bug>) -> Run {
        self.run_with(seed, self.schedule(seed), bug)
    }

    /// A run with these faults.
    pub fn run_with(&self, seed: u64, schedule: Schedule, bug: Option<Bug>) -> Run {
        // The SDK's jitter and invocation ids come from here, on this thread.
        fastrand::seed(seed);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(happen(seed, self.scenario, schedule, bug))
    }

    /// What goes wrong in the run of a seed: of each three, one has a single fault
    /// at one of the calls of a clean run, one has some faults, one has many.
    pub fn schedule(&self, seed: u64) -> Schedule {
        let random = Random::seeded(seed);
        match seed % 3 {
            0 => {
                let calls = *self.clean_calls.get_or_init(|| {
                    let clean = self.run_with(0, Schedule::Clean, None);
                    clean.log.calls.len() as u64
                });
                // Every call and every fault in turn; the stride spreads the calls
                // of a few seeds over the whole run.
                let turn = seed / 3;
                Schedule::Single {
                    call: turn * 37 % calls,
                    fault: FAULTS[turn as usize % FAULTS.len()],
                }
            }
            kind => Schedule::Rate {
                per_mille: if kind == 1 { 30 } else { 150 },
                left: if kind == 1 { 8 } else { 25 },
                kinds: &FAULTS,
                random,
            },
        }
    }

    /// Runs many seeds, as many at once as there are processors, and hands each
    /// run over in the order of the seeds.
    pub fn run_all(&self, seeds: Range<u64>, bug: Option<Bug>, mut each: impl FnMut(u64, Run)) {
        let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        std::thread::scope(|scope| {
            let runs: Vec<_> = (0..threads)
                .map(|first| {
                    let (give, take) = sync_channel(1);
                    let seeds = seeds.clone().skip(first as usize).step_by(threads as usize);
                    scope.spawn(move || {
                        for seed in seeds {
                            // Whoever takes the runs may have seen enough.
                            if give.send(self.run(seed, bug)).is_err() {
                                return;
                            }
                        }
                    });
                    take
                })
                .collect();
            for (seed, take) in seeds.zip(runs.iter().cycle()) {
                match take.recv() {
                    Ok(run) => each(seed, run),
                    Err(_) => panic!("the run of seed {seed} panicked"),
                }
            }
        });
    }
}

async fn happen(
    seed: u64,
    scenario: fn(&Random) -> Scenario,
    schedule: Schedule,
    bug: Option<Bug>,
) -> Run {
    let random = Random::seeded(seed ^ 0x6d75_7374_6572);
    let clock = Clock::manual(EPOCH);
    let mut scenario = scenario(&random);
    let rules = std::mem::take(&mut scenario.rules);
    let state = empty_world(schedule, bug, &clock, &random);
    let mut world = World::new(state.clone(), clock, random, scenario);
    world.run().await;
    let mut shared = state.lock();
    let items = shared.dynamodb.items();
    let mut broken = broken(&shared, &items, &rules);
    if !world.at_rest {
        broken.push((
            "everything comes to rest",
            vec!["two days later, something still goes on".to_owned()],
        ));
    }
    let import = items.iter().find(|item| item.contains_key("report_key"));
    Run {
        report: import.and_then(|import| shared.s3.object(&text(import, "report_key"))),
        doubled: doubled(&shared),
        log: std::mem::take(&mut shared.log),
        broken,
        items,
    }
}

/// The invariants and rules that do not hold, with their findings.
fn broken(shared: &Shared, items: &[Item], rules: &[Rule]) -> Vec<(&'static str, Vec<String>)> {
    INVARIANTS
        .iter()
        .map(|(name, invariant)| (*name, invariant(shared, items)))
        .chain(
            rules
                .iter()
                .map(|rule| (rule.name, rule.findings(shared, items))),
        )
        .filter(|(_, findings)| !findings.is_empty())
        .collect()
}

/// How many mails were accepted that had been accepted before.
fn doubled(shared: &Shared) -> usize {
    let mut mails: Vec<_> = shared
        .ses
        .accepted
        .iter()
        .map(|mail| (&mail.profile_id, &mail.mail))
        .collect();
    let all = mails.len();
    mails.sort();
    mails.dedup();
    all - mails.len()
}
