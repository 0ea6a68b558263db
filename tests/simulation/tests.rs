//! The instrument, and what it finds.

// In a test a panic is an answer, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cuts;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use muster_core::platform::random::Random;
use muster_core::platform::table::Item;
use muster_simulation::budget;
use muster_simulation::bug::Bug;
use muster_simulation::faults::{FAULTS, Fault, Schedule};
use muster_simulation::flood::{Flood, batch_takes};
use muster_simulation::invariants::text;
use muster_simulation::log::Call;
use muster_simulation::people_scenarios;
use muster_simulation::run::{
    IMPORTS, LONG_IMPORTS, PEOPLE, PLAIN_IMPORTS, REPEATS, Run, ScenarioRunner,
};

#[test]
fn a_clean_run_breaks_nothing() {
    let clean = PEOPLE.run_with(1, Schedule::Clean, None);
    assert!(
        clean.broken.is_empty(),
        "{:#?}\n{}",
        clean.broken,
        clean.log.timeline()
    );
    assert_eq!(clean.doubled, 0);
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..6 {
        let first = PEOPLE.run(seed, None).log.timeline();
        let again = PEOPLE.run(seed, None).log.timeline();
        assert_eq!(first, again, "seed {seed}");
    }
}

#[test]
fn three_hundred_schedules_break_nothing() {
    let (mut kinds, mut sites, mut faulty) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
    PEOPLE.run_all(0..300, None, |seed, run| {
        assert!(
            run.broken.is_empty(),
            "make simulate FROM={seed} COUNT=1 TIMELINE=1: {:#?}",
            run.broken
        );
        for call in &run.log.calls {
            sites.entry(call.site()).or_insert((seed, call.number));
            kinds.extend(call.fault);
            faulty.extend(call.fault.map(|_| call.site()));
        }
    });
    assert_eq!(kinds.len(), FAULTS.len(), "every kind of fault was met");
    // What is only called when something has gone wrong goes wrong, too.
    for (site, (seed, call)) in sites {
        if faulty.contains(&site) {
            continue;
        }
        for fault in FAULTS {
            let other = Box::new(PEOPLE.schedule(seed));
            let schedule = Schedule::Also { other, call, fault };
            let run = PEOPLE.run_with(seed, schedule, None);
            let met = &run.log.calls[call as usize];
            assert_eq!((met.site(), met.fault), (site.clone(), Some(fault)));
            assert!(run.broken.is_empty(), "{site:?} {fault}: {:#?}", run.broken);
        }
    }
}

/// SES cannot have taken it: it is put off there and then, and not left leased.
#[test]
fn a_mail_that_found_no_connection_is_put_off_at_once() {
    let clean = PEOPLE.run_with(0, Schedule::Clean, None);
    let is_send = |call: &&Call| call.operation == "Ses.SendEmail";
    let sends: Vec<_> = clean.log.calls.iter().filter(is_send).collect();
    assert!(sends.len() > 5, "{}", clean.log.timeline());
    for send in sends {
        let call = send.number;
        let fault = Fault::NoConnection;
        let run = PEOPLE.run_with(0, Schedule::Single { call, fault }, None);
        assert!(run.broken.is_empty(), "{call}: {:#?}", run.broken);
        assert_eq!(run.doubled, 0, "{call}");
        let later = &run.log.calls[call as usize..];
        let is_put_off = later.iter().any(|later| {
            later.process == send.process
                && later.operation == "DynamoDb.UpdateItem"
                && later.subject.contains(&send.subject)
                && later.at < send.at + 1000
        });
        assert!(is_put_off, "{send}");
    }
}

/// Its chunks are in the queue, in work or done when the planner finds out.
#[test]
fn a_file_that_fails_half_way_leaves_nothing_due() {
    let broken_file = ScenarioRunner::new(people_scenarios::broken_file);
    for seed in 0..10 {
        let run = broken_file.run_with(seed, Schedule::Clean, None);
        assert!(
            run.broken.is_empty(),
            "{:?}\n{}",
            run.broken,
            run.log.timeline()
        );
    }
}

/// Options, repeated and known addresses, edits, erasures, a cancel, a resume.
#[test]
fn imports_break_nothing() {
    IMPORTS.run_all(0..60, None, |seed, run| {
        assert!(
            run.broken.is_empty(),
            "make simulate STORY=import FROM={seed} COUNT=1 TIMELINE=1: {:#?}",
            run.broken
        );
    });
}

/// Addresses are in several chunks, which run at once.
#[test]
fn the_first_row_of_an_address_counts_whatever_happens() {
    REPEATS.run_all(0..60, None, |seed, run| {
        assert!(
            run.broken.is_empty(),
            "make simulate STORY=repeats FROM={seed} COUNT=1 TIMELINE=1: {:#?}",
            run.broken
        );
    });
}

/// Faults, a cancel and a resume leave no trace where no address occurs twice.
#[test]
fn an_import_ends_the_same_whatever_happens() {
    let clean = PLAIN_IMPORTS.run_with(0, Schedule::Clean, None);
    let expected = (outline(&clean.items), clean.report);
    PLAIN_IMPORTS.run_all(0..20, None, |seed, run| {
        let replay = format!("make simulate STORY=plain-import FROM={seed} COUNT=1 TIMELINE=1");
        assert!(run.broken.is_empty(), "{replay}: {:#?}", run.broken);
        let found = (outline(&run.items), run.report);
        assert!(
            found == expected,
            "{replay}: {:#?}",
            difference(&found.0, &expected.0)
        );
    });
}

