//! The instrument, and what it finds.

// In a test a panic is an answer, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use muster_core::random::Random;
use muster_simulation::budget;
use muster_simulation::bug::Bug;
use muster_simulation::faults::{FAULTS, Schedule};
use muster_simulation::flood::{Flood, batch_takes};
use muster_simulation::run::{Run, run, run_all, run_story, run_with, schedule};
use muster_simulation::story::Story;

#[test]
fn a_clean_run_breaks_nothing() {
    let clean = run_with(1, Schedule::Clean, None);
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
        let first = run(seed, None).log.timeline();
        let again = run(seed, None).log.timeline();
        assert_eq!(first, again, "seed {seed}");
    }
}

#[test]
fn three_hundred_schedules_break_nothing() {
    let (mut kinds, mut sites, mut faulty) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
    run_all(0..300, None, |seed, run| {
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
            let other = Box::new(schedule(seed));
            let schedule = Schedule::Also { other, call, fault };
            let run = run_with(seed, schedule, None);
            let met = &run.log.calls[call as usize];
            assert_eq!((met.site(), met.fault), (site.clone(), Some(fault)));
            assert!(run.broken.is_empty(), "{site:?} {fault}: {:#?}", run.broken);
        }
    }
}

/// Its chunks are in the queue, in work or done when the planner finds out.
#[test]
fn a_file_that_fails_half_way_leaves_nothing_due() {
    for seed in 0..10 {
        let run = run_story(seed, Story::of_a_broken_file, Schedule::Clean, None);
        let broken: Vec<_> = run.broken.iter().map(|(name, _)| *name).collect();
        // The import failed, so its counts are not those of the other story.
        assert_eq!(
            broken,
            ["the counts of an import are its rows"],
            "{}",
            run.log.timeline()
        );
    }
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
        per_mille: 500,
        left: 60,
        random: Random::seeded(seed),
    };
    run_with(seed, schedule, bug)
}

/// Found for what it is: the invariant that it breaks, not just any.
#[test]
fn every_planted_bug_is_found() {
    let counts = "the counts of an import are its rows";
    let runs: [(Bug, &str, RunOf); 4] = [
        (
            Bug::MarkedSentBeforeSending,
            "what is marked sent was sent",
            run,
        ),
        (Bug::NoLeaseCheck, "no mail twice outside the window", run),
        (Bug::CountOutsideTransaction, counts, run),
        // What a nudge does not do is due some day: only an upload's event is
        // nothing but a message, and SQS brings it more than once.
        (Bug::WrongBatchAnswer, counts, storm),
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
