//! One deployment of the API, with its table, its queues, its mails and its time.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use muster_api::router::router;
use muster_api::services::Services;
use muster_api::settings::Settings;
use muster_core::people::erasure::{self, Begun};
use muster_core::platform::aws::AwsSettings;
use muster_core::platform::ids::ProfileId;
use muster_core::platform::random::Random;
use muster_core::platform::settings::Variables;
use muster_core::platform::table::{Item, Key, Table, encode};
use muster_core::platform::time::{Clock, Time};
use muster_details::sources::transport::Transport;
use muster_simulation::deployment::empty_world;
use muster_simulation::dynamodb::TABLE;
use muster_simulation::endpoint::{Caller, http_client};
use muster_simulation::environment::{SOURCES, setting};
use muster_simulation::faults::Schedule;
use muster_simulation::invariants::text;
use muster_simulation::log::Call;
use muster_simulation::process::{Function, Outcome, Process, ask};
use muster_simulation::queues::{BULK_MAIL, CHUNK, FEEDBACK, IMPORT, MAIL};
use muster_simulation::run::EPOCH;
use muster_simulation::ses::Accepted;
use muster_simulation::state::State;
use serde_json::{Value, json};
use tokio::sync::Notify;

/// It needs tokio's paused clock: `#[tokio::test(start_paused = true)]`.
pub(crate) struct Place {
    pub state: State,
    pub clock: Clock,
    random: Random,
    api: Router,
    operations: Router,
    details: Option<Router>,
}

/// An answer of the API.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer(pub Value);

impl Answer {
    pub(crate) fn status(&self) -> u64 {
        self.0["status"].as_u64().unwrap()
    }

    pub(crate) fn body(&self) -> &Value {
        &self.0["body"]
    }

    pub(crate) fn text(&self) -> &str {
        self.0["text"].as_str().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.0["headers"][name].as_str()
    }

