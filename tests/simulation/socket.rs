//! The same endpoint behind a socket, for the real binaries.
//!
//! A `bootstrap` talks to two servers: to the Lambda Runtime API, which hands
//! it events, and to AWS. Here both are one listener of its own, so that every
//! call is known to be this process's. A fault that kills does so with
//! `SIGKILL`, between two calls, and another process is started in its place.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State as Shared;
use axum::http::request::Parts;
use axum::http::{Request, Response, StatusCode};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::time::Instant;

use crate::answer::Answer;
use crate::asked::Asked;
use crate::chains::Chain;
use crate::endpoint::{Caller, serve};
use crate::process::{Function, Outcome};
use crate::state::State;

/// Linux has counted so many for as long as it has had a `/proc`.
const TICKS_A_SECOND: u64 = 100;
const RUNTIME_API: &str = "/2018-06-01/runtime/";

/// A real process of a function.
pub struct RealProcess {
    child: Child,
    function: Function,
    caller: Caller,
    events: mpsc::Sender<Value>,
    answers: mpsc::Receiver<Answered>,
    took: Duration,
}

/// What came of an event: nothing, if the function failed.
struct Answered {
    answer: Option<Value>,
    took: Duration,
}

struct Gate {
    state: State,
    caller: Caller,
    function: Function,
    events: Mutex<mpsc::Receiver<Value>>,
    answers: mpsc::Sender<Answered>,
    /// When the last event was handed over.
    handed: Mutex<Instant>,
}

impl RealProcess {
    /// Starts the built binary of a function.
    pub async fn start(id: u64, function: Function, state: &State) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let caller = Caller {
            id,
            function: function.name(),
            killed: Arc::new(Notify::new()),
        };
        let (events, queue) = mpsc::channel(1);
        let (give, answers) = mpsc::channel(1);
        let gate = Arc::new(Gate {
            state: state.clone(),
            caller: caller.clone(),
            function,
            events: Mutex::new(queue),
            answers: give,
            handed: Mutex::new(Instant::now()),
        });
        let router = Router::new().fallback(answer).with_state(gate);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            child: spawn(function, &address, state),
            function,
            caller,
            events,
            answers,
            took: Duration::ZERO,
        }
    }

    /// How long the last event took, from its being handed to the process
    /// until the answer came.
    pub const fn took(&self) -> Duration {
        self.took
    }

    /// The most memory that it had at once so far, in bytes.
    pub fn peak(&self) -> u64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kilobytes
            .expect("a high water mark")
            .parse::<u64>()
            .expect("a number")
            * 1024
    }

    /// Processor time that it took so far.
    pub fn busy(&self) -> Duration {
        let stat = self.read("stat");
        // Behind the name, which may hold anything: fields 14 and 15 of proc(5).
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks
            .map(|ticks| ticks.parse::<u64>().expect("a number"))
            .sum();
        Duration::from_millis(ticks * 1000 / TICKS_A_SECOND)
    }

    fn read(&self, name: &str) -> String {
        let id = self.child.id().expect("a process that is alive");
        std::fs::read_to_string(format!("/proc/{id}/{name}")).expect("what Linux says of it")
    }

    /// Has the process handle one event; one that was killed does not come
    /// back.
    pub async fn invoke(mut self, event: Value) -> (Option<Self>, Outcome) {
        self.events
            .send(event)
            .await
            .expect("a process that takes events");
        let killed = self.caller.killed.clone();
        let answer = tokio::time::timeout(self.function.timeout(), self.answers.recv());
        tokio::select! {
            biased;
            () = killed.notified() => {
                // SIGKILL, and waited for: nothing of it runs on.
                self.child.kill().await.expect("a process to kill");
                (None, Outcome::Killed)
            }
            answer = answer => match answer {
                Ok(Some(Answered { answer: Some(answer), took })) => {
                    self.took = took;
                    (Some(self), Outcome::Answered(answer))
                }
                _ => (None, Outcome::Failed),
            },
        }
    }
}

/// What an HTTP API hands to its function for a `POST`.
pub fn request(path: &str, body: &Value) -> Value {
    json!({
        "version": "2.0",
        "routeKey": format!("POST {path}"),
        "rawPath": path,
        "rawQueryString": "",
        "headers": { "content-type": "application/json", "host": "muster.example" },
        "requestContext": {
            "apiId": "api",
            "stage": "$default",
            "requestId": "r",
            "timeEpoch": 0,
            "http": { "method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1" },
        },
        "body": body.to_string(),
        "isBase64Encoded": false,
    })
}

/// The same of an operator whose token the gateway has accepted, and without a body.
pub fn request_of_operator(path: &str) -> Value {
    let mut event = request(path, &Value::Null);
    event["body"] = Value::Null;
    event["requestContext"]["authorizer"] =
        json!({ "jwt": { "claims": { "client_id": "operator" }, "scopes": [] } });
    event
}

fn bootstrap(function: Function) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root
        .join("target/lambda")
        .join(function.name())
        .join("bootstrap");
    assert!(
        path.is_file(),
        "{} is not there; make build builds it",
        path.display()
    );
    path
}

