//! Imports with everything that people do to them: options, repeated and known
//! addresses, people who sign up before an import and meanwhile, edits and erasures of
//! rows in between, a cancel and a resume.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_core::platform::random::Random;

use crate::actions::Action;
use crate::import_input::{
    ImportInput, LATE, MADE, OWNED, PENDING, address, file, file_of_many_chunks, file_of_repeats,
};
use crate::import_rules::{counts_follow_order, rules};
use crate::scenario::{Scenario, within};

type Options = BTreeMap<&'static str, String>;

/// One import with any options, and what people do before it and meanwhile.
pub fn busy_import(random: &Random) -> Scenario {
    let second = |limit| within(random, limit);
    let options = BTreeMap::from([
        ("on_conflict", one_of(random, &["skip", "update", "fail"])),
        (
            "confirm",
            one_of(random, &["skip", "send", "mark_confirmed"]),
        ),
        ("dry_run", (draw(random, 5) == 0).to_string()),
    ]);
    let (csv, rows) = file(90, true);
    let mut actions: Vec<_> = [PENDING[0], PENDING[1], OWNED]
        .map(|known| (second(30), Action::SignUp(known)))
        .into();
    actions.push((second(30), Action::Create(MADE)));
    let asked_for = draw(random, 2) == 0;
    let manual = asked_for && draw(random, 3) == 0;
    let came = Duration::from_secs(5) + second(20);
    let arrival = match asked_for {
        true => create(csv, &options, manual),
        false => upload(csv, &options),
    };
    actions.push((came, arrival));
    actions.extend(changes(random, came));
    let mut then = vec![(Action::SignUp(OWNED), second(40), Action::Confirm(OWNED))];
    if manual {
        actions.push((came + second(60), Action::Start));
    }
    if draw(random, 3) > 0 {
        actions.push((came + second(90), Action::Cancel));
        then.push((Action::Cancel, second(300), Action::Resume));
    }
    Scenario {
        actions,
        then,
        rules: rules(&ImportInput { options, rows }),
    }
}

/// What happens to people of the file around the time of their import.
fn changes(random: &Random, came: Duration) -> Vec<(Duration, Action)> {
    let meanwhile = || came + within(random, 120);
    let mut actions = Vec::new();
    for row in [2, 42, 82] {
        actions.push((meanwhile(), Action::Edit(address(row))));
        actions.push((meanwhile(), Action::Erase(address(row + 1))));
    }
    actions.push((meanwhile(), Action::Edit(PENDING[0].to_owned())));
    actions.push((meanwhile(), Action::Erase(PENDING[1].to_owned())));
    actions.push((meanwhile(), Action::Edit(MADE.to_owned())));
    actions.push((meanwhile(), Action::SignUp(LATE)));
    actions
}

/// One import of a file in which no address occurs twice, with a cancel and a
/// resume, and nothing else: what is stored in the end is the same whatever
/// happens on the way.
pub fn plain_import(random: &Random) -> Scenario {
    let (csv, rows) = file(90, false);
    let options = BTreeMap::from([("confirm", "send".to_owned())]);
    Scenario {
        actions: vec![
            (Duration::ZERO, upload(csv, &options)),
            (within(random, 60), Action::Cancel),
        ],
        then: vec![(Action::Cancel, within(random, 300), Action::Resume)],
        rules: rules(&ImportInput { options, rows }),
    }
}

/// An import of forty chunks: each lane works on twenty, one after the other.
pub fn long_import(_: &Random) -> Scenario {
    let (csv, rows) = file_of_many_chunks();
    let options = BTreeMap::new();
    Scenario {
        actions: vec![(Duration::ZERO, upload(csv, &options))],
        then: Vec::new(),
        rules: rules(&ImportInput { options, rows }),
    }
}

/// One import of a file in which addresses occur three times, each time in another
/// chunk: what is stored in the end follows from the order of the rows alone.
pub fn repeated_addresses(random: &Random) -> Scenario {
    let second = |limit| within(random, limit);
    let options = BTreeMap::from([
        ("on_conflict", one_of(random, &["skip", "update", "fail"])),
        ("confirm", one_of(random, &["skip", "send"])),
        ("dry_run", (draw(random, 4) == 0).to_string()),
    ]);
    let (csv, rows) = file_of_repeats();
    let upload = upload(csv, &options);
    let input = ImportInput { options, rows };
    let mut rules = rules(&input);
    rules.push(counts_follow_order(&input));
    Scenario {
        actions: vec![
            (Duration::ZERO, Action::Create(MADE)),
            (Duration::ZERO, Action::SignUp(PENDING[0])),
        ],
        then: vec![
            (
                Action::Create(MADE),
                Duration::from_secs(60),
                upload.clone(),
            ),
            (upload, second(60), Action::Cancel),
            (Action::Cancel, second(300), Action::Resume),
            // Of a chunk that three workers died on, or nothing.
            (
                Action::Resume,
                Duration::from_secs(3 * 60 * 60),
                Action::Resume,
            ),
        ],
        rules,
    }
}

/// The file arrives by itself.
fn upload(csv: Vec<u8>, options: &Options) -> Action {
    Action::Upload {
        key: "uploads/people.csv".to_owned(),
        csv,
        options: options.clone(),
    }
}

/// The file arrives because an operator asks for an import.
fn create(csv: Vec<u8>, options: &Options, manual: bool) -> Action {
    Action::Import {
        options: options.clone(),
        manual,
        csv,
    }
}

fn one_of(random: &Random, values: &[&str]) -> String {
    values[draw(random, values.len() as u64) as usize].to_owned()
}

fn draw(random: &Random, limit: u64) -> u64 {
    u64::from_le_bytes(random.bytes()) % limit
}
