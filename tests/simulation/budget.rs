//! Calls and capacity units of each action: what it costs.
//!
//! A write unit is a kilobyte written to the table or to one of its indexes;
//! in a transaction it counts twice. A read unit is four kilobytes read
//! consistently, or eight eventually.

use std::fmt::Write;

use muster_core::random::Random;
use muster_core::time::{Clock, Time};
use serde_json::{Value, json};

use crate::endpoint::State;
use crate::faults::Schedule;
use crate::process::{Function, Outcome, Process};
use crate::queues::{CHUNK, IMPORT, MAIL};
use crate::run::{EPOCH, empty_world};

/// Rows of the file whose import is measured.
const ROWS: usize = 50;

/// One world in which action follows action.
struct Account {
    state: State,
    clock: Clock,
    random: Random,
    seen: usize,
    table: String,
}

/// The table of all actions.
pub fn table() -> String {
    fastrand::seed(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(keep())
}

async fn keep() -> String {
    let random = Random::seeded(1);
    let clock = Clock::manual(EPOCH);
    let mut account = Account {
        state: empty_world(Schedule::Clean, None, &clock, &random),
        clock,
        random,
        seen: 0,
        table: format!("{:<30} {:>5} {:>5}  calls\n", "action", "write", "read"),
    };
    let ada = json!({ "email": "ada@example.com", "name": "Ada Lovelace" });
    account.ask("sign-up", "POST", "/signup", &ada).await;
    account
        .ask("sign-up, address known", "POST", "/signup", &ada)
        .await;
    account.deliver("mail sent", MAIL, Function::Mailer).await;
    account
        .deliver("nudge for nothing", MAIL, Function::Mailer)
        .await;
    let token = account.state.lock().ses.accepted[0].token.clone();
    account
        .ask(
            "page behind the link",
            "GET",
            &format!("/confirm?token={token}"),
            &Value::Null,
        )
        .await;
    account
        .ask("confirm", "POST", "/confirm", &json!({ "token": token }))
        .await;
    account
        .ask(
            "confirm again",
            "POST",
            "/confirm",
            &json!({ "token": token }),
        )
        .await;
    let grace = json!({ "email": "grace@example.com", "name": "Grace Hopper" });
    account
        .ask("profile created", "POST", "/profiles", &grace)
        .await;
    account
        .ask(
            "profile found by address",
            "GET",
            "/profiles?email=grace@example.com",
            &Value::Null,
        )
        .await;
    account.drop_file();
    account
        .deliver(
            &format!("import of {ROWS} rows, planned"),
            IMPORT,
            Function::Planner,
        )
        .await;
    account
        .deliver(
            &format!("import of {ROWS} rows, written"),
            CHUNK,
            Function::Worker,
        )
        .await;
    account
        .ask("imports listed", "GET", "/imports", &Value::Null)
        .await;
    account.invoke(Function::Sweeper, Value::Null).await;
    account.book("sweep, nothing due");
    account.table
}

impl Account {
    async fn ask(&mut self, action: &str, method: &str, path: &str, body: &Value) {
        let event = json!({ "method": method, "path": path, "body": body });
        let answer = self.invoke(Function::Api, event).await;
        assert!(
            answer["status"].as_u64().is_some_and(|status| status < 300),
            "{action}: {answer}"
        );
        self.book(action);
    }

    /// Delivers the next message of a queue once, however often it is there.
    async fn deliver(&mut self, action: &str, queue: &'static str, function: Function) {
        let late = self
            .state
            .lock()
            .now()
            .after(std::time::Duration::from_secs(60));
        let record = {
            let mut state = self.state.lock();
            let message = state.queues.receive(queue, 1, late).remove(0);
            state.queues.forget(queue, &message.id);
            message.record(queue)
        };
        // A nudge for nothing is forgotten only when it is old.
        let record = with_age(record);
        let answer = self.invoke(function, json!({ "Records": [record] })).await;
        assert_eq!(answer, json!({ "batchItemFailures": [] }), "{action}");
        self.book(action);
    }

    fn drop_file(&self) {
        let mut csv = "email\n".to_owned();
        for row in 0..ROWS {
            // Writing to a String cannot fail.
            let _ = writeln!(csv, "row{row}@example.com");
        }
        let mut state = self.state.lock();
        let now = state.now();
        let event = state.s3.upload("uploads/people.csv", csv.into_bytes(), 1);
        state
            .queues
            .send(IMPORT, &event, std::time::Duration::ZERO, now);
    }

    async fn invoke(&self, function: Function, event: Value) -> Value {
        let process = Process::start(0, function, &self.state, &self.clock, &self.random);
        match process.invoke(event).await.1 {
            Outcome::Answered(answer) => answer,
            outcome => panic!("{function:?}: {outcome:?}"),
        }
    }

    /// Writes the calls since the last action into the table.
    fn book(&mut self, action: &str) {
        let state = self.state.lock();
        let calls = &state.log.calls[self.seen..];
        self.seen = state.log.calls.len();
        let (mut reads, mut writes) = (0.0, 0.0);
        let mut counts = Vec::<(String, usize)>::new();
        for call in calls {
            let reads_only =
                call.operation.ends_with("GetItem") || call.operation.ends_with("Query");
            *(if reads_only { &mut reads } else { &mut writes }) += call.units;
            match counts
                .iter_mut()
                .find(|(operation, _)| *operation == call.operation)
            {
                Some((_, count)) => *count += 1,
                None => counts.push((call.operation.clone(), 1)),
            }
        }
        let calls: Vec<_> = counts
            .into_iter()
            .map(|(operation, count)| {
                if count == 1 {
                    operation
                } else {
                    format!("{operation} ×{count}")
                }
            })
            .collect();
        let _ = writeln!(
            self.table,
            "{action:<30} {writes:>5} {reads:>5}  {}",
            calls.join(", ")
        );
    }
}

fn with_age(mut record: Value) -> Value {
    record["attributes"]["SentTimestamp"] = json!(Time::from_millis(0).as_millis().to_string());
    record
}
