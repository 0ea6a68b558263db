//! What travels through the queues: keys. The table is the truth, a message
//! is a nudge.

use std::time::Duration;

use aws_sdk_sqs::Client;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::platform::failure::Failure;

/// A message that is none of its queue's.
#[derive(Debug, thiserror::Error)]
#[error("expected {expected}: {source}")]
pub struct NotANudge {
    expected: &'static str,
    source: serde_json::Error,
}

/// Reads a message; `expected` is for the error.
///
/// # Errors
/// When it is anything else.
pub fn read<T: DeserializeOwned>(body: &str, expected: &'static str) -> Result<T, NotANudge> {
    serde_json::from_str(body).map_err(|source| NotANudge { expected, source })
}

/// Puts a nudge into a queue, to be seen after a while.
///
/// # Errors
/// When the queue does not take it.
pub async fn send(
    sqs: &Client,
    queue_url: &str,
    nudge: &impl Serialize,
    delay: Duration,
) -> Result<(), Failure> {
    let body =
        serde_json::to_string(nudge).map_err(|error| Failure::unreadable("encode nudge", error))?;
    sqs.send_message()
        .queue_url(queue_url)
        .message_body(body)
        .set_delay_seconds((!delay.is_zero()).then_some(delay.as_secs() as i32))
        .send()
        .await
        .map_err(|error| Failure::of("SendMessage", error))?;
    Ok(())
}
