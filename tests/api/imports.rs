//! Imports that operators make, start, cancel and resume.

use std::time::Duration;

use muster_core::platform::ids::ImportId;
use muster_imports::chunk::{ChunkItem, chunk_key};
use muster_imports::failure_reason::FailureReason;
use muster_imports::import::ImportStatus::{
    self, AwaitingStart, AwaitingUpload, Cancelled, Cancelling, Completed, CompletedWithErrors,
    Failed, Planning, Queued, Reporting, Running,
};
use muster_imports::import::{CHUNKS_FAILED, ImportItem, Planned, import_key};
use muster_imports::object::FileVersion;
use muster_imports::options::{Confirm, Options};
use muster_simulation::faults::{FAULTS, Fault, Schedule};
use muster_simulation::process::{Function, Outcome};
use muster_simulation::queues::IMPORT;
use serde_json::{Value, json};

use crate::place::{Answer, Place};

const CSV: &str = "email,name\nada@example.com,Ada\neve@example.com,Eve\nnobody,Nobody\n";

/// A file of three chunks.
fn long_csv() -> String {
    let rows = (0..100).map(|row| format!("p{row}@example.com,Somebody\n"));
    "email,name\n".to_owned() + &rows.collect::<String>()
}

impl Place {
    async fn make(&self, body: Value) -> Value {
        let answer = self.ask("POST", "/imports", body).await;
        assert_eq!(answer.status(), 201, "{answer:?}");
        let path = format!("/imports/{}", answer.body()["id"].as_str().unwrap());
        assert_eq!(answer.header("location"), Some(path.as_str()));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        answer.body().clone()
    }

    /// Uploads to where an import wants its file.
    async fn deliver(&self, import: &Value, csv: &str) {
        let key = import["upload"]["fields"]["key"].as_str().unwrap();
        self.upload(key, csv).await;
    }

    async fn look(&self, import: &Value) -> Value {
        let path = format!("/imports/{}", import["id"].as_str().unwrap());
        let answer = self.get(&path).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer.body().clone()
    }

    async fn act(&self, import: &Value, action: &str, body: Value) -> Answer {
        let path = format!("/imports/{}/{action}", import["id"].as_str().unwrap());
        self.ask("POST", &path, body).await
    }

    /// As `act`, without a body, of what is done.
    async fn do_to(&self, import: &Value, action: &str) -> Value {
        let answer = self.act(import, action, "".into()).await;
        assert_eq!(answer.status(), 202, "{action}: {answer:?}");
        answer.body().clone()
    }

    async fn errors_of(&self, import: &Value) -> Answer {
        let path = format!("/imports/{}/errors", import["id"].as_str().unwrap());
        self.get(&path).await
    }

    /// Whether the planner is told of something; it is not told any more.
    fn told(&self) -> bool {
        let mut state = self.state.lock();
        let messages = &mut state.queues.queue(IMPORT).messages;
        !std::mem::take(messages).is_empty()
    }

    /// Has all mails sent that are due.
    async fn deliver_due_mails(&self) {
        for _ in 0..3 {
            self.pass(Duration::from_secs(60)).await;
            self.sweep().await;
            self.deliver_mails().await;
        }
    }

    async fn import_item(&self, id: ImportId) -> ImportItem {
        self.table().get(&import_key(id)).await.unwrap().unwrap()
    }

    async fn chunk_item(&self, id: ImportId, number: u32) -> ChunkItem {
        let chunk = self.table().get(&chunk_key(id, number)).await;
        chunk.unwrap().unwrap()
    }

    /// An import of three chunks, of which the one of that number was given up.
    async fn half_failed(&self, number: u32) -> (ImportId, Value) {
        let import = self.make(json!({})).await;
        let id = id_of(&import);
        self.deliver(&import, &long_csv()).await;
        let reason = FailureReason::new("attempts_used_up", "it came to nothing");
        let given_up = ChunkItem {
            failed: Some(reason),
            attempts: 4,
            trouble: Some("it crashed".to_owned()),
            due_shard: None,
            due_at: None,
            ..self.chunk_item(id, number).await
        };
        self.store(&chunk_key(id, number), &given_up).await;
        self.work().await;
        let import = self.look(&import).await;
        assert_eq!(import["status"], "failed", "{import}");
        (id, import)
    }
}

