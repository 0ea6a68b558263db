//! Rows of imports, each exactly once: whatever dies, and whatever is done to
//! their profiles meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use muster_core::platform::random::Random;
use muster_core::platform::settings::Variables;
use muster_core::platform::time::Clock;
use muster_import_planner::cutter::ChunkSize;
use muster_import_planner::planner::Planner;
use muster_import_planner::settings::Settings;
use muster_import_worker::worker::Worker;
use muster_simulation::endpoint::{Caller, http_client};
use muster_simulation::faults::{Fault, Schedule};
use muster_simulation::invariants::text;
use muster_simulation::process::{Function, Outcome};
use muster_simulation::queues::{CHUNK, IMPORT};
use muster_simulation::run::EPOCH;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::place::Place;

/// Longer than a queue takes to hand a message out.
const DELIVERED: Duration = Duration::from_secs(60);
/// Longer than the visibility timeout of a chunk, and than any lease on it.
const COMES_BACK: Duration = Duration::from_secs(31 * 60);

type Options<'a> = &'a [(&'static str, &'a str)];

impl Place {
    /// Puts a file into the bucket with metadata of its own; S3 says so.
    fn drop_file(&self, key: &str, csv: &str, options: Options<'_>) {
        let options: BTreeMap<_, _> = options
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        let mut state = self.state.lock();
        let now = state.now();
        let event = state.s3.upload_with(key, csv.into(), &options, 1);
        state.queues.send(IMPORT, &event, Duration::ZERO, now);
    }

    /// The import of a file.
    async fn import_of(&self, key: &str) -> Value {
        let imports = self.get("/imports").await;
        let items = imports.body()["items"].as_array().unwrap().iter();
        let mut of_key = items.filter(|import| import["object"]["key"] == key);
        of_key.next().unwrap().clone()
    }

    async fn imported(&self, key: &str, csv: &str, options: Options<'_>) -> Value {
        self.drop_file(key, csv, options);
        self.work().await;
        self.import_of(key).await
    }

    /// Has a worker take the next chunk, and kills it before or after one of its
    /// calls; says whether it got that far.
    pub(crate) async fn killed_at(&self, call: u64, fault: Fault) -> bool {
        let message = {
            let mut state = self.state.lock();
            let call = state.log.calls.len() as u64 + call;
            state.schedule = Schedule::Single { call, fault };
            let later = state.now().after(DELIVERED);
            state.queues.receive(CHUNK, 1, later).pop().unwrap()
        };
        let event = json!({ "Records": [message.record(CHUNK)] });
        let outcome = self.outcome(Function::Worker, event).await;
        self.state.lock().schedule = Schedule::Clean;
        matches!(outcome, Outcome::Killed)
    }

    /// The leases of the dead are over, and their messages come back.
    pub(crate) async fn goes_on(&self) {
        self.pass(COMES_BACK).await;
        self.work().await;
    }
}

const FILE: &str = "email,name\nada@example.com,Row\nbob@example.com,Row\n";

/// Whether a person of the file is there before it.
#[derive(Clone, Copy, PartialEq)]
enum Known {
    Not,
    SignedUp,
    Confirmed,
}

/// Kills a worker before and after each of its calls, does something to a profile
/// then, and has another worker go on.
async fn whatever_dies(options: Options<'_>, known: Known, then: impl AsyncFn(&Place, bool)) {
    for fault in [Fault::KillBefore, Fault::KillAfter] {
        for call in 0.. {
            let place = Place::new();
            match known {
                Known::Not => {}
                Known::SignedUp => assert_eq!(place.sign_up("ada@example.com").await.status(), 202),
                Known::Confirmed => drop(place.confirmed("ada@example.com").await),
            }
            place.drop_file("uploads/people.csv", FILE, options);
            place.plan_imports().await;
            if !place.killed_at(call, fault).await {
                assert!(call > 5, "a worker makes more calls than {call}");
                break;
            }
            let rows = place.items();
            let imported = rows
                .iter()
                .any(|item| text(item, "sk") == "PROFILE" && item.contains_key("line"));
            then(&place, imported).await;
        }
    }
}

