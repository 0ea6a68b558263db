//! Imports that are stopped and go on, and what becomes of their mails: at any
//! moment, and whatever people do meanwhile.

use std::time::Duration;

use muster_core::people::profile::{ProfileItem, profile_key};
use muster_core::people::undeliverable::{Cause, Undeliverable};
use muster_core::platform::aws::AwsSettings;
use muster_core::platform::random::Random;
use muster_core::platform::settings::Variables;
use muster_core::platform::time::Clock;
use muster_import_worker::completion::Completion;
use muster_import_worker::report::Reports;
use muster_imports::import::{ImportItem, ImportStatus, import_key};
use muster_imports::object::s3_client;
use muster_simulation::environment::setting;
use muster_simulation::faults::Fault;
use muster_simulation::queues::{BULK_MAIL, CHUNK, IMPORT};
use serde_json::{Value, json};

use crate::place::Place;
use crate::rows::{functions, many, next};

impl Place {
    /// Has an operator make an import that sends mails, and uploads and plans it;
    /// answers with its id.
    async fn planned(&self, csv: &str) -> String {
        let answer = self
            .ask("POST", "/imports", json!({ "confirm": "send" }))
            .await;
        let import = answer.body();
        let key = import["object"]["key"].as_str().unwrap().to_owned();
        let id = import["id"].as_str().unwrap().to_owned();
        self.upload(&key, csv).await;
        id
    }

    async fn stored(&self, id: &str) -> ImportItem {
        let key = import_key(id.parse().unwrap());
        self.table().get(&key).await.unwrap().unwrap()
    }

    async fn moved(&self, id: &str, verb: &str) {
        let path = format!("/imports/{id}/{verb}");
        let answer = self.ask("POST", &path, "".into()).await;
        assert_eq!(answer.status(), 202, "{verb}: {answer:?}");
    }

    /// Leases pass, and what is due is nudged and done; no mail goes.
    async fn comes_to_rest(&self) {
        self.work().await;
        for _ in 0..4 {
            self.pass(Duration::from_secs(100)).await;
            self.sweep().await;
            self.state.lock().queues.queue(BULK_MAIL).messages.clear();
            self.work().await;
        }
    }

    /// Whatever may go goes.
    async fn mails_go(&self) {
        for _ in 0..40 {
            self.pass(Duration::from_secs(3600)).await;
            self.sweep().await;
            self.deliver_mails().await;
        }
    }
}

fn forty() -> String {
    let rows: String = (0..40).map(|row| format!("p{row}@example.com\n")).collect();
    format!("email\n{rows}")
}

const ONE: &str = "email\na@example.com\n";

/// Whoever ends an import has read it a moment ago.
#[tokio::test(start_paused = true)]
async fn a_cancel_at_the_last_moment_is_not_lost() {
    let place = Place::new();
    let id = place.planned(ONE).await;
    let running = place.stored(&id).await;
    place.work().await;
    // As if the worker had not come to the end yet.
    place.store(&import_key(running.id), &running).await;
    place.moved(&id, "cancel").await;
    let aws = AwsSettings::read(&mut Variables::from_fn(setting));
    let reports = Reports::new(s3_client(&aws, &aws.sdk_config()));
    let clock = Clock::manual(place.now());
    let completion = Completion::new(place.table(), clock, Random::seeded(7));
    let until = place.now().after(Duration::from_secs(180));
    completion
        .complete(&running, &reports, until)
        .await
        .unwrap();
    place.work().await;
    assert_eq!(place.stored(&id).await.status, ImportStatus::Cancelled);
    place.mails_go().await;
    assert_eq!(place.mails().len(), 0);
}

/// They are written, and no checkpoint says so.
#[tokio::test(start_paused = true)]
async fn mails_of_rows_that_are_not_counted_are_called_off() {
    for call in 0.. {
        let place = Place::new();
        let id = place.planned(&forty()).await;
        if !place.killed_at(call, Fault::KillAfter).await {
            assert!(call > 6, "a worker makes more calls than {call}");
            break;
        }
        place.moved(&id, "cancel").await;
        place.comes_to_rest().await;
        assert_eq!(place.stored(&id).await.status, ImportStatus::Cancelled);
        place.mails_go().await;
        assert_eq!(place.mails().len(), 0, "killed after call {call}");
    }
}

