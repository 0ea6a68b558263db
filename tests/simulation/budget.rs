//! Calls and capacity units of each action: what it costs.
//!
//! A write unit is a kilobyte written to the table or to one of its indexes;
//! in a transaction it counts twice. A read unit is four kilobytes read
//! consistently, or eight eventually.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use muster_core::platform::random::Random;
use muster_core::platform::time::{Clock, Time};
use serde_json::{Value, json};

use crate::deployment::empty_world;
use crate::faults::Schedule;
use crate::process::{Function, Outcome, Process};
use crate::queues::{CHUNK, IMPORT, MAIL};
use crate::run::EPOCH;
use crate::ses::{BOUNCE, DELIVERY, SEND};
use crate::state::State;

/// Rows of the file whose import is measured: one chunk.
const ROWS: usize = 40;
/// Longer than an address hears nothing after a mail.
const COOL_DOWN: Duration = Duration::from_secs(200);

/// One world in which action follows action.
struct Account {
    state: State,
    clock: Clock,
    random: Random,
    /// What a process does once is not counted for every request.
    api: Option<Process>,
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
        api: None,
        seen: 0,
        table: format!("{:<34} {:>5} {:>5}  calls\n", "action", "write", "read"),
    };
    account.invoke(Function::Sweeper, Value::Null).await;
    account.book("first sweep of a deployment");
    account.keep_sign_ups().await;
    account.keep_profiles().await;
    account.keep_imports().await;
    account.invoke(Function::Sweeper, Value::Null).await;
    account.book("sweep, nothing due");
    account.cancel_and_resume().await;
    account.table
}

impl Account {
    async fn keep_sign_ups(&mut self) {
        let ada = json!({ "email": "ada@example.com", "name": "Ada Lovelace" });
        let resend = json!({ "email": "ada@example.com" });
        self.ask(
            "first request of a deployment",
            "POST",
            "/signup/resend",
            &resend,
        )
        .await;
        self.deliver("nudge for nothing", MAIL, Function::Mailer)
            .await;
        self.ask("POST /signup", "POST", "/signup", &ada).await;
        self.deliver("mail sent", MAIL, Function::Mailer).await;
        let id = self.state.lock().ses.accepted[0].profile_id.clone();
        self.report("mail reported as sent", SEND, &id).await;
        self.report("mail reported as delivered", DELIVERY, &id)
            .await;
        self.ask("POST /signup, just written to", "POST", "/signup", &ada)
            .await;
        self.forget(MAIL);
        self.pass(COOL_DOWN).await;
        self.ask("POST /signup, address known", "POST", "/signup", &ada)
            .await;
        self.forget(MAIL);
        self.pass(COOL_DOWN).await;
        self.ask("POST /signup/resend", "POST", "/signup/resend", &resend)
            .await;
        self.forget(MAIL);
        let token = self.state.lock().ses.accepted[0].token.clone();
        let (page, body) = (format!("/confirm?token={token}"), json!({ "token": token }));
        self.ask("GET /confirm", "GET", &page, &Value::Null).await;
        self.ask("POST /confirm, of three mails", "POST", "/confirm", &body)
            .await;
        self.ask("POST /confirm, again", "POST", "/confirm", &body)
            .await;
    }