    /// The last part of the problem's type.
    pub(crate) fn problem(&self) -> &str {
        let kind = self.body()["type"].as_str().unwrap_or_default();
        kind.strip_prefix("urn:muster:problem:").unwrap_or_default()
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// One whose functions have other settings than usual.
    pub(crate) fn with(own: &[(&'static str, &str)]) -> Self {
        let (clock, random) = (Clock::manual(EPOCH), Random::seeded(1));
        let state = empty_world(Schedule::Clean, None, &clock, &random);
        let own = own.iter().map(|(name, value)| (*name, (*value).to_owned()));
        state.lock().settings.extend(own);
        let variables = || Variables::from_fn(|name| state.setting(name));
        let settings = Settings::read(variables()).unwrap();
        let http = http_client(&state, &caller("api"));
        let config = settings.aws.sdk_config_over(http);
        let services = Services::new(&settings, &config, clock.clone(), random.clone()).unwrap();
        let settings = muster_operations::settings::Settings::read(variables()).unwrap();
        let http = http_client(&state, &caller("operations"));
        let config = settings.aws.sdk_config_over(http);
        let operations =
            muster_operations::services::Services::new(&settings, &config, clock.clone());
        Self {
            state,
            clock,
            random,
            api: router(services),
            operations: muster_operations::router::router(operations),
            details: None,
        }
    }

    /// One that has sources, and a way to them.
    pub(crate) async fn with_sources(document: &Value, transport: Transport) -> Self {
        let mut place = Self::new();
        place.declare(document);
        let state = &place.state;
        let variables = Variables::from_fn(|name| state.setting(name));
        let settings = muster_details::settings::Settings::read(variables).unwrap();
        let config = settings
            .aws
            .sdk_config_over(http_client(state, &caller("details")));
        let (clock, random) = (place.clock.clone(), place.random.clone());
        let services =
            muster_details::services::Services::new(&settings, &config, transport, clock, random);
        place.details = Some(muster_details::router::router(services.await));
        place
    }

    /// Writes the document of the sources.
    pub(crate) fn declare(&self, document: &Value) {
        let parameters = &mut self.state.lock().parameters;
        parameters.insert(SOURCES.to_owned(), document.to_string());
    }

    /// Deploys another setting.
    pub(crate) fn set(&self, name: &'static str, value: &str) {
        self.state.lock().settings.insert(name, value.to_owned());
    }

    /// See [`ask`] for what a request looks like. The gateway leads it to its
    /// function by its path.
    pub(crate) async fn request(&self, request: Value) -> Answer {
        let path = request["path"].as_str().unwrap();
        let function = if path.starts_with("/queues") {
            &self.operations
        } else if path.split('?').next().unwrap().ends_with("/details") {
            self.details.as_ref().expect("sources")
        } else {
            &self.api
        };
        Answer(ask(function.clone(), &request).await)
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        self.request(json!({ "method": method, "path": path, "body": body }))
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, Value::Null).await
    }

    /// A request with one header more.
    pub(crate) async fn ask_with(
        &self,
        method: &str,
        path: &str,
        (name, value): (&str, &str),
        body: Value,
    ) -> Answer {
        let headers = json!({ name: value });
        self.request(json!({ "method": method, "path": path, "headers": headers, "body": body }))
            .await
    }

    pub(crate) async fn sign_up(&self, address: &str) -> Answer {
        let person = json!({ "email": address, "name": "Somebody" });
        self.ask("POST", "/signup", person).await
    }

    /// A confirmed profile of that address, as an operator sees it.
    pub(crate) async fn confirmed(&self, address: &str) -> Value {
        self.sign_up(address).await;
        self.deliver_mails().await;
        let token = self.mails_to(address).pop().unwrap().token;
        let answer = self
            .ask("POST", "/confirm", json!({ "token": token }))
            .await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        self.profile(address).await.unwrap()
    }

    pub(crate) async fn profile(&self, address: &str) -> Option<Value> {
        let found = self.get(&format!("/profiles?email={address}")).await;
        found.body()["items"].as_array().unwrap().first().cloned()
    }

    /// Has the mailer handle what is in its queues, until they are empty.
    pub(crate) async fn deliver_mails(&self) {
        for queue in [MAIL, BULK_MAIL] {
            self.empty(queue, Function::Mailer).await;
        }
    }

    /// Has a function handle what is in a queue, until it is empty.
    async fn empty(&self, queue: &'static str, function: Function) {
        while self.handle_next(queue, function).await {}
    }

    /// Has a function handle the next message of a queue, if there is one.
    async fn handle_next(&self, queue: &'static str, function: Function) -> bool {
        let message = {
            let mut state = self.state.lock();
            let later = state.now().after(Duration::from_secs(60));
            state.queues.receive(queue, 1, later).pop()
        };
        let Some(message) = message else { return false };
        let event = json!({ "Records": [message.record(queue)] });
        self.invoke(function, event).await;
        self.state.lock().queues.forget(queue, &message.id);
        true
    }

    /// Puts a file into the bucket, and has the planner hear of it.
    pub(crate) async fn upload(&self, key: &str, csv: &str) {
        {
            let mut state = self.state.lock();
            let now = state.now();
            let event = state.s3.upload(key, csv.into(), 1);
            state.queues.send(IMPORT, &event, Duration::ZERO, now);
        }
        self.plan_imports().await;
    }

    /// Has the planner handle its next message in that time; says whether there was one.
    pub(crate) async fn plan_within(&self, time: Duration) -> bool {
        let later = self.now().after(Duration::from_secs(60));
        let message = self.state.lock().queues.receive(IMPORT, 1, later).pop();
        let Some(message) = message else { return false };
        let event = json!({ "Records": [message.record(IMPORT)] });
        let (clock, random) = (&self.clock, &self.random);
        let planner = Process::start(1, Function::Planner, &self.state, clock, random);
        let outcome = planner.within(time).invoke(event).await.1;
        assert!(matches!(outcome, Outcome::Answered(_)), "{outcome:?}");
        self.state.lock().queues.forget(IMPORT, &message.id);
        true
    }

    /// Has the planner handle what is in its queue, until it is empty.
    pub(crate) async fn plan_imports(&self) {
        self.empty(IMPORT, Function::Planner).await;
    }

    /// Has the worker handle one chunk.
    pub(crate) async fn import_next_chunk(&self) {
        assert!(self.handle_next(CHUNK, Function::Worker).await);
    }

    /// Has planner and worker handle what is in their queues, until both are empty.
    pub(crate) async fn work(&self) {
        self.plan_imports().await;
        self.empty(CHUNK, Function::Worker).await;
    }

    /// Imports a file; answers with the import, as an operator sees it.
    pub(crate) async fn import(&self, csv: &str) -> Value {
        self.upload("uploads/people.csv", csv).await;
        self.work().await;
        let imports = self.get("/imports").await;
        imports.body()["items"][0].clone()
    }

    /// The report about the rows of an import that were refused.
    pub(crate) fn report_of(&self, import: &Value) -> String {
        let report = &import["report"];
        let (bucket, key) = (
            report["bucket"].as_str().unwrap(),
            report["key"].as_str().unwrap(),
        );
        let request = http::Request::get(format!("http://s3.local/{bucket}/{key}"))
            .header("host", "s3.local")
            .body(bytes::Bytes::new())
            .unwrap();
        let answer = self.state.lock().s3.call(request);
        String::from_utf8(answer.body().to_vec()).unwrap()
    }

    /// Has the feedback function take a message; says whether it comes back.
    pub(crate) async fn report(&self, body: &str) -> bool {
        self.state.lock().ses.suppress(body);
        let record = json!({ "messageId": "m", "body": body, "attributes": {} });
        let event = json!({ "Records": [record] });
        let answer = self.invoke(Function::Feedback, event).await;
        answer["batchItemFailures"] != json!([])
    }

    /// Has the feedback function take all that SES reports by itself.
    pub(crate) async fn hear(&self) {
        self.empty(FEEDBACK, Function::Feedback).await;
    }

    /// The table, past the API.
    pub(crate) fn table(&self) -> Table {
        let variables = &mut Variables::from_fn(setting);
        let settings = AwsSettings::read(variables);
        let config = settings.sdk_config_over(http_client(&self.state, &caller("test")));
        Table::new(aws_sdk_dynamodb::Client::new(&config), TABLE.to_owned())
    }

    /// Stores an item, whatever is there.
    pub(crate) async fn store(&self, key: &Key, fields: &impl serde::Serialize) {
        let table = self.table();
        let item = encode(key, fields).unwrap();
        let put = table.client().put_item().table_name(table.name());
        put.set_item(Some(item)).send().await.unwrap();
    }

    /// Has the planner handle an event of S3's.
    pub(crate) async fn plan(&self, event: &str) {
        let record = json!({ "messageId": "m", "body": event, "eventSource": "aws:sqs" });
        self.invoke(Function::Planner, json!({ "Records": [record] }))
            .await;
    }

    /// What the schedule does every minute.
    pub(crate) async fn sweep(&self) {
        self.invoke(Function::Sweeper, Value::Null).await;
    }

    /// Has a new process of a function handle an event.
    pub(crate) async fn outcome(&self, function: Function, event: Value) -> Outcome {
        let process = Process::start(1, function, &self.state, &self.clock, &self.random);
        process.invoke(event).await.1
    }

    async fn invoke(&self, function: Function, event: Value) -> Value {
        let outcome = self.outcome(function, event).await;
        let Outcome::Answered(answer) = outcome else {
            panic!("{function:?}: {outcome:?}");
        };
        answer
    }

    /// Every mail that was sent to an address, in order.
    pub(crate) fn mails_to(&self, address: &str) -> Vec<Accepted> {
        let state = self.state.lock();
        let mails = state.ses.accepted.iter();
        mails.filter(|mail| mail.to == address).cloned().collect()
    }

    /// Every mail that was sent, in order.
    pub(crate) fn mails(&self) -> Vec<Accepted> {
        self.state.lock().ses.accepted.clone()
    }

    /// Marks a profile for erasure, as a process does that dies right after it.
    pub(crate) async fn mark_erasing(&self, id: ProfileId) -> Begun {
        let (clock, random) = (&self.clock, &self.random);
        let begun = erasure::begin(&self.table(), id, |_| true, clock, random).await;
        begun.unwrap()
    }

    /// Lets time pass.
    pub(crate) async fn pass(&self, time: Duration) {
        tokio::time::advance(time).await;
        self.state.lock().now();
    }

    pub(crate) fn now(&self) -> Time {
        self.state.lock().now()
    }

    /// Everything that is stored, sorted by its keys.
    pub(crate) fn items(&self) -> Vec<Item> {
        let mut items = self.state.lock().dynamodb.items();
        items.sort_by_key(|item| (text(item, "pk"), text(item, "sk")));
        items
    }

    /// The items that have expired: what time-to-live may remove, or not yet.
    pub(crate) fn expired(&self) -> Vec<(String, String)> {
        let now = self.now().as_seconds();
        let expiry = |item: &Item| item.get("expires_at")?.as_n().ok()?.parse::<i64>().ok();
        self.items()
            .iter()
            .filter(|item| expiry(item).is_some_and(|at| at <= now))
            .map(|item| (text(item, "pk"), text(item, "sk")))
            .collect()
    }

    pub(crate) fn remove(&self, (pk, sk): &(String, String)) {
        self.state.lock().dynamodb.remove(pk, sk);
    }

    /// The calls since the last time this was asked.
    pub(crate) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state.lock().log.calls)
    }
}

fn caller(function: &'static str) -> Caller {
    Caller {
        id: 0,
        function,
        killed: Arc::new(Notify::new()),
    }
}
