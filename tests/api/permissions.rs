//! Granted is used: what a role of the template allows, some call of its function needs.
//!
//! That used is granted, every test here and every run of the simulation holds.

use std::time::Duration;

use muster_core::platform::ids::ProfileId;
use muster_core::platform::random::Random;
use muster_simulation::permissions::{Permissions, granted, unused};
use muster_simulation::queues::{BULK_MAIL, CHUNK, FEEDBACK, IMPORT, MAIL};
use muster_simulation::run::{IMPORTS, PEOPLE};
use muster_simulation::sources::Reply;
use muster_simulation::template::template;
use serde_json::json;
use serde_yaml_ng::Value;

use crate::outside::{Outside, document};
use crate::place::Place;

/// Seeds of each story: enough for each fault that leads somewhere of its own.
const SEEDS: u64 = 24;

fn join(used: &mut Permissions, more: &Permissions) {
    for (function, permissions) in more {
        let known = used.entry(function.clone()).or_default();
        known.extend(permissions.iter().cloned());
    }
}

/// People and imports, with everything that goes wrong.
fn in_stories(used: &mut Permissions) {
    for tale in [&PEOPLE, &IMPORTS] {
        tale.run_all(0..SEEDS, None, |_, run| join(used, &run.log.used));
    }
}

/// What seldom happens: a list, a captcha, a dry run, a planner whose time is up, a report
/// that is begun again, a bulk nudge that finds no mail.
async fn in_corners() -> Permissions {
    let place = Place::with(&[
        ("MUSTER_CAPTCHA_URL", "http://127.0.0.1:1/siteverify"),
        ("MUSTER_CAPTCHA_SECRET_NAME", "captcha"),
    ]);
    let person = json!({ "email": "ada@example.com", "name": "Ada", "captcha": "x" });
    let unverified = place.ask("POST", "/signup", person).await;
    assert_eq!(unverified.status(), 503, "nobody verifies");
    place.begin_a_report_again().await;
    assert_eq!(place.get("/profiles").await.status(), 200);
    let dry_run = "uploads/look/people.csv";
    place.upload(dry_run, "email\nada@example.com\n").await;
    place.work().await;
    place.drop_long_file();
    place.plan_within(Duration::from_secs(30)).await;
    // Without a sweep nobody knows how many bulk mails may go.
    place.sweep().await;
    let nobody = ProfileId::new(place.now(), &Random::seeded(7));
    let nudge = json!({ "profile_id": nobody, "mail": 1 });
    {
        let mut state = place.state.lock();
        let now = state.now();
        state
            .queues
            .send(BULK_MAIL, &nudge.to_string(), Duration::ZERO, now);
    }
    place.deliver_mails().await;
    let state = place.state.lock();
    state.log.used.clone()
}

/// Operators look at each queue, redrive a dead letter and purge another.
async fn in_operations() -> Permissions {
    let place = Place::new();
    for queue in [MAIL, BULK_MAIL, IMPORT, CHUNK, FEEDBACK] {
        let ids = [1, 2].map(|_| place.give_up(queue, "{}"));
        assert_eq!(place.dead_letters(queue).await.status(), 200);
        for (what, id) in ["redrive", "purge"].into_iter().zip(&ids) {
            let answer = place.clear(queue, what, json!({ "ids": [id] })).await;
            assert_eq!(answer.status(), 200, "{answer:?}");
        }
    }
    assert_eq!(place.get("/queues").await.status(), 200);
    let profile = place.confirmed("ada@example.com").await;
    let nudge = json!({ "profile_id": profile["id"], "mail": 1 });
    place.give_up(MAIL, &nudge.to_string());
    assert_eq!(place.dead_letters(MAIL).await.status(), 200);
    let state = place.state.lock();
    state.log.used.clone()
}

/// A source that has a secret knows a person, and then does not any more.
async fn in_details() -> Permissions {
    let header = json!({ "Authorization": { "secret": "local/crm" } });
    let crm = json!({ "cache_s": 60, "headers": header });
    let outside = Outside::with(&document([("crm", crm)])).await;
    let knows = Reply::from(json!({ "plan": "pro" }));
    outside.stub("crm").does([knows, Reply::status(404)]);
    let secret = ("local/crm".to_owned(), "key".to_owned());
    outside.place.state.lock().parameters.extend([secret]);
    // The first answer is without the secret, which is read beside it.
    for _ in 0..4 {
        outside.place.pass(Duration::from_secs(61)).await;
        assert_eq!(outside.ask().await.status(), 200);
        outside.settle().await;
    }
    let state = outside.place.state.lock();
    state.log.used.clone()
}

/// The template with one action more in a statement of a role.
fn with_action(role: &str, statement: usize, action: &str) -> Value {
    let mut template = template().clone();
    let policy = &mut template["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"];
    let actions = policy["Statement"][statement]["Action"].as_sequence_mut();
    actions.unwrap().push(action.into());
    template
}

#[tokio::test(start_paused = true)]
async fn what_roles_allow_is_needed() {
    let mut used = in_operations().await;
    join(&mut used, &in_details().await);
    join(&mut used, &in_corners().await);
    in_stories(&mut used);
    let findings = unused(&granted(template()), &used);
    assert!(findings.is_empty(), "{findings:#?}");
    for (role, statement, action) in [
        ("MailerRole", 2, "dynamodb:DeleteItem"),
        ("FeedbackRole", 2, "dynamodb:DeleteItem"),
        ("ApiRole", 1, "dynamodb:Scan"),
        ("ImportPlannerRole", 2, "dynamodb:DeleteItem"),
    ] {
        let findings = unused(&granted(&with_action(role, statement, action)), &used);
        assert!(
            findings.len() == 1 && findings[0].contains(action),
            "{role} {action}: {findings:?}"
        );
    }
}