    async fn keep_profiles(&mut self) {
        let grace = json!({ "email": "grace@example.com", "name": "Grace Hopper" });
        let made = self
            .ask("POST /profiles", "POST", "/profiles", &grace)
            .await;
        let id = made["body"]["id"].as_str().unwrap_or_default().to_owned();
        let path = format!("/profiles/{id}");
        let joan = json!({ "email": "joan@example.com", "name": "Joan Clarke" });
        let key = json!({ "idempotency-key": "1" });
        for action in [
            "POST /profiles, with a key",
            "POST /profiles, with a known key",
        ] {
            self.ask_with(action, "POST", "/profiles", &key, &joan)
                .await;
        }
        self.ask("GET /profiles/{id}", "GET", &path, &Value::Null)
            .await;
        self.ask(
            "GET /profiles?email=",
            "GET",
            "/profiles?email=grace@example.com",
            &Value::Null,
        )
        .await;
        self.ask("GET /profiles, of three", "GET", "/profiles", &Value::Null)
            .await;
        self.ask(
            "GET /profiles?status=",
            "GET",
            "/profiles?status=pending",
            &Value::Null,
        )
        .await;
        // Until then the answer is the mail that is on its way.
        self.send_mails().await;
        let (mails, resend) = (format!("{path}/mails"), format!("{path}/resend"));
        self.ask("GET /profiles/{id}/mails", "GET", &mails, &Value::Null)
            .await;
        self.ask("POST /profiles/{id}/resend", "POST", &resend, &Value::Null)
            .await;
        self.report("mail reported as bounced", BOUNCE, &id).await;
        let undeliverable = format!("{path}/undeliverable");
        self.ask(
            "DELETE /profiles/{id}/undeliverable",
            "DELETE",
            &undeliverable,
            &Value::Null,
        )
        .await;
        let any = json!({ "if-match": "*" });
        let (name, email) = (
            json!({ "name": "Rear Admiral" }),
            json!({ "email": "hopper@example.com" }),
        );
        self.ask_with("PATCH /profiles/{id}", "PATCH", &path, &any, &name)
            .await;
        let locale = json!({ "locale": "de" });
        self.ask_with(
            "PATCH /profiles/{id}, language",
            "PATCH",
            &path,
            &any,
            &locale,
        )
        .await;
        self.ask_with(
            "PATCH /profiles/{id}, new address",
            "PATCH",
            &path,
            &any,
            &email,
        )
        .await;
        self.ask("DELETE /profiles/{id}", "DELETE", &path, &Value::Null)
            .await;
        self.forget(MAIL);
    }

