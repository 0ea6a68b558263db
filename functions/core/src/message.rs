//! What travels through the queues: keys. The table is the truth, a message
//! is a nudge.

use std::time::Duration;

use aws_sdk_sqs::Client;
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
        let nudge: MailNudge = serde_json::from_str(wire).unwrap();
        assert_eq!(serde_json::to_string(&nudge).unwrap(), wire);
        let wire = r#"{"import_id":"019aafb0-0000-7000-8000-000000000000","chunk":7}"#;
        let nudge: ChunkNudge = serde_json::from_str(wire).unwrap();
        assert_eq!(serde_json::to_string(&nudge).unwrap(), wire);
        assert!(serde_json::from_str::<MailNudge>(r#"{"profile_id":"x","mail":1}"#).is_err());
    }
}
