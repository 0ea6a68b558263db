//! The connector: every call of every function comes by here, is written down,
//! and may go wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use bytes::Bytes;
use http::Uri;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use muster_core::random::Random;
use muster_core::time::{Clock, Time};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::answer::{Answer, error, refusal, ses_error};
use crate::asked::{Asked, Service};
use crate::bug::Bug;
use crate::chains::Chain;
use crate::dynamodb::DynamoDb;
use crate::faults::{Fault, Schedule};
use crate::import_story::Deed;
use crate::log::{Call, Log};
use crate::process::setting;
use crate::queues::{FEEDBACK, Queues};
use crate::s3::S3;
use crate::ses::Ses;
use crate::sources::Network;
use crate::{leading_keys, permissions};

/// Within this time of each other come calls that are made together.
const TOGETHER: Duration = Duration::from_micros(500);
/// As much later than other answers leave those in which an address shows, so
/// that no other one's handling hides how long they took.
const LAST: Duration = Duration::from_millis(1);

/// How long a call takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latency {
    /// As long as chance has it: in simulated time, where it costs nothing.
    Drawn,
    /// As long as its work.
    Off,
    /// Always as long, by its operation, whatever its work, which must be
    /// shorter: what is left for a stopwatch is the caller's own doing.
    Constant {
        /// From the call to its answer.
        answer: Duration,
        /// As much longer if the answer is that an address is known: a leak,
        /// planted to be found.
        planted: Duration,
    },
}

/// What all processes of a run share.
pub struct Shared {
    /// The table.
    pub dynamodb: DynamoDb,
    /// The bucket.
    pub s3: S3,
    /// The mails.
    pub ses: Ses,
    /// The queues.
    pub queues: Queues,
    /// What was invoked until each process handles what it handles now.
    pub chains: BTreeMap<u64, Chain>,
    /// The calls.
    pub log: Log,
    /// What goes wrong.
    pub schedule: Schedule,
    /// The bug that was planted.
    pub bug: Option<Bug>,
    /// How long a call takes.
    pub latency: Latency,
    /// How many items the table reads in a call; the others it leaves unprocessed.
    pub reads_at_once: usize,
    /// What the processes are told by their environment besides what they are
    /// told anyway.
    pub settings: BTreeMap<&'static str, String>,
    /// What parameters and secrets say, by their names.
    pub parameters: BTreeMap<String, String>,
    /// What people did to rows of imports.
    pub deeds: Vec<Deed>,
    /// Answers whose work took longer than [`Latency::Constant`] allows.
    pub late: u64,
    clock: Clock,
    epoch: Time,
    started: Instant,
    random: Random,
}

impl Shared {
    /// A world before its first call.
    pub fn new(
        dynamodb: DynamoDb,
        queues: Queues,
        schedule: Schedule,
        bug: Option<Bug>,
        clock: Clock,
        random: Random,
    ) -> Self {
        Self {
            dynamodb,
            s3: S3::new(),
            ses: Ses::default(),
            queues,
            chains: BTreeMap::new(),
            log: Log::default(),
            schedule,
            bug,
            latency: Latency::Drawn,
            reads_at_once: 100,
            settings: BTreeMap::new(),
            parameters: BTreeMap::new(),
            deeds: Vec::new(),
            late: 0,
            epoch: clock.now(),
            clock,
            started: Instant::now(),
            random,
        }
    }

    /// Sets the functions' clock to the simulated time, and tells it.
    pub fn now(&self) -> Time {
        let now = self.epoch.after(self.started.elapsed());
        let behind = now.as_millis() - self.clock.now().as_millis();
        self.clock
            .advance(Duration::from_millis(u64::try_from(behind).unwrap_or(0)));
        now
    }

    /// When a moment comes, as tokio counts.
    pub fn instant(&self, time: Time) -> Instant {
        let millis = time.as_millis() - self.epoch.as_millis();
        self.started + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

/// The world, to be looked at and changed by one at a time.
#[derive(Clone)]
pub struct State(Arc<Mutex<Shared>>);

impl State {
    /// Shares a world.
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(Mutex::new(shared)))
    }

    /// What a process is told by its environment.
    pub fn setting(&self, name: &str) -> Option<String> {
        let own = self.lock().settings.get(name).cloned();
        own.or_else(|| setting(name))
    }