fn spawn(function: Function, address: &str, state: &State) -> Child {
    const SETTINGS: [&str; 32] = [
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "MUSTER_TABLE",
        "MUSTER_MAIL_QUEUE_URL",
        "MUSTER_BULK_MAIL_QUEUE_URL",
        "MUSTER_IMPORT_QUEUE_URL",
        "MUSTER_UPLOADS_BUCKET",
        "MUSTER_IMPORT_PRESETS",
        "MUSTER_IMPORT_CHUNKS_AT_ONCE",
        "MUSTER_IMPORT_MAX_FILE_BYTES",
        "MUSTER_IMPORT_MAX_ROWS",
        "MUSTER_IMPORT_MAX_LINE_BYTES",
        "MUSTER_IMPORT_MAX_FIELD_BYTES",
        "MUSTER_IMPORT_MAX_COLUMNS",
        "MUSTER_CHUNK_QUEUE_URL",
        "MUSTER_FEEDBACK_QUEUE_URL",
        "MUSTER_MAILS_PER_MINUTE",
        "MUSTER_REMINDER_HOURS",
        "MUSTER_MAIL_PAUSED",
        "MUSTER_SIGNUPS_PER_ADDRESS",
        "MUSTER_SIGNUP_MAILS_PER_HOUR",
        "MUSTER_SIGNUP_MAILS_PER_DOMAIN",
        "MUSTER_PUBLIC_URL",
        "MUSTER_SENDER",
        "MUSTER_CONFIGURATION_SET",
        "MUSTER_PRODUCT_NAME",
        "MUSTER_ACCENT_COLOUR",
        "MUSTER_MAIL_FOOTER",
        "MUSTER_DEFAULT_LANGUAGE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
    ];
    Command::new(bootstrap(function))
        .env_clear()
        .envs(
            SETTINGS
                .into_iter()
                .filter_map(|name| Some((name, state.setting(name)?))),
        )
        .env("AWS_ENDPOINT_URL", format!("http://{address}"))
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("a process")
}

async fn answer(Shared(gate): Shared<Arc<Gate>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    match parts.uri.path().strip_prefix(RUNTIME_API) {
        Some(call) => gate.runtime(call, &body).await,
        None => answer_call(&gate.state, &gate.caller, parts, body).await,
    }
}

impl Gate {
    /// The Runtime API: `invocation/next` waits for an event, `…/response`
    /// and `…/error` say what came of it.
    async fn runtime(&self, call: &str, body: &[u8]) -> Response<Body> {
        if call == "invocation/next" {
            return match self.events.lock().await.recv().await {
                Some(event) => {
                    let chain = Chain::of_invocation(self.function.name(), &event);
                    self.state.lock().chains.insert(self.caller.id, chain);
                    let response = invocation(&event, self.function.timeout());
                    *self.handed.lock().await = Instant::now();
                    response
                }
                // Nobody will ask this process for anything any more.
                None => std::future::pending().await,
            };
        }
        let took = self.handed.lock().await.elapsed();
        let answer = call
            .ends_with("/response")
            .then(|| serde_json::from_slice(body).unwrap_or_default());
        // Whoever asked may have gone.
        let _ = self.answers.send(Answered { answer, took }).await;
        respond(StatusCode::ACCEPTED, Bytes::new())
    }
}

/// Answers a call of a process to AWS.
pub async fn answer_call(
    state: &State,
    caller: &Caller,
    parts: Parts,
    body: Bytes,
) -> Response<Body> {
    let asked = Asked {
        method: parts.method,
        path: parts
            .uri
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned(),
        headers: parts.headers,
        body,
    };
    let answer = serve(state.clone(), caller.clone(), asked).await;
    let mut answer = answer.unwrap_or_else(|_| broken());
    let status = StatusCode::from_u16(answer.status).expect("a status");
    let mut headers = std::mem::take(&mut answer.headers);
    // Time is real: who is refused need not wait before the next try.
    headers.push(("x-amz-retry-after".to_owned(), "0".to_owned()));
    let mut response = match answer.is_whole() {
        true => respond(status, answer.body),
        false => respond(status, Body::from_stream(stream::iter(answer.pieces()))),
    };
    for (name, value) in headers {
        let name: axum::http::HeaderName = name.parse().expect("a header");
        let value = value.parse().expect("a value");
        response.headers_mut().insert(name, value);
    }
    response
}

/// No answer: the connection breaks.
fn broken() -> Answer {
    Answer {
        breaks: true,
        ..Answer::json(200, "")
    }
}

fn invocation(event: &Value, timeout: Duration) -> Response<Body> {
    let mut response = respond(StatusCode::OK, event.to_string());
    let now = muster_core::platform::time::Clock::system().now();
    let deadline = now.after(timeout).as_millis().to_string();
    for (name, value) in [
        (
            "lambda-runtime-aws-request-id",
            "00000000-0000-0000-0000-000000000001",
        ),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:local:1:function:local",
        ),
        ("lambda-runtime-deadline-ms", &deadline),
    ] {
        response
            .headers_mut()
            .insert(name, value.parse().expect("a value"));
    }
    response
}

fn respond(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
}
