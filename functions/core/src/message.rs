//! What travels through the queues: keys. The table is the truth, a message
//! is a nudge.

use std::time::Duration;

use aws_sdk_sqs::Client;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::ids::{ImportId, ProfileId};

/// "There may be a mail to send."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailNudge {
    /// Whose mail.
    pub profile_id: ProfileId,
    /// Which of the profile's mails.
    pub mail: u32,
}

/// "There may be a chunk to import."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkNudge {
    /// Of which import.
    pub import_id: ImportId,
    /// Which of its chunks.
    pub chunk: u32,
}

/// "There may be an import to plan." Goes to the queue that S3's events go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanNudge {
    /// Which import.
    pub import_id: ImportId,
}

impl MailNudge {
    /// Reads a message of a mail queue.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn read(body: &str) -> Result<Self, NotANudge> {
        read(
            body,
            r#"a mail nudge ({"profile_id": "<uuid>", "mail": 1})"#,
        )
    }
}

impl ChunkNudge {
    /// Reads a message of the chunk queue.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn read(body: &str) -> Result<Self, NotANudge> {
        read(
            body,
            r#"a chunk nudge ({"import_id": "<uuid>", "chunk": 0})"#,
        )
    }
}

/// A message that is none of its queue's.
#[derive(Debug, thiserror::Error)]
#[error("expected {expected}: {source}")]
pub struct NotANudge {
    expected: &'static str,
    source: serde_json::Error,
}

fn read<T: DeserializeOwned>(body: &str, expected: &'static str) -> Result<T, NotANudge> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_a_contract() {
        let wire = r#"{"profile_id":"019aafb0-0000-7000-8000-000000000000","mail":1}"#;
        let nudge = MailNudge::read(wire).unwrap();
        assert_eq!(serde_json::to_string(&nudge).unwrap(), wire);
        let wire = r#"{"import_id":"019aafb0-0000-7000-8000-000000000000","chunk":7}"#;
        let nudge = ChunkNudge::read(wire).unwrap();
        assert_eq!(serde_json::to_string(&nudge).unwrap(), wire);
    }

    #[test]
    fn another_message_is_refused_with_what_was_expected() {
        for (body, why) in [
            ("", "EOF"),
            ("{}", "missing field `profile_id`"),
            (r#"{"profile_id":"x","mail":1}"#, "UUID"),
            (r#"{"import_id":"x"}"#, "unknown field `import_id`"),
        ] {
            let error = MailNudge::read(body).unwrap_err().to_string();
            let expected = r#"expected a mail nudge ({"profile_id": "<uuid>", "mail": 1})"#;
            assert!(error.starts_with(expected), "{error}");
            assert!(error.contains(why), "{error}");
        }
        let error = ChunkNudge::read("[]").unwrap_err().to_string();
        let expected = r#"expected a chunk nudge ({"import_id": "<uuid>", "chunk": 0})"#;
        assert!(error.starts_with(expected), "{error}");
    }
}
