//! One run, from its seed.

use std::ops::Range;
use std::sync::mpsc::sync_channel;
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use muster_core::random::Random;
use muster_core::table::Item;
use muster_core::time::{Clock, Time};
use serde_json::{Value, json};

use crate::bug::Bug;
use crate::dynamodb::{DynamoDb, TABLE};
use crate::endpoint::{Shared, State};
use crate::faults::{FAULTS, Schedule};
use crate::import_story::{self, object};
use crate::invariants::{INVARIANTS, text};
use crate::log::Log;
use crate::process::Function;
use crate::queues::{BULK_MAIL, CHUNK, FEEDBACK, IMPORT, MAIL, Properties, Queues};
use crate::story::Story;
use crate::world::World;

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

/// Runs of one kind of story.
pub struct Tale {
    story: fn(&Random) -> Story,
    /// As many calls as a run makes in which nothing goes wrong, give or take: a
    /// clean run of every seed would take as long as the run itself.
    clean_calls: OnceLock<u64>,
}

/// People who sign up, confirm, move and leave, and a file.
pub static PEOPLE: Tale = Tale::of(Story::of);
/// An import with everything that is done to one.
pub static IMPORTS: Tale = Tale::of(import_story::story);
/// An import that ends the same whatever happens.
pub static PLAIN_IMPORTS: Tale = Tale::of(import_story::plain_story);

/// An import of forty chunks, twenty to a lane.
pub static LONG_IMPORTS: Tale = Tale::of(import_story::long_story);
/// An import of a file in which addresses occur in several chunks.
pub static REPEATS: Tale = Tale::of(import_story::repeats_story);

impl Tale {
    /// Runs of these stories.
    pub const fn of(story: fn(&Random) -> Story) -> Self {
        Self {
            story,
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
        runtime.block_on(happen(seed, self.story, schedule, bug))
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
    story: fn(&Random) -> Story,
    schedule: Schedule,
    bug: Option<Bug>,
) -> Run {
    let random = Random::seeded(seed ^ 0x6d75_7374_6572);
    let clock = Clock::manual(EPOCH);
    let mut story = story(&random);
    let rules = std::mem::take(&mut story.rules);
    let state = empty_world(schedule, bug, &clock, &random);
    let mut world = World::new(state.clone(), clock, random, story);
    world.run().await;
    let mut shared = state.lock();
    let items = shared.dynamodb.items();
    let mut broken: Vec<_> = INVARIANTS
        .iter()
        .map(|(name, invariant)| (*name, invariant(&shared, &items)))
        .chain(
            rules
                .iter()
                .map(|rule| (rule.name, rule.findings(&shared, &items))),
        )
        .filter(|(_, findings)| !findings.is_empty())
        .collect();
    if !world.at_rest {
        broken.push((
            "everything comes to rest",
            vec!["two days later, something still goes on".to_owned()],
        ));
    }
    let mut mails: Vec<_> = shared
        .ses
        .accepted
        .iter()
        .map(|mail| (&mail.profile_id, &mail.mail))
        .collect();
    let all = mails.len();
    mails.sort();
    mails.dedup();
    let doubled = all - mails.len();
    let import = items.iter().find(|item| item.contains_key("report_key"));
    Run {
        report: import.and_then(|import| object(&shared, &text(import, "report_key"))),
        log: std::mem::take(&mut shared.log),
        broken,
        doubled,
        items,
    }
}

/// A table, a bucket and queues with nothing in them.
pub fn empty_world(schedule: Schedule, bug: Option<Bug>, clock: &Clock, random: &Random) -> State {
    let dynamodb = DynamoDb::new(&table());
    let queues = Queues::new(queues(), random.clone());
    State::new(Shared::new(
        dynamodb,
        queues,
        schedule,
        bug,
        clock.clone(),
        random.clone(),
    ))
}

/// `template.yaml`, as far as DynamoDB wants to know.
fn table() -> Value {
    let template = template();
    let properties = &template["Resources"]["Table"]["Properties"];
    let part = |name: &str| serde_json::to_value(&properties[name]).expect("JSON");
    json!({
        "TableName": TABLE,
        "BillingMode": part("BillingMode"),
        "AttributeDefinitions": part("AttributeDefinitions"),
        "KeySchema": part("KeySchema"),
        "GlobalSecondaryIndexes": part("GlobalSecondaryIndexes"),
    })
}

/// What AWS has where the template is silent.
const DEFAULT_RETENTION: u64 = 4 * 24 * 3600;

fn queues() -> Vec<(&'static str, Properties)> {
    let resources = &template()["Resources"];
    [
        (MAIL, "Mail", Function::Mailer),
        (BULK_MAIL, "BulkMail", Function::Mailer),
        (IMPORT, "Import", Function::Planner),
        (CHUNK, "Chunk", Function::Worker),
        (FEEDBACK, "Feedback", Function::Feedback),
    ]
    .into_iter()
    .map(|(name, resource, reader)| {
        let queue = &resources[format!("{resource}Queue")]["Properties"];
        let dead = &resources[format!("{resource}DeadLetterQueue")]["Properties"];
        let visibility = queue["VisibilityTimeout"].as_u64();
        let receives = queue["RedrivePolicy"]["maxReceiveCount"].as_u64();
        let retention = |queue: &serde_yaml_ng::Value| {
            let seconds = queue["MessageRetentionPeriod"].as_u64();
            Duration::from_secs(seconds.unwrap_or(DEFAULT_RETENTION))
        };
        let properties = Properties {
            reader: reader.name(),
            visibility: Duration::from_secs(visibility.expect("a visibility timeout")),
            max_receives: receives.expect("receives").try_into().expect("a number"),
            retention: retention(queue),
            dead_retention: retention(dead),
        };
        (name, properties)
    })
    .collect()
}

/// `template.yaml`.
pub fn template() -> &'static serde_yaml_ng::Value {
    static TEMPLATE: LazyLock<serde_yaml_ng::Value> = LazyLock::new(|| {
        let text = include_str!("../../template.yaml");
        serde_yaml_ng::from_str(text).expect("template.yaml is YAML")
    });
    &TEMPLATE
}