async fn change(place: &Place, method: &str, body: Value) {
    if let Some(profile) = place.profile("ada@example.com").await {
        let path = format!("/profiles/{}", profile["id"].as_str().unwrap());
        let answer = place.ask_with(method, &path, ("if-match", "*"), body).await;
        assert!(answer.status() < 300, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_edit_is_not_undone_by_a_row_that_comes_again() {
    for (on_conflict, known) in [
        ("skip", Known::Not),
        ("update", Known::Not),
        ("update", Known::Confirmed),
    ] {
        let options = [("on_conflict", on_conflict)];
        whatever_dies(&options, known, async |place, imported| {
            change(place, "PATCH", json!({ "name": "Edited" })).await;
            place.goes_on().await;
            let import = place.import_of("uploads/people.csv").await;
            assert_eq!(import["status"], "completed", "{import}");
            let answered = match known {
                Known::Confirmed => [1, 1],
                Known::Not | Known::SignedUp => [2, 0],
            };
            let rows = ["created", "updated"].map(|kind| import["rows"][kind].as_u64().unwrap());
            assert_eq!(rows, answered, "{import}");
            if imported {
                let profile = place.profile("ada@example.com").await.unwrap();
                assert_eq!(profile["name"], "Edited");
            }
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_sign_up_is_taken_over_once_whatever_dies() {
    for on_conflict in ["skip", "update", "fail"] {
        let options = [("on_conflict", on_conflict), ("confirm", "send")];
        whatever_dies(&options, Known::SignedUp, async |place, _| {
            place.goes_on().await;
            let import = place.import_of("uploads/people.csv").await;
            assert_eq!(import["rows"]["created"], 2, "{import}");
            let profile = place.profile("ada@example.com").await.unwrap();
            assert_eq!(
                (&profile["name"], &profile["source"]),
                (&json!("Row"), &json!("import"))
            );
            let profiles = place.items().into_iter();
            let of_ada = profiles.filter(|item| text(item, "email") == "ada@example.com");
            assert_eq!(of_ada.count(), 1);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_erased_does_not_come_back_by_a_row_that_comes_again() {
    for (on_conflict, known) in [
        ("skip", Known::Not),
        ("skip", Known::SignedUp),
        ("update", Known::Confirmed),
    ] {
        let options = [("on_conflict", on_conflict)];
        whatever_dies(&options, known, async |place, imported| {
            change(place, "DELETE", Value::Null).await;
            place.goes_on().await;
            let import = place.import_of("uploads/people.csv").await;
            let rows = &import["rows"];
            let answered = rows["created"].as_u64().unwrap() + rows["updated"].as_u64().unwrap();
            assert_eq!(
                (&import["status"], answered),
                (&json!("completed"), 2),
                "{import}"
            );
            if imported {
                assert_eq!(place.profile("ada@example.com").await, None);
                let traces = format!("{:?}", place.items());
                assert!(!traces.contains("ada@example.com"), "{traces}");
            }
        })
        .await;
    }
}

/// Rows that are new, known, repeated within a chunk and across chunks, and bad.
fn mixed() -> String {
    let mut csv = "email,name\n".to_owned();
    for row in 0..90 {
        csv.push_str(&match row {
            _ if row % 20 == 3 => format!("bad{row},Bad\n"),
            _ if row % 10 == 9 => format!("row{}@example.com,Again\n", row - 1),
            _ if row % 30 == 28 => "row0@example.com,Again\n".to_owned(),
            _ if row % 30 == 15 => format!("known{}@example.com,Known\n", row / 30),
            _ => format!("row{row}@example.com,Row\n"),
        });
    }
    csv
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_says_what_an_import_does_and_does_nothing() {
    for on_conflict in ["skip", "update", "fail"] {
        // One chunk after the other: of rows in several chunks any may win, and both
        // runs are to meet them in the same order.
        let place = Place::with(&[("MUSTER_IMPORT_CHUNKS_AT_ONCE", "1")]);
        for known in 0..3 {
            place.confirmed(&format!("known{known}@example.com")).await;
        }
        let people = |place: &Place| {
            let items = place.items().into_iter();
            let kinds = ["EMAIL#", "PROFILE#"];
            let mut people: Vec<_> = items
                .filter(|item| kinds.iter().any(|kind| text(item, "pk").starts_with(kind)))
                .filter(|item| !item.contains_key("outcome"))
                .map(|item| format!("{:?}", BTreeMap::from_iter(item)))
                .collect();
            people.sort();
            people
        };
        let before = people(&place);
        let dry = [
            ("on_conflict", on_conflict),
            ("confirm", "send"),
            ("dry_run", "true"),
        ];
        let would = place.imported("uploads/dry.csv", &mixed(), &dry).await;
        assert_eq!(people(&place), before);
        let real = [("on_conflict", on_conflict), ("confirm", "send")];
        let did = place.imported("uploads/real.csv", &mixed(), &real).await;
        assert_eq!(would["rows"], did["rows"], "{on_conflict}");
        assert!(would["rows"]["created"].as_u64().unwrap() > 50, "{would}");
        assert_eq!(
            place.report_of(&would),
            place.report_of(&did),
            "{on_conflict}"
        );
        assert_eq!(
            people(&place).len(),
            before.len() + 3 * did["rows"]["created"].as_u64().unwrap() as usize
        );
    }
}

/// Whose slash was forgotten: `aws s3 cp people.csv s3://…/uploads/look`.
#[tokio::test(start_paused = true)]
async fn a_file_named_like_a_preset_is_not_imported() {
    for key in ["uploads/look", "uploads/Look"] {
        let place = Place::new();
        let options = [("on_conflict", "update")];
        let import = place.imported(key, FILE, &options).await;
        assert_eq!(import["status"], "failed", "{import}");
        assert_eq!(import["reason"]["code"], "named_like_preset", "{import}");
        let detail = import["reason"]["detail"].as_str().unwrap();
        assert!(detail.contains("uploads/look/people.csv"), "{detail}");
        assert_eq!(place.profile("ada@example.com").await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_import_does_not_wait_behind_a_big_one() {
    let place = Place::new();
    let rows: String = (0..400)
        .map(|row| format!("row{row}@example.com\n"))
        .collect();
    place.drop_file("uploads/big.csv", &format!("email\n{rows}"), &[]);
    place.plan_imports().await;
    place.drop_file("uploads/small.csv", "email\nada@example.com\n", &[]);
    place.plan_imports().await;
    // Two lanes: two chunks of the ten are in the queue before the small one.
    for _ in 0..3 {
        place.import_next_chunk().await;
    }
    let small = place.import_of("uploads/small.csv").await;
    assert_eq!(small["status"], "completed");
    let big = place.import_of("uploads/big.csv").await;
    assert_eq!(big["chunks"]["done"], 2, "{big}");
    place.work().await;
    assert_eq!(
        place.import_of("uploads/big.csv").await["rows"]["created"],
        400
    );
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_cannot_work_is_given_up_with_its_reason() {
    let place = Place::new();
    place.drop_file("uploads/people.csv", &mixed(), &[]);
    place.plan_imports().await;
    let import = place.import_of("uploads/people.csv").await;
    let pk = format!("IMPORT#{}", import["id"].as_str().unwrap());
    let columns = |names: Value| {
        let state = place.state.lock();
        state.dynamodb.set(&pk, "IMPORT", "header", &names);
    };
    columns(json!({ "L": [{ "S": "no such column" }] }));
    // Three attempts at two chunks, the third chunk, and its three.
    for _ in 0..10 {
        let messages = {
            let mut state = place.state.lock();
            let later = state.now().after(DELIVERED);
            state.queues.receive(CHUNK, 10, later)
        };
        for message in messages {
            let event = json!({ "Records": [message.record(CHUNK)] });
            let answer = place.outcome(Function::Worker, event).await;
            if matches!(&answer, Outcome::Answered(answer) if answer["batchItemFailures"] == json!([]))
            {
                place.state.lock().queues.delete(CHUNK, message.receipt());
            }
        }
        place.pass(COMES_BACK).await;
    }
    let failed = place.import_of("uploads/people.csv").await;
    assert_eq!(failed["status"], "failed", "{failed}");
    assert_eq!(failed["reason"]["code"], "chunks_failed");
    let reason = &failed["chunks"]["failed"][0]["reason"];
    assert_eq!(reason["code"], "attempts_used_up");
    assert!(
        reason["detail"].as_str().unwrap().contains("email"),
        "{reason}"
    );
    assert_eq!(failed["chunks"]["failed"].as_array().unwrap().len(), 3);

    columns(json!({ "L": [{ "S": "email" }, { "S": "name" }] }));
    let path = format!("/imports/{}/resume", import["id"].as_str().unwrap());
    assert_eq!(
        place
            .ask("POST", &path, json!({ "chunks": [1] }))
            .await
            .status(),
        202
    );
    place.work().await;
    let one = place.import_of("uploads/people.csv").await;
    assert_eq!(one["chunks"]["done"], 1, "only that one: {one}");
    assert_eq!(one["status"], "failed");
    assert_eq!(place.ask("POST", &path, json!({})).await.status(), 202);
    place.work().await;
    let over = place.import_of("uploads/people.csv").await;
    assert_eq!(over["status"], "completed_with_errors", "{over}");
    assert_eq!(over["reason"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_planner_whose_time_is_up_hands_on() {
    let place = Place::new();
    let state = &place.state;
    let caller = Caller {
        id: 9,
        function: "import-planner",
        killed: Arc::new(Notify::new()),
    };
    let settings = Settings::read(Variables::from_fn(|name| state.setting(name))).unwrap();
    let config = settings.aws.sdk_config_over(http_client(state, &caller));
    let size = ChunkSize {
        bytes: 100_000,
        rows: 10,
    };
    let planner = Planner::new(
        &settings,
        &config,
        size,
        Clock::manual(EPOCH),
        Random::seeded(9),
    );
    let rows: String = (0..35)
        .map(|row| format!("row{row}@example.com\n"))
        .collect();
    place.drop_file("uploads/people.csv", &format!("email\n{rows}"), &[]);
    let mut planners = 0;
    while let Some(event) = next(&place, IMPORT) {
        planners += 1;
        // Too little time for a second chunk.
        let deadline = EPOCH.after(Duration::from_secs(59));
        let answer = planner.answer(event, deadline).await.unwrap();
        assert!(answer.batch_item_failures.is_empty());
    }
    let import = place.import_of("uploads/people.csv").await;
    assert_eq!(
        (&import["status"], &import["chunks"]["total"]),
        (&json!("running"), &json!(4))
    );
    assert_eq!(planners, 4, "one for each chunk");
    place.work().await;
    assert_eq!(
        place.import_of("uploads/people.csv").await["rows"]["created"],
        35
    );
}

/// Planner and worker as they are on AWS: with chunks of 20,000 rows.
pub(crate) fn functions(place: &Place) -> (Planner, Worker) {
    let state = &place.state;
    let variables = || Variables::from_fn(|name| state.setting(name));
    let caller = |function| Caller {
        id: 9,
        function,
        killed: Arc::new(Notify::new()),
    };
    let clock = || Clock::manual(place.now());
    let settings = Settings::read(variables()).unwrap();
    let http = http_client(state, &caller("import-planner"));
    let config = settings.aws.sdk_config_over(http);
    let size = ChunkSize::default();
    let planner = Planner::new(&settings, &config, size, clock(), Random::seeded(9));
    let settings = muster_import_worker::settings::Settings::read(variables()).unwrap();
    let http = http_client(state, &caller("import-worker"));
    let config = settings.aws.sdk_config_over(http);
    let worker = Worker::new(&settings, &config, clock(), Random::seeded(10));
    (planner, worker)
}

/// The next message of a queue, as Lambda hands it on; it does not come again.
pub(crate) fn next(place: &Place, queue: &'static str) -> Option<SqsEvent> {
    let mut state = place.state.lock();
    let later = state.now().after(DELIVERED);
    let message = state.queues.receive(queue, 1, later).pop()?;
    state.queues.delete(queue, message.receipt());
    let event = json!({ "Records": [message.record(queue)] });
    Some(serde_json::from_value(event).unwrap())
}

/// A window ends behind its 1,000th row: whatever stands at its border is counted
/// and reported once.
#[tokio::test(start_paused = true)]
async fn refused_rows_at_the_border_of_a_window_are_reported() {
    let cases: [(u64, &[u64], bool); 7] = [
        (1000, &[500], true),
        (1000, &[1], true),
        (1000, &[1000], true),
        (1000, &[1000], false),
        (1001, &[1000, 1001], true),
        (2000, &[1000, 1001, 2000], false),
        (2000, &[1, 999, 1000, 1001, 1999, 2000], true),
    ];
    for (rows, refused, ends_with_newline) in cases {
        let place = Place::new();
        let row = |row| match refused.contains(&row) {
            true => format!("row{row}\n"),
            false => format!("row{row}@example.com\n"),
        };
        let mut csv = format!("email\n{}", (1..=rows).map(row).collect::<String>());
        if !ends_with_newline {
            csv.pop();
        }
        place.drop_file("uploads/people.csv", &csv, &[]);
        let (planner, worker) = functions(&place);
        let deadline = place.now().after(Duration::from_secs(300));
        let event = next(&place, IMPORT).unwrap();
        planner.answer(event, deadline).await.unwrap();
        while let Some(event) = next(&place, CHUNK) {
            let answer = worker.answer(event, deadline).await.unwrap();
            assert!(answer.batch_item_failures.is_empty());
        }
        let import = place.import_of("uploads/people.csv").await;
        assert_eq!(import["status"], "completed_with_errors", "{import}");
        let counted = ["total", "created", "failed"].map(|kind| &import["rows"][kind]);
        let failed = refused.len() as u64;
        assert_eq!(counted, [rows, rows - failed, failed], "{refused:?}");
        let report = place.report_of(&import);
        let mut report = csv::Reader::from_reader(report.as_bytes());
        let lines: Vec<u64> = report
            .records()
            .map(|record| record.unwrap()[1].parse().unwrap())
            .collect();
        let expected: Vec<u64> = refused.iter().map(|row| row + 1).collect();
        assert_eq!(lines, expected);
    }
}

/// So many rows that a chunk has three windows.
pub(crate) fn many() -> String {
    let rows = (0..2500).map(|row| format!("row{row}@example.com\n"));
    format!("email\n{}", rows.collect::<String>())
}

/// Not by its message: one that comes back too often is a dead letter.
#[tokio::test(start_paused = true)]
async fn a_worker_whose_time_is_up_hands_on() {
    let place = Place::new();
    place.drop_file("uploads/people.csv", &many(), &[]);
    let (planner, worker) = functions(&place);
    let (little, enough) = (Duration::from_secs(59), Duration::from_secs(300));
    let event = next(&place, IMPORT).unwrap();
    planner.answer(event, EPOCH.after(enough)).await.unwrap();
    let mut workers = 0;
    while let Some(event) = next(&place, CHUNK) {
        workers += 1;
        // Too little time for a second window, and for the report.
        let time = if workers < 4 { little } else { enough };
        let answer = worker.answer(event, EPOCH.after(time)).await.unwrap();
        assert!(answer.batch_item_failures.is_empty());
    }
    assert_eq!(workers, 4, "one for each window, and one for the end");
    let import = place.import_of("uploads/people.csv").await;
    assert_eq!(import["status"], "completed");
    assert_eq!(import["rows"]["created"], 2500);
}