    /// The world, for a moment.
    pub fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Which process.
    pub id: u64,
    /// Of which function.
    pub function: &'static str,
    /// How it is killed.
    pub killed: Arc<Notify>,
}

/// The HTTP client of one process.
pub fn http_client(state: &State, caller: &Caller) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Connector {
        state: state.clone(),
        caller: caller.clone(),
    });
    http_client_fn(move |_, _| connector.clone())
}

struct Connector {
    state: State,
    caller: Caller,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connector({:?})", self.caller)
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (state, caller) = (self.state.clone(), self.caller.clone());
        let asked = Asked::read(&request);
        HttpConnectorFuture::new(async move {
            let answer = serve(state, caller, asked).await?;
            Ok(answer.response())
        })
    }
}

/// Answers a call, as far as its fault lets it.
///
/// # Errors
/// When the connection breaks.
pub async fn serve(state: State, caller: Caller, asked: Asked) -> Result<Answer, ConnectorError> {
    leading_keys::demand(caller.function, &asked);
    let needed = permissions::demand(caller.function, &asked);
    state.lock().log.use_permissions(caller.function, needed);
    let came = Instant::now();
    there(&state, came, &asked).await;
    let (fault, answer) = state.lock().answer(&caller, &asked);
    if fault.is_some_and(Fault::kills) {
        caller.killed.notify_one();
    }
    match fault {
        Some(Fault::KillBefore | Fault::KillAfter | Fault::TimeoutBefore | Fault::TimeoutAfter) => {
            return std::future::pending().await;
        }
        Some(Fault::NoConnection) => return Err(not_connected().await),
        Some(Fault::DroppedReply) => return Err(ConnectorError::io("the connection broke".into())),
        _ => {}
    }
    back(&state, came, &asked, &answer).await;
    state.lock().now();
    Ok(answer)
}

/// What the SDK's own HTTP client says when no connection opens. Only that client can make
/// the error that is inside, so it is asked, over a network on which AWS is not.
async fn not_connected() -> ConnectorError {
    let client: Client<_, Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).build(Network::default());
    let answer = client.get(Uri::from_static("http://aws.local/")).await;
    ConnectorError::io(answer.expect_err("nobody is there").into())
}

/// The way of a call to its work.
async fn there(state: &State, came: Instant, asked: &Asked) {
    let latency = state.lock().latency;
    match latency {
        Latency::Drawn => {
            draw(state).await;
            if asked.operation() == "SendEmail" {
                let takes = state.lock().ses.takes;
                tokio::time::sleep(takes).await;
            }
        }
        Latency::Off => {}
        // Work holds up whatever comes meanwhile, so calls that were made
        // together must all have come before the first is worked on.
        Latency::Constant { .. } => until(came + TOGETHER).await,
    }
}

/// The way of an answer.
async fn back(state: &State, came: Instant, asked: &Asked, said: &Answer) {
    let latency = state.lock().latency;
    match latency {
        Latency::Drawn => draw(state).await,
        Latency::Off => {}
        Latency::Constant { answer, planted } => {
            let planted = if tells_of_a_lock(asked, said) {
                planted
            } else {
                Duration::ZERO
            };
            let last = if depends_on_who(asked) {
                LAST
            } else {
                Duration::ZERO
            };
            let due = came + answer + last + planted;
            if Instant::now() > due {
                state.lock().late += 1;
            }
            until(due).await;
        }
    }
}

async fn draw(state: &State) {
    let drawn = state.lock().draw();
    tokio::time::sleep(drawn).await;
}

/// Waits to the microsecond, which tokio's timers do not.
async fn until(moment: Instant) {
    while Instant::now() < moment {
        tokio::task::yield_now().await;
    }
}

fn depends_on_who(asked: &Asked) -> bool {
    matches!(asked.operation(), "BatchGetItem" | "TransactWriteItems")
}

fn tells_of_a_lock(asked: &Asked, said: &Answer) -> bool {
    asked.operation() == "BatchGetItem" && String::from_utf8_lossy(&said.body).contains("EMAIL#")
}

impl Shared {
    fn draw(&self) -> Duration {
        Duration::from_millis(1 + u64::from(self.random.bytes::<1>()[0]) / 32)
    }

