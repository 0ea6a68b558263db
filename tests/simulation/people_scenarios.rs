//! Scenarios of people who sign up, confirm, move and leave, with a file among them.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_core::platform::random::Random;

use crate::actions::Action;
use crate::addresses::{
    BOUNCES, COMPLAINS, KEPT, LEAVES, MADE, MOVED, MOVES, STAYS, TAKEN, TWICE, WAITS,
};
use crate::people_csv::{FILE_CSV, counts_are_rows};
use crate::scenario::{Rule, Scenario, within};

/// More than a field may have (`ImportMaxFieldBytes`).
const LINE: usize = 64 * 1024;

/// A few people who sign up, confirm, move and leave, and a file that asks
/// for no mails.
pub fn people(random: &Random) -> Scenario {
    let refuses = if is_heads(random) { BOUNCES } else { COMPLAINS };
    Scenario {
        actions: first_actions(random, refuses),
        then: follow_ups(random, refuses),
        rules: vec![Rule::new(
            "the counts of an import are its rows",
            counts_are_rows,
        )],
    }
}

fn first_actions(random: &Random, refuses: &'static str) -> Vec<(Duration, Action)> {
    let second = |limit| within(random, limit);
    let file = Action::Upload {
        key: "uploads/people.csv".to_owned(),
        csv: FILE_CSV.clone(),
        options: BTreeMap::new(),
    };
    vec![
        (second(5), Action::SignUp(STAYS)),
        (second(5), Action::SignUp(STAYS)),
        (second(5), Action::SignUp(MOVES)),
        (second(5), Action::SignUp(LEAVES)),
        (second(5), Action::SignUp(WAITS)),
        (second(300), Action::Resend(WAITS)),
        (second(60), Action::Create(MADE)),
        (second(60), Action::SignUp(refuses)),
        (second(900), Action::Resend(refuses)),
        (second(20), file),
        (second(5), sign_up_as(TWICE, "First")),
        (second(600), sign_up_as(TWICE, "Second")),
        (second(600), Action::Resend(TWICE)),
        (second(5), sign_up_as(TAKEN, "First")),
        (second(600), sign_up_as(TAKEN, "Second")),
        (second(5), sign_up_as(KEPT, "First")),
        (second(600), sign_up_as(KEPT, "Second")),
    ]
}

fn follow_ups(random: &Random, refuses: &'static str) -> Vec<(Action, Duration, Action)> {
    let second = |limit| within(random, limit);
    let leave = if is_heads(random) {
        Action::Erase(LEAVES.to_owned())
    } else {
        Action::RejectSignup(LEAVES)
    };
    let moving = Action::Move {
        from: MOVES,
        to: MOVED,
    };
    let edit = Action::Edit(KEPT.to_owned());
    let (twice, taken) = (sign_up_as(TWICE, "First"), sign_up_as(TAKEN, "First"));
    let mut then = vec![
        (Action::SignUp(STAYS), second(60), Action::Confirm(STAYS)),
        (Action::SignUp(MOVES), second(60), Action::Confirm(MOVES)),
        (Action::SignUp(MOVES), second(90), moving.clone()),
        (moving, second(60), Action::Confirm(MOVED)),
        (Action::SignUp(LEAVES), second(30), leave),
        (twice, second(900), Action::Confirm(TWICE)),
        (taken, second(900), Action::Create(TAKEN)),
        (sign_up_as(KEPT, "First"), second(900), edit.clone()),
    ];
    // A confirmation would repair what the operator's edit left behind.
    if is_heads(random) {
        then.push((edit, second(60), Action::Confirm(KEPT)));
    }
    // The link works before the complaint and after it.
    if refuses == COMPLAINS && is_heads(random) {
        let confirm = Action::Confirm(refuses);
        then.push((Action::SignUp(refuses), second(600), confirm));
    }
    then
}

/// A file that turns out to be broken when some of its chunks are being
/// imported already: a quote is opened and never closed.
pub fn broken_file(_: &Random) -> Scenario {
    let mut csv = FILE_CSV.clone();
    csv.extend_from_slice(b"\"never closed");
    csv.resize(csv.len() + 2 * LINE, b'x');
    let key = "uploads/broken.csv".to_owned();
    let options = BTreeMap::new();
    Scenario {
        actions: vec![(Duration::ZERO, Action::Upload { key, csv, options })],
        then: Vec::new(),
        rules: Vec::new(),
    }
}

const fn sign_up_as(address: &'static str, name: &'static str) -> Action {
    Action::SignUpAs { address, name }
}

fn is_heads(random: &Random) -> bool {
    random.bytes::<1>()[0] < 128
}
