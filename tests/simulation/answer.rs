//! What a service answers, also when it does not do what it was asked.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::json;

use crate::asked::{Asked, Service};
use crate::faults::Fault;
use crate::synthetic_csv::SyntheticCsv;

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
    /// Instead of a body: part of a file that is made as it is read.
    pub file: Option<(Arc<SyntheticCsv>, Range<u64>)>,
    /// Whether the connection breaks before all of it is there.
    pub breaks: bool,
}

/// A piece of a body, or the end of the connection.
type Piece = Result<Bytes, io::Error>;

impl Answer {
    /// An answer in JSON.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            units: 0.0,
            headers: Vec::new(),
            body: body.into(),
            file: None,
            breaks: false,
        }
    }

    /// The answer as the SDK takes it. A long body arrives piece by piece, as
    /// it would by a wire.
    pub fn response(mut self) -> HttpResponse {
        let status = self.status.try_into().expect("a status");
        let headers = std::mem::take(&mut self.headers);
        let body = if self.is_whole() {
            SdkBody::from(self.body)
        } else {
            let frames = self.pieces().map(|piece| piece.map(Frame::data));
            SdkBody::from_body_1_x(StreamBody::new(stream::iter(frames)))
        };
        let mut response = HttpResponse::new(status, body);
        for (name, value) in headers {
            response.headers_mut().insert(name, value);
        }
        response
    }

    /// Whether it arrives at once.
    pub fn is_whole(&self) -> bool {
        self.file.is_none() && !self.breaks && self.body.len() <= PIECE
    }

    /// What arrives, piece by piece; of a connection that breaks, half of it.
    pub fn pieces(self) -> impl Iterator<Item = Piece> {
        let Self {
            body, file, breaks, ..
        } = self;
        let size = file
            .as_ref()
            .map_or(body.len() as u64, |(_, range)| range.end - range.start);
        let mut left = if breaks { size / 2 } else { size };
        let starts = (0..body.len()).step_by(PIECE);
        let of_body = starts.map(move |start| body.slice(start..body.len().min(start + PIECE)));
        let of_file = file.into_iter().flat_map(|(file, range)| file.bytes(range));
        let arrive = of_body.chain(of_file).map_while(move |piece| {
            let piece = piece.slice(..piece.len().min(left as usize));
            left -= piece.len() as u64;
            (!piece.is_empty()).then_some(Ok(piece))
        });
        let broken = breaks.then(|| Err(io::Error::other("the connection broke")));
        arrive.chain(broken)
    }
}

/// What arrives at once: about what one TLS record holds.
const PIECE: usize = 16 * 1024;

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
        (Service::Ses, Fault::ServerError) => {
            ses_error(500, "InternalServiceErrorException", "on purpose")
        }
        (Service::Ses, _) => ses_error(429, "TooManyRequestsException", "on purpose"),
        (Service::Ssm | Service::SecretsManager, Fault::ServerError) => {
            error(500, "InternalServerError")
        }
        (Service::Ssm | Service::SecretsManager, _) => error(400, "ThrottlingException"),
        (Service::S3, Fault::ServerError) => s3_error(500, "InternalError"),
        (Service::S3, _) => s3_error(503, "SlowDown"),
    }
}

/// What JSON services say that refuse something.
pub fn error(status: u16, kind: &str) -> Answer {
    Answer::json(
        status,
        json!({ "__type": kind, "message": "on purpose" }).to_string(),
    )
}

/// What SES says that refuses something.
pub fn ses_error(status: u16, kind: &str, message: &str) -> Answer {
    Answer {
        headers: vec![("x-amzn-errortype".to_owned(), kind.to_owned())],
        ..Answer::json(status, json!({ "message": message }).to_string())
    }
}

fn s3_error(status: u16, code: &str) -> Answer {
    Answer::json(
        status,
        format!("<Error><Code>{code}</Code><Message>on purpose</Message></Error>"),
    )
}
