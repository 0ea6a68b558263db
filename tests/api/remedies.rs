//! Dead letters redriven and purged, also when something goes wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use muster_core::platform::random::Random;
use muster_simulation::faults::{FAULTS, Schedule};
use muster_simulation::process::{Function, Outcome};
use muster_simulation::queues::{BULK_MAIL, CHUNK, MAIL};
use serde_json::json;

use crate::operations::letters;
use crate::place::Place;

#[tokio::test(start_paused = true)]
async fn one_letter_is_redriven_and_the_others_stay() {
    let place = Place::new();
    let ids: Vec<_> = letters(15)
        .iter()
        .map(|body| place.give_up(CHUNK, body))
        .collect();
    let body = json!({ "ids": [ids[3], "unknown", ids[3]] });
    let answer = place.clear(CHUNK, "redrive", body).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let expected = json!({ "redriven": 1, "remaining": 0, "not_found": ["unknown"] });
    assert_eq!(*answer.body(), expected);
    let (alive, dead) = place.bodies(CHUNK);
    assert_eq!(alive, BTreeSet::from(["letter 3".to_owned()]));
    assert_eq!(dead.len(), 14);
    assert_eq!(
        place.dead_letters(CHUNK).await.body()["items"]
            .as_array()
            .unwrap()
            .len(),
        14
    );
}

#[tokio::test(start_paused = true)]
async fn all_letters_are_redriven_and_do_their_work() {
    let place = Place::new();
    place.sign_up("ada@example.com").await;
    let nudge = {
        let mut state = place.state.lock();
        let messages = &mut state.queues.queue(MAIL).messages;
        messages.drain(..).next().unwrap().body
    };
    place.give_up(MAIL, &nudge);
    for body in letters(24) {
        place.give_up(BULK_MAIL, &body);
    }
    let answer = place
        .clear(BULK_MAIL, "redrive", json!({ "all": true }))
        .await;
    let expected = json!({ "redriven": 24, "remaining": 0, "not_found": [] });
    assert_eq!(*answer.body(), expected);
    assert_eq!(
        place.bodies(BULK_MAIL),
        (letters(24).into_iter().collect(), BTreeSet::new())
    );

    let answer = place.clear(MAIL, "redrive", json!({ "all": true })).await;
    assert_eq!(answer.body()["redriven"], 1);
    place.state.lock().queues.queue(BULK_MAIL).messages.clear();
    place.deliver_mails().await;
    assert_eq!(place.mails_to("ada@example.com").len(), 1);
}

/// Whatever happens to whichever call: what was dead is dead or alive.
#[tokio::test(start_paused = true)]
async fn a_redrive_that_goes_wrong_loses_nothing() {
    let event = json!({
        "method": "POST",
        "path": "/queues/chunk/dead-letters/redrive",
        "body": { "all": true },
    });
    let all: BTreeSet<_> = letters(5).into_iter().collect();
    let mut kills = 0;
    for fault in FAULTS {
        for call in 0..16 {
            let place = Place::new();
            for body in &all {
                place.give_up(CHUNK, body);
            }
            place.state.lock().schedule = Schedule::Single { call, fault };
            match place.outcome(Function::Operations, event.clone()).await {
                Outcome::Killed => kills += 1,
                Outcome::Answered(answer) => {
                    assert!(
                        answer["status"] == 200 || answer["status"] == 503,
                        "{answer}"
                    );
                }
                Outcome::Failed => panic!("{fault} at call {call}: no answer in time"),
            }
            let (alive, dead) = place.bodies(CHUNK);
            let there: BTreeSet<_> = alive.union(&dead).cloned().collect();
            assert_eq!(there, all, "{fault} at call {call}");

            // And in the end all of it can be had again.
            place.state.lock().schedule = Schedule::Clean;
            place.pass(Duration::from_secs(61)).await;
            let again = place.clear(CHUNK, "redrive", json!({ "all": true })).await;
            assert_eq!(again.status(), 200, "{fault} at call {call}: {again:?}");
            assert_eq!(
                place.bodies(CHUNK),
                (all.clone(), BTreeSet::new()),
                "{fault} at {call}"
            );
        }
    }
    assert!(kills > 0, "no fault killed anybody");
}

/// Of many faults some are too many for the SDK: the answer then says what was
/// done.
#[tokio::test(start_paused = true)]
async fn a_redrive_under_many_faults_says_what_it_did() {
    let all: BTreeSet<_> = letters(40).into_iter().collect();
    let mut remained = 0;
    for seed in 0..20 {
        let place = Place::new();
        for body in &all {
            place.give_up(CHUNK, body);
        }
        place.state.lock().schedule = Schedule::Rate {
            per_mille: 300,
            left: u64::MAX,
            kinds: &FAULTS,
            random: Random::seeded(seed),
        };
        let body = json!({ "method": "POST", "path": "/queues/chunk/dead-letters/redrive", "body": { "all": true } });
        let outcome = place.outcome(Function::Operations, body).await;
        let (alive, dead) = place.bodies(CHUNK);
        let there: BTreeSet<_> = alive.union(&dead).cloned().collect();
        assert_eq!(there, all, "seed {seed}");
        if let Outcome::Answered(answer) = outcome
            && answer["status"] == 200
        {
            let body = &answer["body"];
            let redriven = body["redriven"].as_u64().unwrap() as usize;
            assert!(redriven <= alive.len(), "seed {seed}: {body}");
            if !dead.is_empty() {
                assert!(
                    body["remaining"].as_u64().unwrap() > 0,
                    "seed {seed}: {body}"
                );
                remained += 1;
            }
        }
    }
    assert!(
        remained > 0,
        "some are to be left over, or this shows nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn letters_are_purged_one_by_one_or_all() {
    let place = Place::new();
    let ids: Vec<_> = letters(12)
        .iter()
        .map(|body| place.give_up(MAIL, body))
        .collect();
    place.give_up(BULK_MAIL, "another");
    let answer = place.clear(MAIL, "purge", json!({ "ids": [ids[0]] })).await;
    assert_eq!(
        *answer.body(),
        json!({ "purged": 1, "remaining": 0, "not_found": [] })
    );
    assert!(!place.bodies(MAIL).1.contains("letter 0"));
    let answer = place.clear(MAIL, "purge", json!({ "all": true })).await;
    assert_eq!(
        *answer.body(),
        json!({ "purged": 11, "remaining": 0, "not_found": [] })
    );
    let nothing = BTreeSet::new();
    assert_eq!(place.bodies(MAIL), (nothing.clone(), nothing));
    assert_eq!(place.bodies(BULK_MAIL).1.len(), 1, "another queue's");
    let again = place.clear(MAIL, "purge", json!({ "ids": [ids[0]] })).await;
    assert_eq!(again.body()["not_found"], json!([ids[0]]));
}
