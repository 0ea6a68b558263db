//! `make bench`: what does asking many sources cost beyond waiting for the slowest?
//!
//! Eight sources, on another thread and behind sockets, take 20 to 200 ms each. The
//! function's own code asks all of them on a runtime of one thread, as on Lambda, over
//! connections that are kept; then the same code asks one after the other, and a client
//! of asyncio and aiohttp asks the same sources at once. All times are told beside the
//! 200 ms that the slowest source sleeps, so what the sources' own timers and sockets
//! take counts as ours, and as aiohttp's; the slowest asked alone says how much that is.
//!
//! The deadline is asked for with sources of which two hang and one drips. They are new
//! to the circuit breaker in each round, or it would keep us from asking.

// In a bench a panic is an answer, and printing is what it is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod stubs;
mod times;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use muster_core::platform::aws::AwsSettings;
use muster_core::platform::ids::ProfileId;
use muster_core::platform::random::Random;
use muster_core::platform::settings::Variables;
use muster_core::platform::time::Clock;
use muster_details::config::document::{self, Document};
use muster_details::config::reload::Sources;
use muster_details::config::secrets::Secrets;
use muster_details::config::url_template::Person;
use muster_details::sources::addresses::Over;
use muster_details::sources::fan_out::{Gatherer, Sighting};
use muster_details::sources::transport::{Transport, over_the_net};
use muster_simulation::sources::{Behaviour, Reply};
use serde_json::{Map, Value, json};

use crate::stubs::Source;
use crate::times::Times;

const COUNT: u64 = 8;
const FASTEST_MS: u64 = 20;
const SLOWEST_MS: u64 = 200;
const SLOWEST: Duration = Duration::from_millis(SLOWEST_MS);
/// The goal for the median: this factor of the slowest, and this much more.
const FACTOR: f64 = 1.02;
const MORE: Duration = Duration::from_millis(1);
/// Where sources hang.
const DEADLINE: Duration = Duration::from_millis(300);
/// Rounds before anything counts.
const WARM_UP: usize = 5;
/// A tenth as many rounds do not ask all at once.
const FEWER: usize = 10;

/// Measures asking many sources at once.
#[derive(Parser)]
struct Arguments {
    /// Rounds.
    #[arg(long, default_value_t = 100)]
    rounds: usize,
    /// What `cargo bench` says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    measure(arguments.rounds).await
}