/// However many mails there are, and however little time.
#[tokio::test(start_paused = true)]
async fn who_calls_mails_off_goes_on_where_another_stopped() {
    let place = Place::new();
    let (planner, worker) = functions(&place);
    let answer = place
        .ask("POST", "/imports", json!({ "confirm": "send" }))
        .await;
    let id = answer.body()["id"].as_str().unwrap().to_owned();
    let key = answer.body()["object"]["key"].as_str().unwrap();
    let (little, enough) = (Duration::from_secs(59), Duration::from_secs(300));
    let deadline = |time| place.now().after(time);
    {
        let mut state = place.state.lock();
        let now = state.now();
        let event = state.s3.upload(key, many().into(), 1);
        state.queues.send(IMPORT, &event, Duration::ZERO, now);
    }
    let event = next(&place, IMPORT).unwrap();
    planner.answer(event, deadline(enough)).await.unwrap();
    while let Some(event) = next(&place, CHUNK) {
        worker.answer(event, deadline(enough)).await.unwrap();
    }
    place.moved(&id, "cancel").await;
    let event = next(&place, IMPORT).unwrap();
    planner.answer(event, deadline(enough)).await.unwrap();
    let before = place.state.lock().log.calls.len();
    let mut workers = 0;
    while let Some(event) = next(&place, CHUNK) {
        workers += 1;
        let time = if workers < 4 { little } else { enough };
        worker.answer(event, deadline(time)).await.unwrap();
    }
    assert_eq!(place.stored(&id).await.status, ImportStatus::Cancelled);
    let calls = place.state.lock().log.calls.split_off(before);
    let looks = calls
        .iter()
        .filter(|call| call.operation.ends_with("BatchGetItem"))
        .count();
    assert!(looks < 2600, "{looks} looks at 2,500 rows: each once");
    place.mails_go().await;
    assert_eq!(place.mails().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn mails_that_are_half_called_on_are_called_off_again() {
    for call in [4, 8, 20, 43] {
        let place = Place::new();
        let id = place.planned(&forty()).await;
        place.work().await;
        place.moved(&id, "cancel").await;
        place.work().await;
        place.moved(&id, "resume").await;
        place.plan_imports().await;
        assert!(place.killed_at(call, Fault::KillAfter).await);
        place.moved(&id, "cancel").await;
        place.comes_to_rest().await;
        assert_eq!(place.stored(&id).await.status, ImportStatus::Cancelled);
        place.mails_go().await;
        assert_eq!(place.mails().len(), 0, "killed after call {call}");

        place.moved(&id, "resume").await;
        place.comes_to_rest().await;
        place.mails_go().await;
        let first = place.mails().into_iter().filter(|mail| mail.mail == "1");
        assert_eq!(first.count(), 40, "killed after call {call}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_confirmed_is_not_reminded_after_a_resume() {
    let place = Place::new();
    let id = place.planned(ONE).await;
    place.work().await;
    place.pass(Duration::from_secs(60)).await;
    place.sweep().await;
    place.deliver_mails().await;
    let sent = place.mails_to("a@example.com");
    place.moved(&id, "cancel").await;
    place.work().await;
    let click = json!({ "token": sent[0].token });
    assert_eq!(place.ask("POST", "/confirm", click).await.status(), 200);
    place.moved(&id, "resume").await;
    place.work().await;
    place.mails_go().await;
    assert_eq!(place.mails_to("a@example.com").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_to_an_address_that_was_left_before_a_resume() {
    let place = Place::new();
    let id = place.planned(ONE).await;
    place.work().await;
    place.moved(&id, "cancel").await;
    place.work().await;
    let profile = place.profile("a@example.com").await.unwrap();
    let path = format!("/profiles/{}", profile["id"].as_str().unwrap());
    let address = json!({ "email": "b@example.com" });
    let answer = place
        .ask_with("PATCH", &path, ("if-match", "*"), address)
        .await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    place.moved(&id, "resume").await;
    place.work().await;
    place.mails_go().await;
    let mails = place.mails_to("a@example.com").into_iter();
    let numbers: Vec<String> = mails.map(|mail| mail.mail).collect();
    assert!(!numbers.contains(&"1".to_owned()), "{numbers:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_to_who_cannot_be_reached_after_a_resume() {
    let place = Place::new();
    let id = place.planned(ONE).await;
    place.work().await;
    place.moved(&id, "cancel").await;
    place.work().await;
    let profile = place.profile("a@example.com").await.unwrap();
    let key = profile_key(profile["id"].as_str().unwrap().parse().unwrap());
    let item: ProfileItem = place.table().get(&key).await.unwrap().unwrap();
    let why = Undeliverable {
        since: place.now(),
        cause: Cause::Complained,
        reason: "complaint: abuse".to_owned(),
    };
    let unreachable = ProfileItem {
        undeliverable: Some(why),
        ..item
    };
    place.store(&key, &unreachable).await;
    place.moved(&id, "resume").await;
    place.work().await;
    place.mails_go().await;
    assert_eq!(place.mails(), []);
}

/// Excel's "CSV (Macintosh)": each line ends with a carriage return.
#[tokio::test(start_paused = true)]
async fn lines_are_told_apart_however_they_end() {
    let rows = (0..50).chain([0]);
    let rows: String = rows.map(|row| format!("p{row}@example.com\r")).collect();
    let import = Place::new().import(&format!("email\r{rows}")).await;
    let expected = json!({ "total": 51, "created": 50, "updated": 0, "skipped": 1, "failed": 0 });
    assert_eq!(import["rows"], expected);
    assert_eq!(import["status"], Value::from("completed"));
}
