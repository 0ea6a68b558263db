//! The functions, each in processes that can be killed.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use axum::Router;
use axum::body::{Body, to_bytes};
use http::{Request, header};
use lambda_http::request::RequestContext;
use muster_core::platform::random::Random;
use muster_core::platform::settings::Variables;
use muster_core::platform::time::{Clock, Time};
use muster_import_planner::cutter::ChunkSize;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tower::ServiceExt;

use crate::chains::Chain;
use crate::endpoint::{Caller, http_client};
use crate::state::State;

/// A function of `template.yaml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// HTTP API.
    Api,
    /// Mail queues to SES.
    Mailer,
    /// S3 events to chunks.
    Planner,
    /// Chunks to profiles.
    Worker,
    /// What is due.
    Sweeper,
    /// What SES reports.
    Feedback,
    /// HTTP API of the queues.
    Operations,
}

impl Function {
    /// Its name in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Mailer => "mailer",
            Self::Planner => "import-planner",
            Self::Worker => "import-worker",
            Self::Sweeper => "sweeper",
            Self::Feedback => "feedback",
            Self::Operations => "operations",
        }
    }

    /// Its time-out in `template.yaml`.
    pub const fn timeout(self) -> Duration {
        Duration::from_secs(match self {
            Self::Api => 10,
            Self::Mailer => 30,
            Self::Planner => 900,
            Self::Worker => 300,
            Self::Sweeper => 50,
            Self::Feedback => 20,
            Self::Operations => 29,
        })
    }
}

/// So that a small file has several.
const SMALL_CHUNKS: ChunkSize = ChunkSize {
    bytes: 100_000,
    rows: 40,
};

enum Handler {
    Http(Router),
    Mailer(Box<muster_mailer::mailer::Mailer>),
    Planner(Box<muster_import_planner::planner::Planner>),
    Worker(Box<muster_import_worker::worker::Worker>),
    Sweeper(Box<muster_sweeper::sweeper::Sweeper>),
    Feedback(Box<muster_feedback::feedback::Feedback>),
}

/// One environment of a function: handles one event at a time, until it is
/// killed.
pub struct Process {
    caller: Caller,
    handler: Handler,
    function: Function,
    state: State,
    time: Duration,
}

/// How an invocation ended.
#[derive(Debug)]
pub enum Outcome {
    /// The function answered.
    Answered(Value),
    /// It answered with an error, or ran out of time.
    Failed,
    /// It was killed.
    Killed,
}

impl Process {
    /// Starts a process of a function, as its `main.rs` does.
    pub fn start(
        id: u64,
        function: Function,
        state: &State,
        clock: &Clock,
        random: &Random,
    ) -> Self {
        let caller = Caller {
            id,
            function: function.name(),
            killed: Arc::new(Notify::new()),
        };
        let http = http_client(state, &caller);
        let variables = || Variables::from_fn(|name| state.setting(name));
        let (clock, random) = (clock.clone(), random.clone());
        let handler = match function {
            Function::Api => {
                let settings = muster_api::settings::Settings::read(variables()).expect("settings");
                let config = settings.aws.sdk_config_over(http);
                let services =
                    muster_api::services::Services::new(&settings, &config, clock, random)
                        .expect("services");
                Handler::Http(muster_api::router::router(services))
            }
            Function::Mailer => {
                let settings =
                    muster_mailer::settings::Settings::read(variables()).expect("settings");
                let config = settings.aws.sdk_config_over(http);
                let mailer = muster_mailer::mailer::Mailer::new(settings, &config, clock, random);
                Handler::Mailer(Box::new(mailer))
            }
            Function::Planner => {
                let settings =
                    muster_import_planner::settings::Settings::read(variables()).expect("settings");
                let config = settings.aws.sdk_config_over(http);
                let planner = muster_import_planner::planner::Planner::new(
                    &settings,
                    &config,
                    SMALL_CHUNKS,
                    clock,
                    random,
                );
                Handler::Planner(Box::new(planner))
            }
            Function::Worker => {
                let settings =
                    muster_import_worker::settings::Settings::read(variables()).expect("settings");
                let config = settings.aws.sdk_config_over(http);
                let worker =
                    muster_import_worker::worker::Worker::new(&settings, &config, clock, random);
                Handler::Worker(Box::new(worker))
            }
            Function::Sweeper => {
                let settings =
                    muster_sweeper::settings::Settings::read(variables()).expect("settings");
                let config = settings.aws.sdk_config_over(http);
                Handler::Sweeper(Box::new(muster_sweeper::sweeper::Sweeper::new(
                    &settings, &config, clock, random,
                )))
            }
            Function::Feedback => {
                let settings =
                    muster_feedback::settings::Settings::read(variables()).expect("settings");
                let config = settings.aws.sdk_config_over(http);
                Handler::Feedback(Box::new(muster_feedback::feedback::Feedback::new(
                    &settings, &config, clock, random,
                )))
            }
            Function::Operations => {
                let settings =
                    muster_operations::settings::Settings::read(variables()).expect("settings");
                let config = settings.aws.sdk_config_over(http);
                let services =
                    muster_operations::services::Services::new(&settings, &config, clock);
                Handler::Http(muster_operations::router::router(services))
            }
        };
        Self {
            caller,
            handler,
            function,
            state: state.clone(),
            time: function.timeout(),
        }
    }

