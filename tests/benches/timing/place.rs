//! One process of the API, and AWS around it.

use std::time::Duration;

use muster_core::platform::random::Random;
use muster_core::platform::time::Clock;
use muster_simulation::deployment::empty_world;
use muster_simulation::faults::Schedule;
use muster_simulation::log::Call;
use muster_simulation::process::{Function, Outcome, Process};
use muster_simulation::queues::{BULK_MAIL, MAIL};
use muster_simulation::socket::{RealProcess, request};
use muster_simulation::state::{Latency, State};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::class::Route;
use crate::{ANSWER, ANSWER_TO_MUCH};

/// The longest value of an attribute.
const VALUE: usize = 1000;
/// Between two requests: until the process waits for the next event.
const PAUSE: Duration = Duration::from_micros(300);

pub(crate) struct Place {
    pub state: State,
    clock: Clock,
    random: Random,
    api: Option<RealProcess>,
    /// What each sign-up that is timed says.
    attributes: Map<String, Value>,
}

impl Place {
    pub(crate) async fn new(seed: u64, attributes: usize) -> Self {
        let (clock, random) = (Clock::manual(Clock::system().now()), Random::seeded(seed));
        let state = empty_world(Schedule::Clean, None, &clock, &random);
        state.lock().latency = Latency::Off;
        let api = RealProcess::start(1, Function::Api, &state).await;
        Self {
            state,
            clock,
            random,
            api: Some(api),
            attributes: (0..attributes.div_ceil(VALUE))
                .map(|n| {
                    (
                        format!("a{n}"),
                        "x".repeat(VALUE.min(attributes - n * VALUE)).into(),
                    )
                })
                .collect(),
        }
    }

    /// From now on calls take a constant time, or leak what they know.
    pub(crate) fn plant(&self, planted: Duration) {
        let answer = if self.attributes.is_empty() {
            ANSWER
        } else {
            ANSWER_TO_MUCH
        };
        self.state.lock().latency = Latency::Constant { answer, planted };
    }

    /// An address that nobody had before, as long as all of them.
    pub(crate) fn address(&self) -> String {
        format!("{}@example.com", self.random.name())
    }

    pub(crate) fn shuffle<T>(&self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            let draw = u64::from_le_bytes(self.random.bytes());
            things.swap(last, (draw % (last as u64 + 1)) as usize);
        }
    }

    /// How many answers AWS has given too late so far.
    pub(crate) fn late(&self) -> u64 {
        self.state.lock().late
    }

    /// Asks about an address, as a stranger would; says how long it took.
    pub(crate) async fn ask(&mut self, route: Route, address: &str) -> Duration {
        let body = match route {
            Route::SignUp => {
                json!({ "email": address, "name": "Somebody", "attributes": self.attributes })
            }
            Route::Resend => json!({ "email": address }),
        };
        self.calls();
        let (answer, took) = self.post(route.path(), &body).await;
        assert_eq!(answer["statusCode"], 202, "{answer}");
        let calls = self.calls();
        // Another call, or one that is made again, would be another story.
        assert!(calls.iter().all(|call| call.status == 200), "{calls:#?}");
        let made = calls
            .iter()
            .filter(|call| !call.subject.starts_with("SECRET"));
        assert_eq!(made.count(), 6, "{calls:#?}");
        took
    }

    /// Signs an address up; says where its mails are counted.
    pub(crate) async fn sign_up(&mut self, address: &str) -> String {
        let body = json!({ "email": address, "name": "Somebody" });
        self.calls();
        self.post(Route::SignUp.path(), &body).await;
        let calls = self.calls();
        let look = calls
            .iter()
            .find(|call| call.operation.ends_with("BatchGetItem"))
            .expect("a look at the address");
        let key = look.subject.split(", ").nth(1).expect("a second key");
        key.trim_end_matches(" RATE").to_owned()
    }

    /// Confirms an address that was signed up, by the link in its mail.
    pub(crate) async fn confirm(&mut self, address: &str) {
        let owner = self
            .state
            .lock()
            .dynamodb
            .owner(address)
            .expect("a profile");
        self.mail(&owner).await;
        let token = self.state.lock().ses.accepted.pop().expect("a mail").token;
        let (answer, _) = self.post("/confirm", &json!({ "token": token })).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
    }

    async fn mail(&self, profile: &str) {
        let nudge = json!({ "profile_id": profile, "mail": 1 }).to_string();
        let message = {
            let mut state = self.state.lock();
            let now = state.now();
            // The API's own nudges are in the other queue, and stay there.
            let id = state.queues.send(BULK_MAIL, &nudge, Duration::ZERO, now);
            let later = now.after(Duration::from_secs(60));
            let message = state.queues.receive(BULK_MAIL, 1, later).pop();
            state.queues.forget(BULK_MAIL, &id);
            message.expect("a nudge")
        };
        // Without a sweep nobody knows how fast bulk may go.
        let event = json!({ "Records": [message.record(MAIL)] });
        let mailer = Process::start(2, Function::Mailer, &self.state, &self.clock, &self.random);
        let (_, outcome) = mailer.invoke(event).await;
        assert!(matches!(outcome, Outcome::Answered(_)), "{outcome:?}");
    }

    async fn post(&mut self, path: &str, body: &Value) -> (Value, Duration) {
        pause().await;
        let api = self.api.take().expect("a process that is alive");
        let (api, outcome) = api.invoke(request(path, body)).await;
        let Outcome::Answered(answer) = outcome else {
            panic!("the API did not answer: {outcome:?}");
        };
        let api = api.expect("a process that is alive");
        let took = api.took();
        self.api = Some(api);
        (answer, took)
    }

    /// The calls since the last time this was asked.
    fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state.lock().log.calls)
    }
}

async fn pause() {
    let end = Instant::now() + PAUSE;
    while Instant::now() < end {
        tokio::task::yield_now().await;
    }
}