    /// Does what a call asks for, as far as its fault lets it.
    fn answer(&mut self, caller: &Caller, asked: &Asked) -> (Option<Fault>, Answer) {
        let now = self.now();
        let number = self.log.calls.len() as u64;
        let operation = format!("{:?}.{}", asked.service(), asked.operation());
        let fault = self.schedule.at(number, &operation);
        if fault.is_some() {
            self.ses.went_wrong(caller.id);
        }
        let works = fault.is_none_or(Fault::is_after);
        let answer = if works {
            self.work(caller, asked, number, now)
        } else {
            refusal(asked, fault.unwrap_or(Fault::ServerError))
        };
        if fault.is_some_and(Fault::is_after) {
            self.ses.went_wrong(caller.id);
        }
        let silent = matches!(
            fault,
            Some(
                Fault::KillBefore
                    | Fault::KillAfter
                    | Fault::NoConnection
                    | Fault::TimeoutBefore
                    | Fault::TimeoutAfter
                    | Fault::DroppedReply
            )
        );
        self.log.calls.push(Call {
            number,
            at: self
                .started
                .elapsed()
                .as_millis()
                .try_into()
                .unwrap_or(u64::MAX),
            process: format!("{}#{}", caller.function, caller.id),
            operation,
            subject: asked.subject(),
            bytes: asked.body.len(),
            units: answer.units,
            fault,
            status: if silent { 0 } else { answer.status },
        });
        let answer = match fault {
            // A body that is cut short is noticed by its length.
            Some(Fault::MalformedReply) if asked.service() == Service::S3 => Answer {
                breaks: true,
                ..answer
            },
            Some(Fault::MalformedReply) => Answer::json(200, "{\"not"),
            _ => answer,
        };
        (fault, answer)
    }

    fn work(&mut self, caller: &Caller, asked: &Asked, number: u64, now: Time) -> Answer {
        match asked.service() {
            Service::DynamoDb => self.work_on_table(asked),
            Service::Sqs => {
                let body = String::from_utf8_lossy(&asked.body);
                self.queues.chain = self.chains.get(&caller.id).cloned().unwrap_or_default();
                let answer = self.queues.call(asked.operation(), &body, now);
                self.queues.chain = Chain::default();
                Answer::json(200, answer)
            }
            Service::Ses if asked.operation() == "GetAccount" => {
                Answer::json(200, self.ses.account())
            }
            Service::Ses if asked.operation() == "DeleteSuppressedDestination" => {
                match self.ses.unsuppress(&asked.path) {
                    true => Answer::json(200, "{}"),
                    false => ses_error(404, "NotFoundException", "on purpose"),
                }
            }
            Service::Ses if !self.ses.admits(now) => refusal(asked, Fault::Throttle),
            Service::Ses => {
                let body = String::from_utf8_lossy(&asked.body);
                if let Some(message) = Ses::refuses(&body) {
                    return ses_error(400, "BadRequestException", message);
                }
                let answer = self.ses.accept(&body, number, caller.id, now);
                for (after, event) in self.ses.reports(&self.random) {
                    self.queues.send(FEEDBACK, &event, after, now);
                }
                Answer::json(200, answer)
            }
            Service::S3 => self.work_on_bucket(asked),
            Service::Ssm | Service::SecretsManager => self.look_up(asked),
        }
    }

    fn look_up(&self, asked: &Asked) -> Answer {
        match (self.parameters.get(&asked.subject()), asked.service()) {
            (Some(value), Service::Ssm) => {
                let parameter = json!({ "Value": value });
                Answer::json(200, json!({ "Parameter": parameter }).to_string())
            }
            (Some(value), _) => Answer::json(200, json!({ "SecretString": value }).to_string()),
            (None, Service::Ssm) => error(400, "ParameterNotFound"),
            (None, _) => error(400, "ResourceNotFoundException"),
        }
    }

