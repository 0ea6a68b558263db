//! A world whose processes are real, and whose time is: but nobody waits for what
//! only time would bring. A queue hands out what is hidden, leases of the dead are
//! over, and what is due some day is due.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use muster_core::platform::random::Random;
use muster_core::platform::table::{Key, decode};
use muster_core::platform::time::{Clock, Time};
use muster_imports::import::{ImportItem, ObjectItem, import_key, object_key};
use serde_json::{Value, json};

use crate::deployment::empty_world;
use crate::faults::Schedule;
use crate::invariants::text;
use crate::process::{Function, Outcome};
use crate::queues::{CHUNK, IMPORT};
use crate::socket::RealProcess;
use crate::state::State;

/// Sweeps one after the other of which none brings a message.
const SWEEPS: u32 = 50;
/// Deliveries in all: a world that needs more does not come to rest.
const DELIVERIES: u64 = 100_000;

/// A world of real processes, one of each function at the most.
pub struct Machine {
    /// What they share.
    pub state: State,
    /// Processes that were killed.
    pub killed: u64,
    idle: BTreeMap<Function, RealProcess>,
    started: u64,
    /// Days that the queues believe to have passed: one for each delivery.
    days: u64,
    /// Sweeps since the last delivery.
    sweeps: u32,
    random: Random,
}

impl Machine {
    /// A world before its first process.
    pub fn new(schedule: Schedule) -> Self {
        let clock = Clock::manual(Clock::system().now());
        let random = Random::seeded(1);
        Self {
            state: empty_world(schedule, None, &clock, &random),
            killed: 0,
            idle: BTreeMap::new(),
            started: 0,
            days: 0,
            sweeps: 0,
            random,
        }
    }

    /// Has a process of a function handle an event.
    pub async fn handle(&mut self, function: Function, event: Value) -> Outcome {
        let process = match self.idle.remove(&function) {
            Some(process) => process,
            None => {
                self.started += 1;
                RealProcess::start(self.started, function, &self.state).await
            }
        };
        let (process, outcome) = process.invoke(event).await;
        self.idle.extend(process.map(|process| (function, process)));
        self.killed += u64::from(matches!(outcome, Outcome::Killed));
        outcome
    }

    /// Has a function answer an event, however often it is killed at it.
    pub async fn ask(&mut self, function: Function, event: &Value) -> Value {
        loop {
            match self.handle(function, event.clone()).await {
                Outcome::Answered(answer) => return answer,
                Outcome::Killed => {}
                Outcome::Failed => panic!("{function:?} failed at {event}"),
            }
        }
    }

    /// The process of a function, if there is one now.
    pub fn process(&self, function: Function) -> Option<&RealProcess> {
        self.idle.get(&function)
    }

    /// Delivers one message of a queue; says whether there was one.
    pub async fn deliver(&mut self, queue: &'static str, function: Function) -> bool {
        self.days += 1;
        assert!(self.days < DELIVERIES, "it does not come to rest");
        let message = {
            let mut state = self.state.lock();
            let days = Duration::from_secs(self.days * 24 * 60 * 60);
            let later = state.now().after(days);
            state.queues.receive(queue, 1, later).pop()
        };
        let Some(message) = message else { return false };
        let event = json!({ "Records": [message.record(queue)] });
        match self.handle(function, event).await {
            Outcome::Answered(answer) if answer == json!({ "batchItemFailures": [] }) => {
                self.state.lock().queues.delete(queue, message.receipt());
            }
            Outcome::Answered(_) | Outcome::Killed => {}
            Outcome::Failed => panic!("{function:?} failed at a message"),
        }
        self.pass("lease_until", &json!({ "N": "1" }), |_| true);
        true
    }

    /// Delivers everything in a queue, until it is empty.
    pub async fn drain(&mut self, queue: &'static str, function: Function) {
        while self.deliver(queue, function).await {}
    }