/// Each worker queues the chunk after its own: a chain that Lambda stops at its 17th
/// message unless the template says that it may go on.
#[test]
fn a_lane_of_twenty_chunks_is_imported_without_dead_letters() {
    let run = LONG_IMPORTS.run_with(0, Schedule::Clean, None);
    assert!(run.broken.is_empty(), "{:#?}", run.broken);
    let began = run.log.calls.first().map_or(0, |call| call.at);
    let ended = run.log.calls.last().map_or(0, |call| call.at);
    assert!(ended - began < 10 * 60 * 1000, "{began} to {ended} ms");
}

/// What is stored of profiles, mails and counts, but for times, attempts, links.
fn outline(items: &[Item]) -> Vec<String> {
    const KEPT: [&str; 15] = [
        "pk",
        "sk",
        "email",
        "email_key",
        "name",
        "attributes",
        "status",
        "version",
        "line",
        "profile_id",
        "mails",
        "confirmed",
        "kind",
        "reason",
        "counts",
    ];
    let kinds = ["PROFILE#", "EMAIL#", "IMPORTS#"];
    let is_kept = |item: &&Item| kinds.iter().any(|kind| text(item, "pk").starts_with(kind));
    let shown = |item: &Item| {
        let values = KEPT.map(|name| item.get(name).map(|value| format!("{value:?}")));
        format!("{values:?}")
    };
    let mut lines: Vec<_> = items.iter().filter(is_kept).map(shown).collect();
    lines.sort();
    lines
}

fn difference(found: &[String], expected: &[String]) -> Vec<String> {
    let more = found.iter().filter(|line| !expected.contains(line));
    let fewer = expected.iter().filter(|line| !found.contains(line));
    let more = more.map(|line| format!("+ {line}"));
    more.chain(fewer.map(|line| format!("- {line}")))
        .take(10)
        .collect()
}

/// What each action costs is a promise: a change of it is seen here first.
#[test]
fn the_budget_is_kept() {
    assert_eq!(
        budget::table(),
        include_str!("budget.txt"),
        "make simulate BUDGET=1 shows it"
    );
}

/// The run of a seed.
type RunOf = fn(u64, Option<Bug>) -> Run;

/// A seed under so many faults that whole deliveries come to nothing.
fn storm(seed: u64, bug: Option<Bug>) -> Run {
    let schedule = Schedule::Rate {
        per_mille: 800,
        left: 300,
        kinds: &FAULTS,
        random: Random::seeded(seed),
    };
    PEOPLE.run_with(seed, schedule, bug)
}

fn usual(seed: u64, bug: Option<Bug>) -> Run {
    PEOPLE.run(seed, bug)
}

/// Found for what it is: the invariant that it breaks, not just any.
#[test]
fn every_planted_bug_is_found() {
    let counts = "the counts of an import are its rows";
    let touched = "what operators and imports touch does not expire";
    let runs: [(Bug, &str, RunOf); 6] = [
        (
            Bug::MarkedSentBeforeSending,
            "what is marked sent was sent",
            usual,
        ),
        (Bug::NoLeaseCheck, "no mail twice outside the window", usual),
        (Bug::CountOutsideTransaction, counts, usual),
        // What a nudge does not do is due some day: only an upload's event is
        // nothing but a message, and SQS brings it more than once.
        (Bug::WrongBatchAnswer, counts, storm),
        (Bug::LockGoesOnExpiring, touched, usual),
        (
            Bug::MixedSignUps,
            "a link confirms what one sign-up said",
            usual,
        ),
    ];
    for (bug, invariant, run) in runs {
        let breaks = |seed| {
            let broken = run(seed, Some(bug)).broken;
            broken.iter().any(|(name, _)| *name == invariant)
        };
        assert!((0..100).any(breaks), "{bug:?} does not break: {invariant}");
    }
}

/// A slice of what `make test-long` does: more mails due than can go.
#[test]
fn mails_go_as_fast_as_they_may_and_people_go_first() {
    let flood = Flood {
        due: 2_000,
        rate: 14.0,
        lasts: Duration::from_secs(190),
    };
    let seen = flood.run();
    assert_eq!(seen.throttled, 0, "{seen:?}");
    assert!(seen.used >= 0.97, "{seen:?}");
    assert!(
        seen.a_minute.iter().all(|sent| *sent <= 15 * 60),
        "{seen:?}"
    );
    // What the sweeper feeds until the next sweep, and no more.
    assert!(seen.deepest <= 15 * 75, "{seen:?}");
    assert!(seen.waits.len() > 40, "{seen:?}");
    assert!(seen.wait(990) <= Duration::from_secs(2), "{seen:?}");
}

/// SES takes 50 ms for a mail, and each call up to 16 on its way.
#[test]
fn ten_mails_of_a_batch_take_about_as_long_as_one() {
    let (one, ten) = (batch_takes(1), batch_takes(10));
    assert!(one >= Duration::from_millis(50), "{one:?}");
    assert!(ten <= one + Duration::from_millis(100), "{one:?}, {ten:?}");
}