    fn work_on_table(&mut self, asked: &Asked) -> Answer {
        let mut request = asked.json();
        if let Some(bug) = self.bug {
            bug.rewrite(asked.operation(), &mut request);
            if bug.splits_checkpoints() && is_checkpoint(&request) {
                self.dynamodb
                    .call("UpdateItem", &counts_only(&request).to_string());
                if self.random.bytes::<1>()[0] < 128 {
                    return refusal(asked, Fault::ServerError);
                }
            }
        }
        request["ReturnConsumedCapacity"] = json!("TOTAL");
        let (status, body) = match asked.operation() {
            "BatchGetItem" => self.read_some(request.clone()),
            operation => self.dynamodb.call(operation, &request.to_string()),
        };
        if status == 200 {
            let actions = request["TransactItems"].as_array().into_iter().flatten();
            let updates = actions.map(|action| &action["Update"]);
            for update in std::iter::once(&request).chain(updates) {
                self.mark_recorded(update);
            }
        }
        Answer {
            units: consumed(&body),
            ..Answer::json(status, body)
        }
    }

    /// As many as are read in a call; the others are left.
    fn read_some(&self, mut request: Value) -> (u16, String) {
        let asked = request["RequestItems"].as_object_mut();
        let mut left = Map::new();
        for (table, asked) in asked.into_iter().flatten() {
            let keys = asked["Keys"].as_array_mut().map(|keys| {
                let read = keys.len().min(self.reads_at_once);
                keys.split_off(read)
            });
            if let Some(keys) = keys.filter(|keys| !keys.is_empty()) {
                left.insert(
                    table.clone(),
                    json!({ "Keys": keys, "ConsistentRead": true }),
                );
            }
        }
        if self.reads_at_once == 0 {
            return (200, json!({ "UnprocessedKeys": left }).to_string());
        }
        let (status, body) = self.dynamodb.call("BatchGetItem", &request.to_string());
        if left.is_empty() || status != 200 {
            return (status, body);
        }
        let mut answer: Value = serde_json::from_str(&body).expect("JSON");
        answer["UnprocessedKeys"] = left.into();
        (status, answer.to_string())
    }

    /// What was said in an update that marks a mail as sent: that is no secret
    /// of the mailer's any more.
    fn mark_recorded(&mut self, update: &Value) {
        let expression = update["UpdateExpression"].as_str().unwrap_or_default();
        if expression.contains("ses_message_id") {
            let part = |name: &str| update["Key"][name]["S"].as_str().unwrap_or_default();
            self.ses.recorded(
                part("pk").trim_start_matches("PROFILE#"),
                part("sk").trim_start_matches("MAIL#"),
            );
        }
    }

    fn work_on_bucket(&self, asked: &Asked) -> Answer {
        if let Some(answer) = self.s3.made(asked) {
            return answer;
        }
        let mut request = http::Request::new(asked.body.clone());
        *request.method_mut() = asked.method.clone();
        *request.uri_mut() = format!("http://aws.local{}", asked.path)
            .parse()
            .expect("an address");
        *request.headers_mut() = asked.headers.clone();
        request
            .headers_mut()
            .insert("host", http::HeaderValue::from_static("aws.local"));
        // The bucket is nobody's: s3s would want to know the secret.
        request.headers_mut().remove("authorization");
        let (parts, body) = self.s3.call(request).into_parts();
        let headers = parts.headers.iter().filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        });
        // Our answers arrive in pieces of our own.
        let headers = headers.filter(|(name, _)| name != "transfer-encoding");
        Answer {
            headers: headers.collect(),
            ..Answer::json(parts.status.as_u16(), body)
        }
    }
}

/// The capacity that an answer says it took: of one table, or a list of them.
fn consumed(body: &str) -> f64 {
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    let units = |table: &Value| table["CapacityUnits"].as_f64().unwrap_or_default();
    match &answer["ConsumedCapacity"] {
        Value::Array(tables) => tables.iter().map(units).sum(),
        table => units(table),
    }
}

fn is_checkpoint(request: &Value) -> bool {
    request["UpdateExpression"]
        .as_str()
        .is_some_and(|text| text.contains("checkpoints = :after"))
}

/// The part of a checkpoint that a worker with
/// [`Bug::CountOutsideTransaction`] writes first: the counts, added up.
fn counts_only(request: &Value) -> Value {
    json!({
        "TableName": request["TableName"],
        "Key": request["Key"],
        "UpdateExpression": "SET #counts = :counts",
        "ExpressionAttributeNames": { "#counts": "counts" },
        "ExpressionAttributeValues": { ":counts": request["ExpressionAttributeValues"][":counts"] },
    })
}