async fn measure(rounds: usize) -> ExitCode {
    let stubs = stubs::start((0..COUNT).map(|n| answers(delay(n))));
    let us = Us::new(&stubs).await;
    println!("{COUNT} sources of {FASTEST_MS} to {SLOWEST_MS} ms, beside the slowest");
    let at_once = us.times(rounds, Us::at_once).await;
    println!("{:<26} {}", "at once", at_once.beside(SLOWEST));
    let fewer = rounds.div_ceil(FEWER);
    let alone = us.times(fewer, Us::slowest).await;
    println!("{:<26} {}", "the slowest alone", alone.beside(SLOWEST));
    let in_turn = us.times(fewer, Us::in_turn).await;
    println!("{:<26} {}", "one after the other", in_turn.beside(SLOWEST));
    let aiohttp = aiohttp(&stubs, rounds);
    println!(
        "{:<26} {}",
        "at once, with aiohttp",
        aiohttp.beside(SLOWEST)
    );
    println!("{COUNT} sources of which two hang and one drips, beside the deadline");
    let (hung, left_open) = deadlines(rounds).await;
    println!("{:<26} {}", "at once", hung.beside(DEADLINE));
    println!("{:<26} {left_open}", "connections left open");
    let goal = SLOWEST.mul_f64(FACTOR) + MORE;
    if at_once.at(50) > goal {
        println!("the median is beyond {FACTOR} of the slowest and {MORE:?}");
        return ExitCode::FAILURE;
    }
    match left_open {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// How long the source of that number takes, in milliseconds.
const fn delay(number: u64) -> u64 {
    FASTEST_MS + (SLOWEST_MS - FASTEST_MS) * number / (COUNT - 1)
}

fn answers(after: u64) -> Behaviour {
    let person = json!({ "name": "Ada Lovelace", "plan": "pro", "city": "London" });
    Reply::from(person).after(after).into()
}

/// Times of rounds at whose deadline some sources still say nothing, and how many
/// connections to those are left.
async fn deadlines(rounds: usize) -> (Times, usize) {
    let bad = [
        Behaviour::Hangs,
        Behaviour::HangsInBody,
        Behaviour::Drips(Duration::from_secs(1)),
    ];
    let good = COUNT - bad.len() as u64;
    let stubs = stubs::start((0..good).map(|n| answers(delay(n))).chain(bad));
    let us = Us::new(&stubs).await;
    let times = us.times(rounds, Us::until_the_deadline).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let left_open = stubs[good as usize..]
        .iter()
        .map(|source| source.stub.open());
    (times, left_open.sum())
}

/// The function's own code, and what it asks about whom.
struct Us {
    transport: Transport,
    gatherer: Gatherer,
    clock: Clock,
    sources: Sources,
    id: ProfileId,
}

impl Us {
    async fn new(stubs: &[Source]) -> Self {
        let clock = Clock::system();
        let transport = over_the_net(Over::Local).unwrap();
        let document = document(stubs);
        Self {
            gatherer: Gatherer::new(transport.clone(), clock.clone()),
            transport,
            id: ProfileId::new(clock.now(), &Random::system()),
            clock,
            sources: Sources::with_secrets(document, &secrets()).await,
        }
    }

    /// How long rounds take, the first few left out.
    async fn times(&self, rounds: usize, round: impl AsyncFn(&Self)) -> Times {
        let mut times = Vec::with_capacity(rounds);
        for number in 0..WARM_UP + rounds {
            let began = Instant::now();
            round(self).await;
            if number >= WARM_UP {
                times.push(began.elapsed());
            }
        }
        Times::new(times)
    }

    async fn at_once(&self) {
        all_known(
            &self
                .ask(&self.gatherer, &self.sources.document.sources)
                .await,
        );
    }

    async fn slowest(&self) {
        let last = &self.sources.document.sources[COUNT as usize - 1..];
        all_known(&self.ask(&self.gatherer, last).await);
    }

    async fn in_turn(&self) {
        for source in &self.sources.document.sources {
            let one = std::slice::from_ref(source);
            all_known(&self.ask(&self.gatherer, one).await);
        }
    }

    async fn until_the_deadline(&self) {
        let gatherer = Gatherer::new(self.transport.clone(), self.clock.clone());
        let seen = self.ask(&gatherer, &self.sources.document.sources).await;
        let known = seen.iter().filter(|seen| seen.outcome.data().is_some());
        assert_eq!(known.count() as u64, COUNT - 3);
    }

    async fn ask(&self, gatherer: &Gatherer, asked: &[Arc<document::Source>]) -> Vec<Sighting> {
        let person = Person {
            id: self.id,
            email: "ada@example.com",
            attributes: &BTreeMap::new(),
            is_unconfirmed: false,
        };
        let deadline = tokio::time::Instant::now() + self.sources.document.deadline;
        let cached = HashMap::new();
        gatherer
            .gather(&self.sources, asked, &person, &cached, deadline)
            .await
    }
}

fn all_known(seen: &[Sighting]) {
    assert!(
        seen.iter().all(|seen| seen.outcome.data().is_some()),
        "{seen:?}"
    );
}

fn document(stubs: &[Source]) -> Document {
    let deadline = DEADLINE.as_millis() as u64;
    let source = |stub: &Source| json!({ "url": stub.url, "timeout_ms": deadline });
    let sources: Map<String, Value> = stubs
        .iter()
        .enumerate()
        .map(|(number, stub)| (format!("source-{number}"), source(stub)))
        .collect();
    let document = json!({ "deadline_ms": deadline, "sources": sources });
    Document::parse(&document.to_string(), Over::Local).unwrap()
}

/// Where no source has one.
fn secrets() -> Secrets {
    let mut variables = Variables::from_fn(|_| Some("bench".to_owned()));
    Secrets::new(&AwsSettings::read(&mut variables).sdk_config())
}

/// The same rounds by a client of asyncio and aiohttp.
fn aiohttp(stubs: &[Source], rounds: usize) -> Times {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = Command::new(root.join(".venv/aiohttp/bin/python"))
        .arg(root.join("tests/benches/details/aiohttp_client.py"))
        .args(["--rounds", &rounds.to_string()])
        .args(["--warm-up", &WARM_UP.to_string()])
        .args(stubs.iter().map(|source| &source.url))
        .output()
        .expect("aiohttp: infra/local/tools/install.sh aiohttp");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let seconds: Vec<f64> = serde_json::from_slice(&output.stdout).unwrap();
    Times::new(seconds.into_iter().map(Duration::from_secs_f64).collect())
}