    async fn keep_imports(&mut self) {
        self.drop_file("uploads/people.csv", "skip");
        self.deliver(
            &format!("import of {ROWS} rows, planned"),
            IMPORT,
            Function::Planner,
        )
        .await;
        self.deliver(
            &format!("import of {ROWS} rows, written"),
            CHUNK,
            Function::Worker,
        )
        .await;
        let list = self
            .ask("GET /imports, of one", "GET", "/imports", &Value::Null)
            .await;
        let id = list["body"]["items"][0]["id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let path = format!("/imports/{id}");
        self.ask("GET /imports/{id}", "GET", &path, &Value::Null)
            .await;
        self.ask("POST /imports", "POST", "/imports", &json!({}))
            .await;
        let key = json!({ "idempotency-key": "2" });
        for action in [
            "POST /imports, with a key",
            "POST /imports, with a known key",
        ] {
            self.ask_with(action, "POST", "/imports", &key, &json!({}))
                .await;
        }
    }

    /// An import that writes mails: they are what a cancel is dear for.
    async fn cancel_and_resume(&mut self) {
        self.drop_file("uploads/more.csv", "send");
        self.deliver(
            &format!("import of {ROWS} rows with mails, planned"),
            IMPORT,
            Function::Planner,
        )
        .await;
        self.deliver(
            &format!("import of {ROWS} rows with mails, written"),
            CHUNK,
            Function::Worker,
        )
        .await;
        let list = self
            .ask(
                "GET /imports?limit=1",
                "GET",
                "/imports?limit=1",
                &Value::Null,
            )
            .await;
        let path = format!(
            "/imports/{}",
            list["body"]["items"][0]["id"].as_str().unwrap_or_default()
        );
        let (cancel, resume) = (format!("{path}/cancel"), format!("{path}/resume"));
        self.ask("POST /imports/{id}/cancel", "POST", &cancel, &Value::Null)
            .await;
        self.deliver("import cancelled, looked after", IMPORT, Function::Planner)
            .await;
        let of = format!("import of {ROWS} rows, mails called off");
        self.deliver(&of, CHUNK, Function::Worker).await;
        self.ask("POST /imports/{id}/resume", "POST", &resume, &json!({}))
            .await;
        self.deliver("import resumed, looked after", IMPORT, Function::Planner)
            .await;
        let on = format!("import of {ROWS} rows, mails called on");
        self.deliver(&on, CHUNK, Function::Worker).await;
    }

    async fn ask(&mut self, action: &str, method: &str, path: &str, body: &Value) -> Value {
        self.ask_with(action, method, path, &Value::Null, body)
            .await
    }

    async fn ask_with(
        &mut self,
        action: &str,
        method: &str,
        path: &str,
        headers: &Value,
        body: &Value,
    ) -> Value {
        let event = json!({ "method": method, "path": path, "headers": headers, "body": body });
        let process = self
            .api
            .take()
            .unwrap_or_else(|| self.process(Function::Api));
        let (process, outcome) = process.invoke(event).await;
        self.api = process;
        let Outcome::Answered(answer) = outcome else {
            panic!("{action}: {outcome:?}");
        };
        assert!(
            answer["status"].as_u64().is_some_and(|status| status < 300),
            "{action}: {answer}"
        );
        self.book(action);
        answer
    }

    async fn pass(&self, time: Duration) {
        tokio::time::advance(time).await;
        self.state.lock().now();
    }

    /// Forgets what is in a queue: another action has shown what it costs.
    fn forget(&self, queue: &'static str) {
        let mut state = self.state.lock();
        let late = state.now().after(COOL_DOWN);
        for message in state.queues.receive(queue, usize::MAX, late) {
            state.queues.forget(queue, &message.id);
        }
    }

    /// Delivers the next message of a queue once, however often it is there.
    async fn deliver(&mut self, action: &str, queue: &'static str, function: Function) {
        let late = self.state.lock().now().after(Duration::from_secs(60));
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

    /// Has every mail sent that was nudged, which is not what is measured.
    async fn send_mails(&mut self) {
        loop {
            let record = {
                let mut state = self.state.lock();
                let late = state.now().after(COOL_DOWN);
                let Some(message) = state.queues.receive(MAIL, 1, late).pop() else {
                    break;
                };
                state.queues.forget(MAIL, &message.id);
                message.record(MAIL)
            };
            let event = json!({ "Records": [with_age(record)] });
            self.invoke(Function::Mailer, event).await;
        }
        self.seen = self.state.lock().log.calls.len();
    }

    /// SES reports this of the mail of a profile that it accepted last.
    async fn report(&mut self, action: &str, event: &str, profile: &str) {
        let accepted = self.state.lock().ses.accepted.clone();
        let mail = accepted
            .into_iter()
            .rev()
            .find(|mail| mail.profile_id == profile);
        let body = mail.map(|mail| mail.report(event)).unwrap_or_default();
        let record = json!({ "messageId": "m", "body": body });
        let answer = self
            .invoke(Function::Feedback, json!({ "Records": [record] }))
            .await;
        assert_eq!(answer, json!({ "batchItemFailures": [] }), "{action}");
        self.book(action);
    }

    fn drop_file(&self, key: &str, confirm: &str) {
        let mut csv = "email\n".to_owned();
        for row in 0..ROWS {
            // Writing to a String cannot fail.
            let _ = writeln!(csv, "{confirm}{row}@example.com");
        }
        let mut state = self.state.lock();
        let now = state.now();
        let options = BTreeMap::from([("confirm", confirm.to_owned())]);
        let event = state.s3.upload_with(key, csv.into_bytes(), &options, 1);
        state.queues.send(IMPORT, &event, Duration::ZERO, now);
    }

    fn process(&self, function: Function) -> Process {
        Process::start(0, function, &self.state, &self.clock, &self.random)
    }

    async fn invoke(&self, function: Function, event: Value) -> Value {
        match self.process(function).invoke(event).await.1 {
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
        // What runs at the same time may come in any order.
        counts.sort();
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
            "{action:<34} {writes:>5} {reads:>5}  {}",
            calls.join(", ")
        );
    }
}

fn with_age(mut record: Value) -> Value {
    record["attributes"]["SentTimestamp"] = json!(Time::from_millis(0).as_millis().to_string());
    record
}
