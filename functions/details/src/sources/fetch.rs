//! One source asked about one person.
//!
//! The request is made of the document and nothing else: nothing of what our caller
//! sent is in it. Of the answer only the part that the document names goes on.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::select;
use http::header::{ACCEPT, ACCEPT_ENCODING, ETAG, IF_NONE_MATCH, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy;
use muster_core::platform::causes::Causes;
use muster_core::platform::time::{Clock, Time};
use serde_json::Value;
use tokio::time::timeout;
use tower::ServiceExt;

use crate::config::document::Source;
use crate::sources::decode::{compression, decode};
use crate::sources::source_error::Trouble;
use crate::sources::transport::{Transport, refusal};

/// How sources know us.
const NAME: HeaderValue = HeaderValue::from_static(concat!("muster/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Without it a source may compress (RFC 9110 section 12.5.3), and nothing here unpacks.
const AS_IT_IS: HeaderValue = HeaderValue::from_static("identity");
/// The longest `ETag` that is kept: it takes room beside the data, and is sent back.
const MAX_ETAG_BYTES: usize = 1024;

/// What a source is asked about a person.
#[derive(Clone)]
pub(crate) struct Question {
    /// Whom.
    pub source: Arc<Source>,
    /// Where.
    pub uri: Uri,
    /// With which headers, secrets among them.
    pub headers: HeaderMap,
    /// The version that we have.
    pub etag: Option<String>,
}

/// What a source knows.
#[derive(Clone)]
pub(crate) enum Found {
    /// This.
    Data {
        /// The part of its answer that is wanted.
        data: Arc<Value>,
        /// The version of it.
        etag: Option<String>,
    },
    /// What it knew before.
    NotModified,
}

/// Asks, and once more if that is wanted and the first try is slow. Takes no longer
/// than the source may.
///
/// # Errors
/// Why there is nothing.
pub(crate) async fn ask(
    transport: &Transport,
    question: &Question,
    clock: &Clock,
) -> Result<Found, Trouble> {
    let asking = hedged(question.source.hedge_after, || {
        fetch(transport, question, clock)
    });
    timeout(question.source.timeout, asking)
        .await
        .unwrap_or(Err(Trouble::Timeout))
}

/// A second try beside the first, if that has no answer after a while. The first answer
/// of the two counts, also one that there is nothing; a failure waits for the other.
async fn hedged<F>(after: Option<Duration>, attempt: impl Fn() -> F) -> Result<Found, Trouble>
where
    F: Future<Output = Result<Found, Trouble>>,
{
    let mut first = Box::pin(attempt());
    let Some(after) = after else {
        return first.await;
    };
    if let Ok(result) = timeout(after, &mut first).await {
        return result;
    }
    let (found, other) = select(first, Box::pin(attempt())).await.factor_first();
    match found {
        Err(trouble) if trouble.is_a_failure() => other.await,
        found => found,
    }
}

async fn fetch(
    transport: &Transport,
    question: &Question,
    clock: &Clock,
) -> Result<Found, Trouble> {
    let (head, body) = send(transport, question).await?.into_parts();
    if head.status == StatusCode::NOT_MODIFIED && question.etag.is_some() {
        return Ok(Found::NotModified);
    }
    // Nobody asked for a part: what comes as one is not the answer.
    if !head.status.is_success() || head.status == StatusCode::PARTIAL_CONTENT {
        return Err(Trouble::Status {
            status: head.status,
            retry_after: retry_after(&head.headers, clock.now()),
        });
    }
    // They have no body (RFC 9110 sections 15.3.5 and 15.3.6).
    if [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT].contains(&head.status) {
        return Err(Trouble::NoContent);
    }
    if let Some(coding) = compression(&head.headers) {
        return Err(Trouble::Compressed(coding));
    }
    let bytes = read(body, question.source.max_bytes).await?;
    let etag = head.headers.get(ETAG).and_then(|etag| etag.to_str().ok());
    let etag = etag.filter(|etag| etag.len() <= MAX_ETAG_BYTES);
    Ok(Found::Data {
        data: Arc::new(decode(&head.headers, &bytes, &question.source.keep)?),
        etag: etag.map(str::to_owned),
    })
}

/// Sends, and once more if nothing came back: a connection that was kept may be closed by
/// the time it is used, and who only reads may ask again (RFC 9110 section 9.2.2).
async fn send(transport: &Transport, question: &Question) -> Result<Response<Incoming>, Trouble> {
    let send = || transport.clone().oneshot(question.request());
    let sent = match send().await {
        Err(error) if was_closed(&error) => send().await,
        sent => sent,
    };
    sent.map_err(not_sent)
}

fn was_closed(error: &legacy::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    !error.is_connect() && cause.is_some_and(|cause: &hyper::Error| !cause.is_parse())
}

impl Question {
    fn request(&self) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(ACCEPT, JSON);
        headers.extend(self.headers.clone());
        headers.insert(USER_AGENT, NAME);
        headers.insert(ACCEPT_ENCODING, AS_IT_IS);
        let etag = self.etag.as_deref().map(HeaderValue::from_str);
        if let Some(Ok(etag)) = etag {
            headers.insert(IF_NONE_MATCH, etag);
        }
        request
    }
}

fn not_sent(error: legacy::Error) -> Trouble {
    match refusal(&error) {
        Some(refused) => Trouble::Refused(refused.to_string()),
        None if error.is_connect() => Trouble::Unreachable(Causes(&error).to_string()),
        None => Trouble::BrokenOff(Causes(&error).to_string()),
    }
}

/// The body, unless it is too long: a source that sends without end is not read to
/// its end.
async fn read(body: Incoming, max_bytes: usize) -> Result<Bytes, Trouble> {
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(Trouble::TooLong(max_bytes));
    }
    match Limited::new(body, max_bytes).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Trouble::TooLong(max_bytes)),
        Err(error) => Err(Trouble::BrokenOff(Causes(&*error).to_string())),
    }
}

/// `Retry-After`: seconds or a date (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap, now: Time) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            Some(
                date.duration_since(SystemTime::from(now))
                    .unwrap_or_default(),
            )
        }
    }
}