    /// The same with another time-out than that of `template.yaml`.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Which function it is one of.
    pub const fn function(&self) -> Function {
        self.function
    }

    /// Has the process handle one event; a process that was killed or ran out
    /// of time does not come back.
    pub async fn invoke(self, event: Value) -> (Option<Self>, Outcome) {
        let chain = Chain::of_invocation(self.function.name(), &event);
        self.state.lock().chains.insert(self.caller.id, chain);
        let killed = self.caller.killed.clone();
        let work = tokio::time::timeout(self.time, self.handle(event));
        let outcome = tokio::select! {
            biased;
            () = killed.notified() => Outcome::Killed,
            answer = work => match answer {
                Ok(Some(answer)) => Outcome::Answered(answer),
                Ok(None) | Err(_) => Outcome::Failed,
            },
        };
        match outcome {
            Outcome::Killed => (None, outcome),
            _ => (Some(self), outcome),
        }
    }

    fn deadline(&self) -> Time {
        self.state.lock().now().after(self.time)
    }

    async fn handle(&self, event: Value) -> Option<Value> {
        let batch = || serde_json::from_value::<SqsEvent>(event.clone()).expect("an SQS event");
        match &self.handler {
            Handler::Http(router) => Some(ask(router.clone(), &event).await),
            Handler::Mailer(mailer) => to_json(mailer.answer(batch()).await.ok()?),
            Handler::Planner(planner) => {
                to_json(planner.answer(batch(), self.deadline()).await.ok()?)
            }
            Handler::Worker(worker) => to_json(worker.answer(batch(), self.deadline()).await.ok()?),
            Handler::Feedback(feedback) => to_json(feedback.answer(batch()).await.ok()?),
            Handler::Sweeper(sweeper) => {
                let swept = sweeper.sweep(self.deadline()).await;
                swept.ok().map(|()| Value::Null)
            }
        }
    }
}

fn to_json(response: impl serde::Serialize) -> Option<Value> {
    serde_json::to_value(response).ok()
}

/// What an operator's token allows, unless a request says otherwise.
const SCOPES: &str = "profiles/read profiles/write imports/read imports/write operations/read \
    operations/write";

/// `{"method", "path", "headers"?, "body", "from"?, "operator"?, "scopes"?}` to
/// `{"status", "headers", "body", "text"}`. A body that is no text is sent as JSON;
/// who the operator is, what their token allows and where the request is from, the
/// gateway would say: the first two only on routes that need a token.
pub async fn ask(router: Router, event: &Value) -> Value {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let mut request = Request::builder().method(text("method")).uri(text("path"));
    let headers = event["headers"].as_object().into_iter().flatten();
    let mut typed = false;
    for (name, value) in headers {
        typed |= name == "content-type";
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    if !typed {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let body = match &event["body"] {
        Value::String(text) => text.clone(),
        json => json.to_string(),
    };
    let mut request = request.body(Body::from(body)).expect("a request");
    let from = event["from"].as_str().unwrap_or("192.0.2.1");
    let operator = event["operator"].as_str().unwrap_or("operator");
    let scopes = event["scopes"].as_str().unwrap_or(SCOPES);
    let operator = needs_token(text("path")).then_some((operator, scopes));
    request.extensions_mut().insert(context(from, operator));
    let response = router.oneshot(request).await.expect("an answer");
    let status = response.status().as_u16();
    let headers: Vec<_> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().expect("a text").to_owned()))
        .collect();
    let body = to_bytes(response.into_body(), usize::MAX)
        .await
        .expect("a body");
    json!({
        "status": status,
        "headers": headers.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "body": serde_json::from_slice::<Value>(&body).unwrap_or_default(),
        "text": String::from_utf8_lossy(&body),
    })
}

/// Whether the route of a path has an authorizer.
fn needs_token(path: &str) -> bool {
    let areas = ["/profiles", "/imports", "/queues"];
    areas.iter().any(|area| path.starts_with(area))
}

/// What the gateway says of a request.
fn context(from: &str, operator: Option<(&str, &str)>) -> RequestContext {
    let mut context = json!({
        "timeEpoch": 0,
        "requestId": "request-1",
        "http": { "method": "GET", "sourceIp": from },
    });
    if let Some((operator, scopes)) = operator {
        let claims = json!({ "client_id": operator, "scope": scopes });
        context["authorizer"] = json!({ "jwt": { "claims": claims } });
    }
    RequestContext::ApiGatewayV2(serde_json::from_value(context).expect("a context"))
}