    /// Does what is to be done for imports, until there is nothing.
    pub async fn import(&mut self) {
        while self.step().await {}
    }

    /// Delivers a message of an import, or sweeps if there is none and something is
    /// due; says whether there was anything to do.
    pub async fn step(&mut self) -> bool {
        let mut queues = [(IMPORT, Function::Planner), (CHUNK, Function::Worker)];
        if self.random.bytes::<1>()[0] < 128 {
            queues.reverse();
        }
        for (queue, function) in queues {
            if self.deliver(queue, function).await {
                self.sweeps = 0;
                return true;
            }
        }
        let past = json!({ "S": Time::from_millis(0).to_string() });
        if self.pass("due_at", &past, |key| key.pk.starts_with("IMPORT#")) == 0 {
            return false;
        }
        self.sweeps += 1;
        assert!(self.sweeps < SWEEPS, "what is due is not nudged");
        // One that fails is followed by another.
        let _ = self.handle(Function::Sweeper, Value::Null).await;
        true
    }

    /// Has a time of what waits for somebody be over; says of how many items.
    fn pass(&self, time: &str, over: &Value, of: impl Fn(&Key) -> bool) -> usize {
        let state = self.state.lock();
        let keys = state
            .dynamodb
            .due()
            .iter()
            .filter_map(Key::of)
            .filter(of)
            .collect::<Vec<_>>();
        for key in &keys {
            if state
                .dynamodb
                .item(key)
                .is_some_and(|item| item.contains_key(time))
            {
                state.dynamodb.set(&key.pk, &key.sk, time, over);
            }
        }
        keys.len()
    }

    /// What is stored, but for what is another each time: ids, secrets, times,
    /// and how often it was tried.
    pub fn outline(&self) -> Vec<String> {
        let state = self.state.lock();
        let mut outline: Vec<_> = state
            .dynamodb
            .each_item()
            .map(|item| {
                let kind = text(&item, "pk");
                let kind = kind.split('#').next().unwrap_or_default();
                let names = [
                    "status",
                    "kind",
                    "confirmed",
                    "undeliverable",
                    "mails",
                    "counts",
                    "version",
                    "line",
                    "outcome",
                    "name",
                ];
                // Why, and since when, is another each time: a mail that goes again
                // may be one that SES holds back.
                let value = |name| match name {
                    "undeliverable" => item.get(name).map(|_| String::new()),
                    _ => item.get(name).map(shown),
                };
                let values = names.map(value);
                format!("{kind} {} {values:?}", text(&item, "sk"))
            })
            // What is asked for again is counted again.
            .filter(|line| {
                let counters = ["RATE", "SHAM", "BUCKET"];
                !counters.iter().any(|kind| line.starts_with(kind))
            })
            .collect();
        outline.sort();
        outline
    }

    /// Where its outline is another than that one's.
    pub fn differs_from(&self, other: &Self) -> Vec<String> {
        let (mut ours, theirs) = (self.outline(), other.outline());
        let mut missing = Vec::new();
        for line in theirs {
            match ours.binary_search(&line) {
                Ok(place) => drop(ours.remove(place)),
                Err(_) => missing.push(format!("missing: {line}")),
            }
        }
        missing.extend(ours.iter().map(|line| format!("too many: {line}")));
        missing
    }

    /// The import that an object became, if it did.
    pub fn import_of(&self, bucket: &str, key: &str) -> Option<ImportItem> {
        let state = self.state.lock();
        let object = state.dynamodb.item(&object_key(bucket, key))?;
        let object: ObjectItem = decode(object).expect("an object");
        let import = state.dynamodb.item(&import_key(object.import_id))?;
        Some(decode(import).expect("an import"))
    }
}

/// A value, always in the same way.
fn shown(value: &AttributeValue) -> String {
    match value.as_m() {
        Ok(map) => {
            let parts: BTreeMap<_, _> = map.iter().collect();
            format!("{parts:?}")
        }
        Err(value) => format!("{value:?}"),
    }
}
