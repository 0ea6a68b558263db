//! What a service answers, also when it does not do what it was asked.

use std::convert::Infallible;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::json;

use crate::asked::{Asked, Service};
use crate::faults::Fault;

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// DynamoDB capacity units that it took.
    pub units: f64,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// An answer in JSON.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            units: 0.0,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// The answer as the SDK takes it. A long body arrives piece by piece, as
    /// it would by a wire.
    pub fn response(self) -> HttpResponse {
        let status = self.status.try_into().expect("a status");
        let body = if self.body.len() > PIECE {
            pieces(self.body)
        } else {
            SdkBody::from(self.body)
        };
        let mut response = HttpResponse::new(status, body);
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// What arrives at once: about what one TLS record holds.
const PIECE: usize = 16 * 1024;

fn pieces(body: Bytes) -> SdkBody {
    let starts = (0..body.len()).step_by(PIECE);
    let pieces = starts.map(move |start| body.slice(start..body.len().min(start + PIECE)));
    let frames = pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
    SdkBody::from_body_1_x(StreamBody::new(stream::iter(frames)))
}

/// What a service says that does not do what it was asked.
pub fn refusal(asked: &Asked, fault: Fault) -> Answer {
    match (asked.service(), fault) {
        (Service::DynamoDb, Fault::Conflict) if asked.operation() == "TransactWriteItems" => {
            let count = asked.writes();
            let mut reasons = vec![json!({ "Code": "None" }); count];
            reasons[count / 2] = json!({ "Code": "TransactionConflict", "Message": "conflict" });
            let message =
                "Transaction cancelled, please refer cancellation reasons for specific reasons";
            let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
            let body =
                json!({ "__type": kind, "Message": message, "CancellationReasons": reasons });
            Answer::json(400, body.to_string())
        }
        (Service::DynamoDb, Fault::Conflict) if asked.writes() > 0 => error(
            400,
            "com.amazonaws.dynamodb.v20120810#TransactionConflictException",
        ),
        (Service::DynamoDb, Fault::ServerError) => {
            error(500, "com.amazonaws.dynamodb.v20120810#InternalServerError")
        }
        (Service::DynamoDb, _) => {
            error(400, "com.amazonaws.dynamodb.v20120810#ThrottlingException")
        }
        (Service::Sqs, Fault::ServerError) => error(500, "com.amazonaws.sqs#InternalError"),
        (Service::Sqs, _) => error(400, "com.amazonaws.sqs#RequestThrottled"),
        (Service::Ses, Fault::ServerError) => ses_error(500, "InternalServiceErrorException"),
        (Service::Ses, _) => ses_error(429, "TooManyRequestsException"),
        (Service::S3, Fault::ServerError) => s3_error(500, "InternalError"),
        (Service::S3, _) => s3_error(503, "SlowDown"),
    }
}

fn error(status: u16, kind: &str) -> Answer {
    Answer::json(
        status,
        json!({ "__type": kind, "message": "on purpose" }).to_string(),
    )
}

fn ses_error(status: u16, kind: &str) -> Answer {
    Answer {
        headers: vec![("x-amzn-errortype".to_owned(), kind.to_owned())],
        ..Answer::json(status, json!({ "message": "on purpose" }).to_string())
    }
}

fn s3_error(status: u16, code: &str) -> Answer {
    Answer::json(
        status,
        format!("<Error><Code>{code}</Code><Message>on purpose</Message></Error>"),
    )
}
