//! Reports of refused rows that are too big for one piece, or for one worker.

use std::time::Duration;

use muster_core::platform::ids::ImportId;
use muster_imports::chunk::{ChunkItem, chunk_key};
use muster_imports::import::{Counts, ImportItem, ImportStatus, Planned, import_key, report_part};
use muster_imports::nudges::ChunkNudge;
use muster_simulation::faults::Fault;
use muster_simulation::queues::CHUNK;
use muster_simulation::s3::BUCKET;
use serde_json::Value;

use crate::place::Place;
use crate::rows::{functions, next};

/// Parts of 1 MiB: a piece of five, and one of two.
const PARTS: usize = 7;
const PIECES: usize = 2;
/// So much time that a worker begins one piece.
const A_PIECE: Duration = Duration::from_secs(120);
/// So many workers may die over a report without another piece.
const ATTEMPTS: usize = 5;

fn part(number: usize) -> String {
    format!("{}\n", number.to_string().repeat(1024 * 1024))
}

impl Place {
    /// An import whose rows are all answered, and refused; its report is to be
    /// written. Answers with its id.
    async fn answered(&self) -> ImportId {
        let id = ImportId::of_event(BUCKET, "uploads/people.csv", "1");
        let counts = Counts {
            failed: PARTS as u64,
            ..Counts::NONE
        };
        let import = ImportItem {
            status: ImportStatus::Running,
            header: vec!["email".to_owned()],
            planned: Some(Planned {
                chunks: 1,
                rows: PARTS as u64,
                position: 100,
                line: 20,
            }),
            lanes: 1,
            chunks: Some(1),
            rows: Some(PARTS as u64),
            ..ImportItem::new(
                id,
                BUCKET.to_owned(),
                "uploads/people.csv".to_owned(),
                self.now(),
            )
        };
        let names: Vec<_> = (0..PARTS).map(|number| format!("{number:06}-x")).collect();
        for (number, name) in names.iter().enumerate() {
            let key = report_part(id, 0, name);
            self.state.lock().s3.upload(&key, part(number).into(), 1);
        }
        let chunk = ChunkItem {
            done: true,
            begun: true,
            counts,
            parts: names,
            ..ChunkItem::new(id, 0, 0..100, 2, PARTS as u64)
        };
        self.store(&import_key(id), &import).await;
        self.store(&chunk_key(id, 0), &chunk).await;
        self.nudge(id);
        id
    }

    /// Writes the report of an import whose rows change when its first piece is
    /// there. Answers with its id.
    pub(crate) async fn begin_a_report_again(&self) -> ImportId {
        let id = self.answered().await;
        let (_, worker) = functions(self);
        let event = next(self, CHUNK).unwrap();
        let deadline = self.now().after(A_PIECE);
        worker.answer(event, deadline).await.unwrap();
        let key = chunk_key(id, 0);
        let chunk: ChunkItem = self.table().get(&key).await.unwrap().unwrap();
        let fewer = ChunkItem {
            parts: chunk.parts[1..].to_vec(),
            ..chunk
        };
        self.store(&key, &fewer).await;
        self.work().await;
        id
    }

    fn nudge(&self, import_id: ImportId) {
        let nudge = ChunkNudge {
            import_id,
            chunk: 0,
        };
        let body = serde_json::to_string(&nudge).unwrap();
        let mut state = self.state.lock();
        let now = state.now();
        state.queues.send(CHUNK, &body, Duration::ZERO, now);
    }

    async fn shown(&self, id: ImportId) -> Value {
        self.get(&format!("/imports/{id}")).await.body().clone()
    }

    fn count(&self, operation: &str) -> usize {
        let state = self.state.lock();
        let calls = state.log.calls.iter();
        calls
            .filter(|call| call.operation.ends_with(operation))
            .count()
    }

    async fn has_all(&self, id: ImportId) {
        let import = self.shown(id).await;
        assert_eq!(import["status"], "completed_with_errors", "{import}");
        let report = self.report_of(&import);
        let (header, rows) = report.split_once('\n').unwrap();
        assert_eq!(
            header,
            "email,error_line,error_column,error_code,error_message"
        );
        let all: String = (0..PARTS).map(part).collect();
        assert!(rows == all, "{} bytes of {}", rows.len(), all.len());
    }
}

/// S3 refuses pieces whose checksums it was not told of, and a completion without
/// those that it was.
#[tokio::test(start_paused = true)]
async fn a_report_of_several_pieces_is_whole() {
    let place = Place::new();
    place.state.lock().s3.uploads().parts_at_once = 1;
    let id = place.answered().await;
    place.work().await;
    place.has_all(id).await;
    assert_eq!(place.count("UploadPart"), PIECES);
}

#[tokio::test(start_paused = true)]
async fn a_report_goes_on_with_the_next_worker() {
    let place = Place::new();
    let id = place.answered().await;
    let (_, worker) = functions(&place);
    let deadline = place.now().after(A_PIECE);
    let mut workers = 0;
    while let Some(event) = next(&place, CHUNK) {
        workers += 1;
        let answer = worker.answer(event, deadline).await.unwrap();
        assert!(answer.batch_item_failures.is_empty());
    }
    // A nudge may come twice.
    assert!(workers > PIECES, "one for each piece, and one for the end");
    place.has_all(id).await;
    assert_eq!(place.count("UploadPart"), PIECES);
}

#[tokio::test(start_paused = true)]
async fn a_report_is_whole_whenever_a_worker_dies() {
    for fault in [Fault::KillBefore, Fault::KillAfter] {
        for call in 0.. {
            let place = Place::new();
            let id = place.answered().await;
            if !place.killed_at(call, fault).await {
                assert!(call > 15, "a worker makes more calls than {call}");
                break;
            }
            place.goes_on().await;
            place.has_all(id).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_that_workers_die_of_is_given_up() {
    let place = Place::new();
    let id = place.answered().await;
    for _ in 0..ATTEMPTS {
        // The calls before are lookups, the lease, and the first parts.
        assert!(place.killed_at(6, Fault::KillBefore).await);
        place.pass(Duration::from_secs(31 * 60)).await;
    }
    assert_eq!(place.shown(id).await["status"], "reporting");
    // It was handed out as often as it may be.
    place.state.lock().queues.queue(CHUNK).messages.clear();
    place.nudge(id);
    place.work().await;
    let import = place.shown(id).await;
    assert_eq!(import["status"], "completed_with_errors");
    assert_eq!(import["reason"]["code"], "report_lost", "{import}");
    let errors = place.get(&format!("/imports/{id}/errors")).await;
    assert_eq!(errors.status(), 404);
    let detail = errors.body()["detail"].as_str().unwrap();
    assert!(detail.contains("5 workers died"), "{detail}");
}

/// Its parts are another number by then.
#[tokio::test(start_paused = true)]
async fn a_report_of_other_rows_is_begun_again() {
    let place = Place::new();
    let id = place.begin_a_report_again().await;
    assert_eq!(place.count("AbortMultipartUpload"), 1);
    let report = place.report_of(&place.shown(id).await);
    let (_, rows) = report.split_once('\n').unwrap();
    let rest: String = (1..PARTS).map(part).collect();
    assert!(rows == rest, "{} bytes of {}", rows.len(), rest.len());
}
