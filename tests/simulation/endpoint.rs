//! The connector: every call of every function comes by here, is written down,
//! and may go wrong.

use std::fmt;
use std::sync::Arc;
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
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::answer::{Answer, refusal};
use crate::asked::{Asked, Service};
use crate::faults::Fault;
use crate::log::Call;
use crate::sources::Network;
use crate::state::{Latency, Shared, State};
use crate::{leading_keys, permissions};

/// Within this time of each other come calls that are made together.
const TOGETHER: Duration = Duration::from_micros(500);
/// As much later than other answers leave those in which an address shows, so
/// that no other one's handling hides how long they took.
const LAST: Duration = Duration::from_millis(1);

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
            self.work(caller.id, asked, number, now)
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
        let at = u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.log.calls.push(Call {
            number,
            at,
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
}
