//! The real binaries, killed with `SIGKILL` before and after each of their
//! calls, and started again.

// In a test a panic is an answer, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use muster_core::random::Random;
use muster_core::time::Clock;
use muster_simulation::faults::{Fault, Schedule};
use muster_simulation::invariants::{INVARIANTS, Invariant, counts_are_rows, text};
use muster_simulation::process::{Function, Outcome};
use muster_simulation::queues::{CHUNK, FEEDBACK, IMPORT, MAIL};
use muster_simulation::run::empty_world;
use muster_simulation::socket::{RealProcess, request};
use muster_simulation::story::{BOUNCES, FILE_CSV};
use serde_json::{Value, json};

/// A world whose processes are real, and whose time is.
struct Machine {
    state: muster_simulation::endpoint::State,
    processes: u64,
    killed: u64,
    /// Days that the queues believe to have passed.
    days: u64,
}

impl Machine {
    fn new(schedule: Schedule) -> Self {
        let clock = Clock::manual(Clock::system().now());
        Self {
            state: empty_world(schedule, None, &clock, &Random::seeded(1)),
            processes: 0,
            killed: 0,
            days: 0,
        }
    }

    /// Has a new process of a function handle an event.
    async fn once(&mut self, function: Function, event: Value) -> Option<Value> {
        self.processes += 1;
        let process = RealProcess::start(self.processes, function, &self.state).await;
        match process.invoke(event).await.1 {
            Outcome::Answered(answer) => Some(answer),
            Outcome::Killed => {
                self.killed += 1;
                None
            }
            Outcome::Failed => panic!("{function:?} failed:\n{}", self.state.lock().log.timeline()),
        }
    }

    /// Delivers everything in a queue, until it is empty.
    async fn drain(&mut self, queue: &'static str, function: Function) {
        loop {
            self.days += 1;
            let message = {
                let mut state = self.state.lock();
                // However late or hidden they are: time has passed.
                let later = state
                    .now()
                    .after(Duration::from_secs(self.days * 24 * 60 * 60));
                state.queues.receive(queue, 1, later).pop()
            };
            let Some(message) = message else { return };
            let event = json!({ "Records": [message.record(queue)] });
            if self.once(function, event).await == Some(json!({ "batchItemFailures": [] })) {
                self.state.lock().queues.delete(queue, message.receipt());
            }
            self.pass_leases();
        }
    }

    /// The leases of the dead are over: what a minute or two would do.
    fn pass_leases(&self) {
        let state = self.state.lock();
        for item in state.dynamodb.items() {
            if item.contains_key("lease_until") {
                state.dynamodb.set(
                    &text(&item, "pk"),
                    &text(&item, "sk"),
                    "lease_until",
                    &json!({ "N": "1" }),
                );
            }
        }
    }

    /// What is stored, but for what is another each time: ids, secrets, times,
    /// and how often it was tried.
    fn outline(&self) -> Vec<String> {
        let state = self.state.lock();
        let mut outline: Vec<_> = state
            .dynamodb
            .items()
            .iter()
            .map(|item| {
                let kind = text(item, "pk");
                let kind = kind.split('#').next().unwrap_or_default();
                let names = [
                    "status",
                    "kind",
                    "confirmed",
                    "undeliverable",
                    "mails",
                    "counts",
                ];
                let values = names.map(|name| item.get(name).map(shown));
                format!("{kind} {} {values:?}", text(item, "sk"))
            })
            // What is asked for again is counted again.
            .filter(|line| !["RATE", "DECOY"].iter().any(|kind| line.starts_with(kind)))
            .collect();
        outline.sort();
        outline
    }

