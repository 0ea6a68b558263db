//! The real binaries, killed with `SIGKILL` before and after each of their
//! calls, and started again.

// In a test a panic is an answer, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use muster_simulation::addresses::BOUNCES;
use muster_simulation::faults::{Fault, Schedule};
use muster_simulation::invariants::{INVARIANTS, Invariant, text};
use muster_simulation::machine::Machine;
use muster_simulation::people_csv::{FILE_CSV, counts_are_rows};
use muster_simulation::process::Function;
use muster_simulation::queues::{FEEDBACK, IMPORT, MAIL};
use muster_simulation::socket::request;
use muster_simulation::synthetic_csv::Shape;
use muster_simulation::volume::Volume;
use serde_json::json;

fn broken(machine: &Machine, names: &[&str]) -> Vec<String> {
    let state = machine.state.lock();
    let items = state.dynamodb.items();
    let counts: (&str, Invariant) = ("the counts of an import are its rows", counts_are_rows);
    INVARIANTS
        .iter()
        .chain([&counts])
        .filter(|(name, _)| names.contains(name))
        .flat_map(|(_, invariant)| invariant(&state, &items))
        .collect()
}

/// Signs up and is mailed, whoever is killed on the way.
async fn mailed(schedule: Schedule, address: &str) -> Machine {
    let mut machine = Machine::new(schedule);
    let person = request("/signup", &json!({ "email": address, "name": "Ada" }));
    machine.ask(Function::Api, &person).await;
    machine.drain(MAIL, Function::Mailer).await;
    // The nudge may have died with the process that was to send it, and those for
    // decoys take send slots: the sweeper nudges until the mail has gone.
    for _ in 0..20 {
        let due = machine.state.lock().dynamodb.due();
        let first: Vec<_> = due
            .iter()
            .filter(|item| text(item, "sk") == "MAIL#1")
            .map(|item| text(item, "pk"))
            .collect();
        if first.is_empty() {
            break;
        }
        for profile in first {
            let id = profile.trim_start_matches("PROFILE#");
            let nudge = json!({ "profile_id": id, "mail": 1 });
            let mut state = machine.state.lock();
            let now = state.now();
            state
                .queues
                .send(MAIL, &nudge.to_string(), Duration::ZERO, now);
        }
        machine.drain(MAIL, Function::Mailer).await;
    }
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
    machine.ask(Function::Api, &click).await;
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
    machine.import().await;
    machine
}

/// Runs `act` as often as it has calls, and kills before and after each.
async fn kill_everywhere(act: impl AsyncFn(Schedule) -> Machine, rules: &[&str]) {
    let clean = act(Schedule::Clean).await;
    assert_eq!(broken(&clean, rules), Vec::<String>::new());
    let calls = clean.state.lock().log.calls.len() as u64;
    assert!(calls > 5, "{}", clean.state.lock().log.timeline());
    for call in 0..calls {
        for fault in [Fault::KillBefore, Fault::KillAfter] {
            let machine = act(Schedule::Single { call, fault }).await;
            assert_eq!(machine.killed, 1, "{fault} call {call}");
            let differs = machine.differs_from(&clean);
            assert!(differs.is_empty(), "{fault} call {call}: {differs:#?}");
            let findings = broken(&machine, rules);
            assert!(
                findings.is_empty(),
                "{fault} call {call}: {findings:#?}\n{}",
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

/// A slice of what `make test-long` does: a file in several chunks, and three of
/// ten calls go wrong.
#[tokio::test]
async fn every_row_is_accounted_for_whatever_goes_wrong() {
    let volume = Volume {
        shape: Shape {
            rows: 5_000,
            apart: 3_000,
            note: 2_000,
            padding: 8_000,
            name: "Row",
        },
        per_mille: 300,
        seed: 1,
    };
    let seen = volume.happen().await;
    assert_eq!(seen.broken, Vec::<String>::new());
    assert!(seen.faults.len() >= 5, "{seen}");
}