fn id_of(import: &Value) -> ImportId {
    import["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_import_is_made_its_file_uploaded_and_its_people_stored() {
    let place = Place::new();
    let made = place.make(json!({})).await;
    let id = made["id"].as_str().unwrap();
    assert_eq!(made["status"], "awaiting_upload");
    let upload = &made["upload"];
    assert_eq!(upload["url"], "http://aws.local/uploads-bucket");
    assert_eq!(upload["max_bytes"], 5_368_709_120_u64);
    let item = place.import_item(id_of(&made)).await;
    let until = item.created_at.after(Duration::from_secs(15 * 60));
    assert_eq!(upload["expires_at"], until.to_string());
    let key = format!("uploads/_/{id}.csv");
    assert_eq!(upload["fields"]["key"], key);
    assert_eq!(
        made["object"],
        json!({ "bucket": "uploads-bucket", "key": key })
    );
    let mut expected = made.clone();
    expected.as_object_mut().unwrap().remove("upload");
    assert_eq!(place.look(&made).await, expected);
    let imports = place.get("/imports").await;
    assert_eq!(imports.body()["items"], json!([expected]));

    place.pass(Duration::from_secs(2)).await;
    place.deliver(&made, CSV).await;
    place.work().await;
    let over = place.look(&made).await;
    assert_eq!(over["status"], "completed_with_errors", "{over}");
    assert_eq!(over["size"], CSV.len());
    let rows = json!({ "total": 3, "created": 2, "updated": 0, "skipped": 0, "failed": 1 });
    assert_eq!(over["rows"], rows);
    assert_eq!(
        over["chunks"],
        json!({ "total": 1, "done": 1, "failed": [] })
    );
    assert_eq!(over["progress"], Value::Null);
    let times = ["created_at", "started_at", "completed_at"].map(|name| over[name].as_str());
    assert!(times.is_sorted() && times[0].is_some(), "{times:?}");
    let ada = place.profile("ada@example.com").await.unwrap();
    assert_eq!(ada["import"], json!({ "id": id, "line": 2 }));
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_is_done() {
    let place = Place::new();
    place.confirmed("ada@example.com").await;
    let asked = json!({ "on_conflict": "update", "confirm": "mark_confirmed", "dry_run": false });
    let made = place.make(asked.clone()).await;
    assert_eq!(made["options"], asked);
    place.deliver(&made, CSV).await;
    place.work().await;
    let over = place.look(&made).await;
    assert_eq!(over["rows"]["updated"], 1, "{over}");
    let profile = async |address| place.profile(address).await.unwrap();
    assert_eq!(profile("ada@example.com").await["name"], "Ada");
    assert_eq!(profile("eve@example.com").await["status"], "confirmed");

    let look = place.make(json!({ "dry_run": true })).await;
    place.deliver(&look, "email\nnew@example.com\n").await;
    place.work().await;
    assert_eq!(place.look(&look).await["rows"]["created"], 1);
    assert_eq!(place.profile("new@example.com").await, None);
}

/// So that who looked at a profile before does not change it unseen.
#[tokio::test(start_paused = true)]
async fn a_profile_that_a_row_changed_is_another_version() {
    let place = Place::new();
    let before = place.confirmed("ada@example.com").await;
    let path = format!("/profiles/{}", before["id"].as_str().unwrap());
    let etag = async || place.get(&path).await.header("etag").unwrap().to_owned();
    let stale = etag().await;
    place.pass(Duration::from_secs(300)).await;
    let made = place.make(json!({ "on_conflict": "update" })).await;
    let csv = "email,name,locale\nada@example.com,Augusta,de\n";
    place.deliver(&made, csv).await;
    place.work().await;
    let after = place.profile("ada@example.com").await.unwrap();
    assert_eq!(after["name"], "Augusta");
    assert_eq!(after["updated_by"], "import");
    assert!(after["updated_at"].as_str() > before["updated_at"].as_str());
    let version = |etag: &str| etag.trim_matches('"').parse::<u64>().unwrap();
    assert_eq!(version(&etag().await), version(&stale) + 1);
    let name = json!({ "name": "Ada" });
    let answer = place.ask_with("PATCH", &path, ("if-match", &stale), name);
    assert_eq!(answer.await.status(), 412);

    // From now on she is written to in her language.
    place.sign_up("ada@example.com").await;
    place.deliver_mails().await;
    let mails = place.mails_to("ada@example.com");
    assert_eq!(mails.len(), 2);
    assert!(mails[1].text.contains("Profil"), "{}", mails[1].text);
}

/// Names of files may be personal.
#[tokio::test(start_paused = true)]
async fn an_import_is_forgotten_after_ninety_days() {
    let place = Place::new();
    let made = place.make(json!({})).await;
    place.deliver(&made, CSV).await;
    place.work().await;
    let path = format!("/imports/{}", made["id"].as_str().unwrap());
    let seen = async || {
        let list = place.get("/imports").await;
        let listed = list.body()["items"].as_array().unwrap().len();
        let errors = place.errors_of(&made).await.status();
        (place.get(&path).await.status(), errors, listed)
    };
    let (minute, day) = (Duration::from_secs(60), Duration::from_secs(24 * 60 * 60));
    place.pass(90 * day - minute).await;
    assert_eq!(seen().await, (200, 200, 1));
    place.pass(minute).await;
    assert_eq!(seen().await, (404, 404, 0));
    assert_eq!(place.act(&made, "cancel", "".into()).await.status(), 404);
}

/// Rows are known by what they left, which is kept for thirty days.
#[tokio::test(start_paused = true)]
async fn an_import_is_resumed_within_thirty_days_or_not_at_all() {
    let (minute, day) = (Duration::from_secs(60), Duration::from_secs(24 * 60 * 60));
    for (age, status) in [(30 * day - minute, 202), (30 * day + minute, 409)] {
        let place = Place::new();
        let made = place.make(json!({ "confirm": "send" })).await;
        place.deliver(&made, CSV).await;
        place.do_to(&made, "cancel").await;
        place.work().await;
        place.pass(age).await;
        let answer = place.act(&made, "resume", "".into()).await;
        assert_eq!(answer.status(), status, "{answer:?}");
    }
}

/// Between the planner's look at it and the worker's.
#[tokio::test(start_paused = true)]
async fn a_file_that_is_lost_on_the_way_fails_its_import() {
    for code in ["object_missing", "object_replaced"] {
        let place = Place::new();
        let made = place.make(json!({})).await;
        place.deliver(&made, CSV).await;
        {
            let s3 = &place.state.lock().s3;
            let key = made["object"]["key"].as_str().unwrap();
            match code {
                "object_missing" => std::fs::remove_file(s3.path(key)).unwrap(),
                _ => drop(s3.upload(key, "email\neve@example.com\n".into(), 2)),
            }
        }
        place.work().await;
        let over = place.look(&made).await;
        assert_eq!(
            (&over["status"], &over["reason"]["code"]),
            (&json!("failed"), &json!(code))
        );
        assert_eq!(place.profile("eve@example.com").await, None);
        // Nothing of it is tried again.
        place.pass(Duration::from_secs(60 * 60)).await;
        place.sweep().await;
        assert!(!place.told());
    }
}

#[tokio::test(start_paused = true)]
async fn an_import_waits_to_be_started() {
    let place = Place::new();
    let made = place.make(json!({ "start": "manual" })).await;
    assert_eq!(made["start"], "manual");
    place.deliver(&made, CSV).await;
    place.work().await;
    place.pass(Duration::from_secs(24 * 60 * 60)).await;
    place.sweep().await;
    place.work().await;
    let waiting = place.look(&made).await;
    assert_eq!(waiting["status"], "awaiting_start", "{waiting}");
    assert_eq!(waiting["size"], CSV.len());
    assert_eq!(place.do_to(&made, "start").await["status"], "queued");
    place.work().await;
    let over = place.do_to(&made, "start").await;
    assert_eq!(over["status"], "completed_with_errors");

    // Or it is started before its file is there.
    let made = place.make(json!({ "start": "manual" })).await;
    let started = place.do_to(&made, "start").await;
    assert_eq!(
        (&started["status"], &started["start"]),
        (&json!("awaiting_upload"), &json!("automatic"))
    );
    place.deliver(&made, CSV).await;
    place.work().await;
    let over = place.look(&made).await;
    assert_eq!(over["status"], "completed_with_errors");
}

#[tokio::test(start_paused = true)]
async fn the_same_key_makes_one_import() {
    let place = Place::new();
    let ask = async |operator: &str, body: &Value| {
        let headers = json!({ "idempotency-key": "k" });
        place
            .request(json!({ "method": "POST", "path": "/imports", "operator": operator, "headers": headers, "body": body }))
            .await
    };
    let asked = json!({ "confirm": "skip", "start": "automatic" });
    let first = ask("a", &asked).await;
    assert_eq!(first.status(), 201);
    place.pass(Duration::from_secs(60)).await;
    // The default is what the other said: it is the same request.
    let again = ask("a", &json!({})).await;
    assert_eq!(again.status(), 201);
    assert_eq!(again.header("location"), first.header("location"));
    let (mut first, mut again) = (first.body().clone(), again.body().clone());
    let [old, new] = [&mut first, &mut again].map(|import| import["upload"].take());
    assert_eq!(again, first);
    assert_eq!(new["expires_at"], old["expires_at"]);
    assert_ne!(new["fields"]["x-amz-date"], old["fields"]["x-amz-date"]);
    assert_ne!(
        new["fields"]["x-amz-signature"],
        old["fields"]["x-amz-signature"]
    );

    place
        .upload(new["fields"]["key"].as_str().unwrap(), CSV)
        .await;
    place.work().await;
    let over = ask("a", &asked).await;
    assert_eq!(over.status(), 201);
    assert_eq!(over.body()["status"], "completed_with_errors");
    assert_eq!(over.body()["upload"], Value::Null);

    let reused = ask("a", &json!({ "confirm": "send" })).await;
    assert_eq!(
        (reused.status(), reused.problem()),
        (422, "idempotency-key-reused")
    );
    let others = ask("b", &asked).await;
    assert_ne!(others.body()["id"], first["id"], "another client's key");
    place.pass(Duration::from_secs(24 * 60 * 60)).await;
    let later = ask("a", &asked).await;
    assert_ne!(later.body()["id"], first["id"], "forgotten after a day");
}

#[tokio::test(start_paused = true)]
async fn an_option_that_is_none_is_named() {
    let place = Place::new();
    let asked = json!({ "on_conflict": "merge", "dry_run": "yes", "start": 1, "confrim": "skip" });
    let answer = place.ask("POST", "/imports", asked).await;
    assert_eq!((answer.status(), answer.problem()), (422, "invalid-fields"));
    let errors = answer.body()["errors"].as_array().unwrap().iter();
    let errors: Vec<_> = errors
        .map(|error| ["pointer", "code", "detail"].map(|name| error[name].as_str().unwrap()))
        .collect();
    let code = "invalid_option";
    assert_eq!(
        errors,
        [
            ["/on_conflict", code, "must be skip, update or fail"],
            ["/dry_run", code, "must be true or false"],
            ["/start", code, "must be automatic or manual"],
            ["/confrim", "unknown", "there is no such field"],
        ]
    );
    assert_eq!(place.items().len(), 0);
}

/// An import at something, with a file that has two chunks if it was looked into.
fn at(place: &Place, status: ImportStatus, mails: bool) -> ImportItem {
    let now = place.now();
    let id = ImportId::of_event("b", status.as_str(), "1");
    let file = FileVersion {
        etag: "e".to_owned(),
        size: 100,
        sequencer: "1".to_owned(),
    };
    let planned = Planned {
        chunks: 2,
        rows: 10,
        position: 100,
        line: 12,
    };
    let looked_into = !matches!(status, AwaitingUpload | AwaitingStart | Queued);
    let is_over = status.is_final();
    let new = ImportItem::new(id, "b".to_owned(), "k".to_owned(), now);
    ImportItem {
        options: Options {
            confirm: if mails { Confirm::Send } else { Confirm::Skip },
            ..Options::default()
        },
        file: (status != AwaitingUpload).then_some(file),
        planned: looked_into.then_some(planned),
        chunks: (looked_into && status != Planning).then_some(2),
        counts: is_over.then(Default::default),
        completed_at: is_over.then_some(now),
        due_shard: new.due_shard.clone().filter(|_| !is_over),
        due_at: new.due_at.clone().filter(|_| !is_over),
        status,
        ..new
    }
}

fn is_due(place: &Place, import: &ImportItem) -> bool {
    let now = place.now().to_string();
    import.due_at.as_ref().is_some_and(|due| *due <= now)
}

const STATUSES: [ImportStatus; 11] = [
    AwaitingUpload,
    AwaitingStart,
    Queued,
    Planning,
    Running,
    Reporting,
    Completed,
    CompletedWithErrors,
    Cancelling,
    Cancelled,
    Failed,
];

/// What becomes of an import at each status; `None` if it is refused.
async fn becomes(action: &str, mails: bool, expected: [Option<ImportStatus>; 11]) {
    for (status, next) in STATUSES.into_iter().zip(expected) {
        let what = format!("{action} of what is {}", status.as_str());
        let place = Place::new();
        let import = at(&place, status, mails);
        place.store(&import_key(import.id), &import).await;
        place.pass(Duration::from_secs(1)).await;
        let shown = json!({ "id": import.id });
        let answer = place.act(&shown, action, "".into()).await;
        let stored = place.import_item(import.id).await;
        let Some(next) = next else {
            let found = (answer.status(), answer.problem());
            assert_eq!(found, (409, "conflict"), "{what}: {answer:?}");
            assert!(answer.body()["detail"].as_str().unwrap().len() > 10);
            assert_eq!(stored, import, "{what}");
            assert!(!place.told(), "{what}");
            continue;
        };
        assert_eq!(answer.status(), 202, "{what}: {answer:?}");
        assert_eq!(answer.body()["status"], next.as_str(), "{what}");
        assert_eq!(stored.status, next, "{what}");
        assert_eq!(stored.completed_at.is_some(), next.is_final(), "{what}");
        assert_eq!(stored.counts.is_some(), next.is_final(), "{what}");
        assert_eq!(stored.due_shard.is_some(), !next.is_final(), "{what}");
        let has_moved = next != status;
        if !has_moved {
            assert_eq!(stored, import, "{what}");
        }
        // Whatever goes on is due now, and the planner is told.
        let goes_on = has_moved && !next.is_final();
        assert_eq!(is_due(&place, &stored), goes_on, "{what}: {stored:?}");
        assert_eq!(place.told(), goes_on, "{what}");
        // Once more: it is as it is.
        let again = place.act(&shown, action, "".into()).await;
        assert_eq!(again.status(), 202, "{what}: {again:?}");
        assert_eq!(place.import_item(import.id).await, stored, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_status_says_whether_it_can_be_started() {
    let started = [
        Some(AwaitingUpload),
        Some(Queued),
        Some(Queued),
        Some(Planning),
        Some(Running),
        Some(Reporting),
        Some(Completed),
        Some(CompletedWithErrors),
        None,
        None,
        None,
    ];
    becomes("start", false, started).await;
}

#[tokio::test(start_paused = true)]
async fn each_status_says_whether_it_can_be_cancelled() {
    let cancelled = |over| {
        [
            Some(Cancelled),
            Some(Cancelled),
            Some(Cancelled),
            Some(Cancelling),
            Some(Cancelling),
            Some(Cancelling),
            over,
            over,
            Some(Cancelling),
            Some(Cancelled),
            over,
        ]
    };
    becomes("cancel", false, cancelled(None)).await;
    // Of one that is over there may be mails to call off.
    becomes("cancel", true, cancelled(Some(Cancelling))).await;
}

#[tokio::test(start_paused = true)]
async fn each_status_says_whether_it_can_be_resumed() {
    let resumed = [
        None,
        None,
        Some(Queued),
        Some(Planning),
        Some(Running),
        None,
        None,
        None,
        None,
        Some(Running),
        None,
    ];
    becomes("resume", false, resumed).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_import_goes_on_from_where_it_was() {
    let place = Place::new();
    for (import, next) in [
        (at(&place, Cancelled, false), Some("running")),
        (
            ImportItem {
                chunks: None,
                ..at(&place, Cancelled, false)
            },
            Some("planning"),
        ),
        (
            ImportItem {
                chunks: None,
                planned: None,
                ..at(&place, Cancelled, false)
            },
            Some("queued"),
        ),
        (
            ImportItem {
                file: None,
                chunks: None,
                planned: None,
                ..at(&place, Cancelled, false)
            },
            None,
        ),
    ] {
        place.store(&import_key(import.id), &import).await;
        let answer = place
            .act(&json!({ "id": import.id }), "resume", "".into())
            .await;
        let found = answer.body()["status"].as_str();
        assert_eq!(found, next, "{answer:?}");
        assert_eq!(answer.status(), if next.is_some() { 202 } else { 409 });
    }
}

#[tokio::test(start_paused = true)]
async fn an_import_is_cancelled_and_goes_on_later() {
    let place = Place::new();
    let made = place.make(json!({ "confirm": "send" })).await;
    place.deliver(&made, &long_csv()).await;
    let running = place.look(&made).await;
    assert_eq!(running["status"], "running");
    assert_eq!(
        running["chunks"],
        json!({ "total": 3, "done": 0, "failed": [] })
    );
    let standing = json!({ "percent": 0.0, "rows_per_second": 0.0, "seconds_left": null });
    assert_eq!(running["progress"], standing);

    place.pass(Duration::from_secs(10)).await;
    place.import_next_chunk().await;
    let running = place.look(&made).await;
    assert_eq!(running["rows"]["created"], 40, "{running}");
    let progress = &running["progress"];
    let percent = progress["percent"].as_f64().unwrap();
    assert!(percent > 30.0 && percent < 45.0, "{progress}");
    let speed = progress["rows_per_second"].as_f64().unwrap();
    assert!(speed > 3.0 && speed <= 4.0, "{progress}");
    let left = progress["seconds_left"].as_u64().unwrap();
    assert!((15..=20).contains(&left), "{progress}");

    assert_eq!(place.do_to(&made, "cancel").await["status"], "cancelling");
    let answer = place.act(&made, "resume", "".into()).await;
    assert_eq!(answer.status(), 409, "not yet: {answer:?}");
    place.work().await;
    let stopped = place.look(&made).await;
    assert_eq!(stopped["status"], "cancelled", "{stopped}");
    assert_eq!(stopped["rows"]["created"], 40);
    assert_eq!(stopped["chunks"]["done"], 1);
    place.deliver_due_mails().await;
    assert_eq!(place.mails().len(), 0, "they were called off");

    place.pass(Duration::from_secs(60)).await;
    let resumed = place.do_to(&made, "resume").await;
    assert_eq!(resumed["status"], "running");
    assert!(resumed["started_at"].as_str() > stopped["completed_at"].as_str());
    assert_eq!(resumed["progress"]["rows_per_second"], 0.0, "{resumed}");
    place.work().await;
    let over = place.look(&made).await;
    assert_eq!(over["status"], "completed", "{over}");
    assert_eq!(over["rows"]["created"], 100);
    place.deliver_due_mails().await;
    assert_eq!(place.mails().len(), 100, "they go after all");
}

#[tokio::test(start_paused = true)]
async fn chunks_that_were_given_up_run_again() {
    let place = Place::new();
    let (id, import) = place.half_failed(1).await;
    assert_eq!(import["reason"]["code"], CHUNKS_FAILED);
    assert_eq!(import["rows"]["created"], 60, "{import}");
    let chunks = json!({
        "total": 3,
        "done": 2,
        "failed": [{
            "number": 1,
            "first_line": 42,
            "reason": { "code": "attempts_used_up", "detail": "it came to nothing" },
        }],
    });
    assert_eq!(import["chunks"], chunks);

    // One that has not failed, and one that is not there.
    let before = place.items();
    let answer = place
        .act(&import, "resume", json!({ "chunks": [0, 1, 9] }))
        .await;
    assert_eq!((answer.status(), answer.problem()), (422, "invalid-fields"));
    let errors = answer.body()["errors"].as_array().unwrap();
    let pointers: Vec<_> = errors
        .iter()
        .map(|error| error["pointer"].clone())
        .collect();
    assert_eq!(pointers, ["/chunks/0", "/chunks/2"]);
    assert_eq!(errors[0]["code"], "not_failed");
    assert_eq!(place.items(), before);

    let answer = place
        .act(&import, "resume", json!({ "chunks": [1, 1] }))
        .await;
    assert_eq!(answer.status(), 202, "{answer:?}");
    assert_eq!(answer.body()["status"], "running");
    assert_eq!(answer.body()["reason"], Value::Null);
    let chunk = place.chunk_item(id, 1).await;
    assert_eq!(
        (chunk.failed, chunk.attempts, chunk.trouble),
        (None, 0, None)
    );
    assert_eq!(place.import_item(id).await.answered_before, 60);
    place.work().await;
    let over = place.look(&import).await;
    assert_eq!(over["status"], "completed", "{over}");
    assert_eq!(over["rows"]["created"], 100);
}

#[tokio::test(start_paused = true)]
async fn all_that_were_given_up_run_again_unless_they_are_named() {
    let place = Place::new();
    let (_, import) = place.half_failed(0).await;
    assert_eq!(place.do_to(&import, "resume").await["status"], "running");
    place.work().await;
    assert_eq!(place.look(&import).await["status"], "completed");
}

#[tokio::test(start_paused = true)]
async fn chunks_of_what_still_runs_can_run_again() {
    let place = Place::new();
    let import = at(&place, Running, false);
    place.store(&import_key(import.id), &import).await;
    let (id, failed) = place.half_failed(2).await;
    let chunk = ChunkItem {
        import_id: import.id,
        failed: Some(FailureReason::new("attempts_used_up", "it came to nothing")),
        done: false,
        ..place.chunk_item(id, 2).await
    };
    place.store(&chunk_key(import.id, 2), &chunk).await;
    place.told();
    place.pass(Duration::from_secs(1)).await;
    let shown = json!({ "id": import.id });
    let running = place.do_to(&shown, "resume").await;
    assert_eq!(running["status"], "running");
    assert_eq!(running["chunks"]["failed"], json!([]));
    assert!(place.told());
    assert!(is_due(&place, &place.import_item(import.id).await));
    // By now it has not failed, so there is nothing to do.
    let answer = place.act(&shown, "resume", json!({ "chunks": [2] })).await;
    assert_eq!(answer.status(), 422, "{answer:?}");
    assert_eq!(
        place.look(&failed).await["status"],
        "failed",
        "the other one"
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_imported_stays_so() {
    let place = Place::new();
    let made = place.make(json!({})).await;
    place.deliver(&made, "name\nAda\n").await;
    place.work().await;
    let failed = place.look(&made).await;
    assert_eq!(failed["status"], "failed", "{failed}");
    let reason = failed["reason"]["detail"].as_str().unwrap();
    for action in ["resume", "start"] {
        let answer = place.act(&made, action, "".into()).await;
        let detail = answer.body()["detail"].as_str().unwrap();
        assert_eq!(answer.status(), 409);
        assert_eq!(detail, format!("it has failed: {reason}"));
    }
}

/// Also the chunks that were given up before.
#[tokio::test(start_paused = true)]
async fn nothing_is_touched_of_an_import_that_cannot_go_on() {
    let place = Place::new();
    let (id, import) = place.half_failed(1).await;
    let gone = ImportItem {
        reason: Some(FailureReason::new("object_missing", "the file is gone")),
        ..place.import_item(id).await
    };
    place.store(&import_key(id), &gone).await;
    let before = place.items();
    for body in [json!(""), json!({ "chunks": [1] })] {
        assert_eq!(place.act(&import, "resume", body).await.status(), 409);
    }
    assert_eq!(place.items(), before);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_does_not_come_is_not_waited_for() {
    let place = Place::new();
    let made = place.make(json!({})).await;
    let item = place.import_item(id_of(&made)).await;
    let due = item.created_at.after(Duration::from_secs(75 * 60));
    assert_eq!(item.due_at, Some(due.to_string()));
    place.pass(Duration::from_secs(76 * 60)).await;
    place.sweep().await;
    place.work().await;
    let failed = place.look(&made).await;
    assert_eq!(failed["reason"]["code"], "upload_expired", "{failed}");
}

#[tokio::test(start_paused = true)]
async fn refused_rows_can_be_downloaded() {
    let place = Place::new();
    let made = place.make(json!({})).await;
    let answer = place.errors_of(&made).await;
    assert_eq!((answer.status(), answer.problem()), (404, "not-found"));
    let why = "the import is not over; its report comes at the end";
    assert_eq!(answer.body()["detail"], why);

    place.deliver(&made, CSV).await;
    place.work().await;
    let answer = place.errors_of(&made).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let over = place.look(&made).await;
    let (bucket, key) = (&over["report"]["bucket"], &over["report"]["key"]);
    let [bucket, key] = [bucket, key].map(|part| part.as_str().unwrap());
    let url = answer.body()["url"].as_str().unwrap();
    let (address, query) = url.split_once('?').unwrap();
    assert_eq!(address, format!("http://aws.local/{bucket}/{key}"));
    assert!(query.contains("X-Amz-Expires=900"), "{query}");
    let expires_at = answer.body()["expires_at"].as_str().unwrap();
    assert!(expires_at > over["completed_at"].as_str().unwrap());

    let fine = place.make(json!({})).await;
    place.deliver(&fine, "email\nnew@example.com\n").await;
    place.work().await;
    let answer = place.errors_of(&fine).await;
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.body()["detail"], "no row of this import was refused");
}

/// Whatever goes wrong with a request, the same one once more makes one import.
#[tokio::test(start_paused = true)]
async fn a_request_that_goes_wrong_is_sent_again() {
    let event = json!({
        "method": "POST",
        "path": "/imports",
        "headers": { "idempotency-key": "k" },
        "body": {},
    });
    for fault in FAULTS {
        for call in 0..2 {
            let place = Place::new();
            place.state.lock().schedule = Schedule::Single { call, fault };
            let outcome = place.outcome(Function::Api, event.clone()).await;
            assert!(place.calls().len() > call as usize, "there are more calls");
            if let Outcome::Answered(answer) = &outcome {
                let status = &answer["status"];
                assert!(
                    status == 201 || status == 503,
                    "{fault} at {call}: {answer}"
                );
            }
            place.state.lock().schedule = Schedule::Clean;
            let again = place.request(event.clone()).await;
            assert_eq!(again.status(), 201, "{fault} at {call}: {again:?}");
            let imports = place.get("/imports").await;
            let imports = imports.body()["items"].as_array().unwrap();
            assert_eq!(imports.len(), 1, "{fault} at {call}");
        }
    }
}

/// Whatever goes wrong with what is done to an import, and though its nudge may be
/// lost: done once more it is done, and the import comes to its end.
#[tokio::test(start_paused = true)]
async fn what_goes_wrong_with_an_import_is_done_again() {
    for fault in FAULTS {
        // Import, chunks, one of them, the import, the planner, the chunks again.
        for call in 0..6 {
            let place = Place::new();
            let (_, import) = place.half_failed(1).await;
            let path = format!("/imports/{}/resume", import["id"].as_str().unwrap());
            let event = json!({ "method": "POST", "path": path, "body": { "chunks": [1] } });
            place.calls();
            place.state.lock().schedule = Schedule::Single { call, fault };
            let outcome = place.outcome(Function::Api, event.clone()).await;
            place.state.lock().schedule = Schedule::Clean;
            assert!(place.calls().len() > call as usize, "there are more calls");
            let answered = match outcome {
                Outcome::Answered(answer) => answer["status"].as_u64(),
                _ => None,
            };
            if answered != Some(202) && place.look(&import).await["status"] == "failed" {
                let again = place.request(event).await;
                assert_eq!(again.status(), 202, "{fault} at {call}: {again:?}");
            }
            // Even if nobody was told.
            place.told();
            place.pass(Duration::from_secs(1)).await;
            place.sweep().await;
            place.work().await;
            let over = place.look(&import).await;
            assert_eq!(over["status"], "completed", "{fault} at {call}: {over}");
        }
    }
}

/// The SDK sends the update again, which then finds the import moved: by itself.
#[tokio::test(start_paused = true)]
async fn a_change_whose_answer_was_lost_is_made_and_told() {
    let place = Place::new();
    let import = at(&place, Running, false);
    place.store(&import_key(import.id), &import).await;
    place.calls();
    place.state.lock().schedule = Schedule::Single {
        call: 1,
        fault: Fault::DroppedReply,
    };
    let shown = json!({ "id": import.id });
    assert_eq!(place.do_to(&shown, "cancel").await["status"], "cancelling");
    let updates = place.calls();
    let updates = updates
        .iter()
        .filter(|call| call.operation == "DynamoDb.UpdateItem");
    assert_eq!(updates.count(), 2);
    assert!(place.told());
}

#[tokio::test(start_paused = true)]
async fn an_import_keeps_the_files_name_and_who_started_it() {
    let place = Place::new();
    let body = json!({ "file_name": "März 2026.csv", "start": "manual", "dry_run": true });
    let made = json!({ "method": "POST", "path": "/imports", "body": body, "operator": "ada" });
    let made = place.request(made).await;
    assert_eq!(made.status(), 201, "{made:?}");
    let id = made.body()["id"].as_str().unwrap();
    let key = made.body()["object"]["key"].as_str().unwrap();
    place.upload(key, "email\nada@example.com\n").await;
    let path = format!("/imports/{id}/start");
    let start = json!({ "method": "POST", "path": path, "body": "", "operator": "bob" });
    assert_eq!(place.request(start).await.status(), 202);
    place.work().await;
    let list = place.get("/imports").await;
    for (shown, by) in [(made.body(), "ada"), (&list.body()["items"][0], "bob")] {
        assert_eq!(shown["file_name"], "März 2026.csv");
        assert_eq!(shown["started_by"], by);
        assert_eq!(shown["options"]["dry_run"], true);
    }
    let import = place.import("email\nbob@example.com\n").await;
    assert_eq!(import["file_name"], "people.csv");
    assert_eq!(import["started_by"], "AWS:AIDAEXAMPLE");
    assert_eq!(import["options"]["dry_run"], false);
}

#[tokio::test(start_paused = true)]
async fn a_files_name_is_one_line_without_a_folder() {
    let place = Place::new();
    let long = "x".repeat(256);
    for name in ["", "a/b.csv", "a\\b.csv", "a\nb.csv", "a\u{202e}b", &long] {
        let answer = place
            .ask("POST", "/imports", json!({ "file_name": name }))
            .await;
        assert_eq!(answer.status(), 422, "{name:?}");
        let error = &answer.body()["errors"][0];
        assert_eq!(error["pointer"], "/file_name", "{answer:?}");
        assert_eq!(error["code"], "invalid_file_name");
    }
}

/// Also of chunks that were not whole.
#[tokio::test(start_paused = true)]
async fn a_cancelled_import_gives_the_rows_it_refused() {
    let place = Place::new();
    let rows: String = (0..90).map(|row| format!("bad{row}\n")).collect();
    place
        .upload("uploads/people.csv", &format!("email\n{rows}"))
        .await;
    place.import_next_chunk().await;
    let list = place.get("/imports").await;
    let id = list.body()["items"][0]["id"].as_str().unwrap().to_owned();
    let path = |verb: &str| format!("/imports/{id}/{verb}");
    let answer = place.ask("POST", &path("cancel"), "".into()).await;
    assert_eq!(answer.body()["status"], "cancelling", "{answer:?}");
    place.work().await;
    let import = place.get(&format!("/imports/{id}")).await;
    let import = import.body();
    assert_eq!(import["status"], "cancelled", "{import}");
    let failed = import["rows"]["failed"].as_u64().unwrap() as usize;
    assert!((40..90).contains(&failed), "{import}");
    assert_eq!(place.report_of(import).lines().count(), 1 + failed);
    assert_eq!(place.get(&path("errors")).await.status(), 200);
}

/// Names of files may be personal. What is not removed yet is absent all the same.
#[tokio::test(start_paused = true)]
async fn an_import_is_forgotten_when_it_has_been_over_for_long() {
    let day = Duration::from_secs(24 * 60 * 60);
    let place = Place::new();
    let import = place.import("email\nada@example.com\n").await;
    let waiting = place.ask("POST", "/imports", json!({})).await;
    let cancelled = format!("/imports/{}/cancel", waiting.body()["id"].as_str().unwrap());
    place.ask("POST", &cancelled, "".into()).await;
    place.ask("POST", "/imports", json!({})).await;
    place.pass(day / 8).await;
    place.sweep().await;
    place.work().await;
    let expired = || {
        let of_imports = place.expired().into_iter();
        let of_imports = of_imports.filter(|(pk, _)| !pk.starts_with("PROFILE#"));
        let mut kinds: Vec<_> = of_imports.map(|(_, sk)| sk).collect();
        kinds.sort();
        kinds
    };
    place.pass(day * 89).await;
    assert_eq!(expired(), Vec::<String>::new());
    let list = place.get("/imports").await;
    assert_eq!(list.body()["items"].as_array().unwrap().len(), 3);
    place.pass(day * 2).await;
    assert_eq!(
        expired(),
        ["CHUNK#000000", "IMPORT", "IMPORT", "IMPORT", "OBJECT"]
    );
    let id = import["id"].as_str().unwrap();
    for path in ["", "/errors"] {
        let answer = place.get(&format!("/imports/{id}{path}")).await;
        assert_eq!(answer.status(), 404, "{answer:?}");
    }
    for verb in ["start", "cancel", "resume"] {
        let path = format!("/imports/{id}/{verb}");
        assert_eq!(place.ask("POST", &path, "".into()).await.status(), 404);
    }
    assert_eq!(place.get("/imports").await.body()["items"], json!([]));
}