    fn broken(&self, names: &[&str]) -> Vec<String> {
        let state = self.state.lock();
        let items = state.dynamodb.items();
        let counts: (&str, Invariant) = ("the counts of an import are its rows", counts_are_rows);
        INVARIANTS
            .iter()
            .chain([&counts])
            .filter(|(name, _)| names.contains(name))
            .flat_map(|(_, invariant)| invariant(&state, &items))
            .collect()
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

/// Signs up and is mailed, whoever is killed on the way.
async fn mailed(schedule: Schedule, address: &str) -> Machine {
    let mut machine = Machine::new(schedule);
    let person = request("/signup", &json!({ "email": address, "name": "Ada" }));
    while machine.once(Function::Api, person.clone()).await.is_none() {}
    machine.drain(MAIL, Function::Mailer).await;
    // The nudge may have died with the process that was to send it.
    let due = machine.state.lock().dynamodb.due();
    let first = due.iter().filter(|item| text(item, "sk") == "MAIL#1");
    for item in first {
        let profile = text(item, "pk");
        let nudge = json!({ "profile_id": profile.trim_start_matches("PROFILE#"), "mail": 1 });
        let mut state = machine.state.lock();
        let now = state.now();
        state
            .queues
            .send(MAIL, &nudge.to_string(), Duration::ZERO, now);
    }
    machine.drain(MAIL, Function::Mailer).await;
    machine.drain(FEEDBACK, Function::Feedback).await;
    machine
}

/// The same with an address that there is not.
async fn bounce(schedule: Schedule) -> Machine {
    mailed(schedule, BOUNCES).await
}

/// Signs up, is mailed, and confirms.
async fn sign_up(schedule: Schedule) -> Machine {
    let mut machine = mailed(schedule, "ada@example.com").await;
    let token = machine
        .state
        .lock()
        .ses
        .accepted
        .last()
        .unwrap()
        .token
        .clone();
    let click = request("/confirm", &json!({ "token": token }));
    while machine.once(Function::Api, click.clone()).await.is_none() {}
    machine
}

async fn import(schedule: Schedule) -> Machine {
    let mut machine = Machine::new(schedule);
    {
        let mut state = machine.state.lock();
        let now = state.now();
        let event = state.s3.upload("uploads/people.csv", FILE_CSV.clone(), 1);
        state.queues.send(IMPORT, &event, Duration::ZERO, now);
    }
    machine.drain(IMPORT, Function::Planner).await;
    machine.drain(CHUNK, Function::Worker).await;
    machine
}

/// Plays an act as often as it has calls, and kills before and after each.
async fn kill_everywhere(act: impl AsyncFn(Schedule) -> Machine, rules: &[&str]) {
    let clean = act(Schedule::Clean).await;
    assert_eq!(clean.broken(rules), Vec::<String>::new());
    let calls = clean.state.lock().log.calls.len() as u64;
    assert!(calls > 5, "{}", clean.state.lock().log.timeline());
    for call in 0..calls {
        for fault in [Fault::KillBefore, Fault::KillAfter] {
            let machine = act(Schedule::Single { call, fault }).await;
            assert_eq!(machine.killed, 1, "{fault} call {call}");
            assert!(
                machine.outline() == clean.outline(),
                "{fault} call {call}: {:#?}",
                machine.outline()
            );
            let broken = machine.broken(rules);
            assert!(
                broken.is_empty(),
                "{fault} call {call}: {broken:#?}\n{}",
                machine.state.lock().log.timeline()
            );
        }
    }
}

#[tokio::test]
async fn a_sign_up_survives_a_kill_at_every_call() {
    let rules = [
        "no profile without lock and mail",
        "no lock without profile",
        "every mail sent, or abandoned with a reason",
        "what is marked sent was sent",
        "what SES reports is known",
        "no mail twice outside the window",
        "nothing left leased or due",
    ];
    kill_everywhere(sign_up, &rules).await;
}

#[tokio::test]
async fn a_bounce_survives_a_kill_at_every_call() {
    let rules = [
        "what is marked sent was sent",
        "what SES reports is known",
        "nothing goes where nothing is wanted",
        "no mail twice outside the window",
        "nothing left leased or due",
    ];
    kill_everywhere(bounce, &rules).await;
}

#[tokio::test]
async fn an_import_survives_a_kill_at_every_call() {
    kill_everywhere(
        import,
        &[
            "the counts of an import are its rows",
            "nothing left leased or due",
        ],
    )
    .await;
}
