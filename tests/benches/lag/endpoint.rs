//! AWS, on a thread of its own and behind a socket.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State as Shared;
use axum::http::{Request, Response};
use muster_core::platform::random::Random;
use muster_core::platform::settings::Variables;
use muster_core::platform::time::Clock;
use muster_import_planner::cutter::ChunkSize;
use muster_import_planner::planner::Planner;
use muster_import_worker::worker::Worker;
use muster_simulation::bench_server;
use muster_simulation::deployment::empty_world;
use muster_simulation::endpoint::{Caller, http_client};
use muster_simulation::faults::Schedule;
use muster_simulation::queues::{IMPORT, Message};
use muster_simulation::socket::answer_call;
use muster_simulation::state::{Latency, State};
use muster_simulation::synthetic_csv::{Shape, SyntheticCsv};
use serde_json::json;
use tokio::sync::Notify;

const TRANSACTION: &str = "DynamoDB_20120810.TransactWriteItems";

/// AWS, and what stands before it.
pub(crate) struct Endpoint {
    state: State,
    address: String,
}

impl Endpoint {
    /// Starts it.
    pub(crate) fn start() -> Self {
        let clock = Clock::manual(Clock::system().now());
        let state = empty_world(Schedule::Clean, None, &clock, &Random::seeded(1));
        {
            let mut state = state.lock();
            state.latency = Latency::Off;
            state.queues.is_punctual = true;
        }
        let (listener, address) = bench_server::listener();
        let router = Router::new().fallback(answer).with_state(state.clone());
        bench_server::serve(async move || {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, router).await.expect("a server");
        });
        let address = format!("http://{address}");
        Self { state, address }
    }

    /// A worker that calls it.
    pub(crate) fn worker(&self) -> Worker {
        let setting = |name: &str| match name {
            "AWS_ENDPOINT_URL" => Some(self.address.clone()),
            _ => self.state.setting(name),
        };
        let settings = muster_import_worker::settings::Settings::read(Variables::from_fn(setting));
        let settings = settings.expect("settings");
        let config = settings.aws.sdk_config();
        Worker::new(&settings, &config, Clock::system(), Random::system())
    }

    /// Has a file of so many rows planned; its first chunks are in the queue.
    pub(crate) async fn plan(&self, key: &str, rows: u64) {
        let file = SyntheticCsv::new(Shape {
            rows,
            apart: 30_000,
            note: 100,
            padding: 0,
            name: "Row",
        });
        {
            let mut state = self.state.lock();
            let event = state.s3.make(key, &file, 1);
            let now = state.now();
            state.queues.send(IMPORT, &event, Duration::ZERO, now);
        }
        let message = self.receive(IMPORT).expect("an event");
        let event = json!({ "Records": [message.record(IMPORT)] });
        let event: SqsEvent = serde_json::from_value(event).expect("an event");
        let settings =
            muster_import_planner::settings::Settings::read(Variables::from_fn(|name| {
                self.state.setting(name)
            }));
        let settings = settings.expect("settings");
        let http = http_client(&self.state, &caller());
        let config = settings.aws.sdk_config_over(http);
        let (clock, random) = (Clock::system(), Random::system());
        let planner = Planner::new(&settings, &config, ChunkSize::default(), clock, random);
        let deadline = Clock::system().now().after(Duration::from_secs(900));
        let answer = planner.answer(event, deadline).await.expect("an answer");
        assert!(answer.batch_item_failures.is_empty(), "{answer:?}");
        self.delete(IMPORT, &message);
    }

    /// A message, if there is one.
    pub(crate) fn receive(&self, queue: &'static str) -> Option<Message> {
        let mut state = self.state.lock();
        let later = state.now().after(Duration::from_secs(60));
        state.queues.receive(queue, 1, later).pop()
    }

    /// It is done.
    pub(crate) fn delete(&self, queue: &str, message: &Message) {
        let mut state = self.state.lock();
        state.queues.delete(queue, message.receipt());
    }
}

fn caller() -> Caller {
    Caller {
        id: 1,
        function: "bench",
        killed: Arc::new(Notify::new()),
    }
}

async fn answer(Shared(state): Shared<State>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    match parts.headers.get("x-amz-target") {
        Some(target) if target == TRANSACTION => Response::new(Body::from("{}")),
        _ => answer_call(&state, &caller(), parts, body).await,
    }
}
