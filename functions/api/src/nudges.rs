//! Nudges to the mailer.

use muster_core::failure::Failure;
use muster_core::ids::ProfileId;
use muster_core::message::MailNudge;

/// The nudge leaves at the same time as the transaction that writes its mail;
/// a second gives the transaction the start it needs.
const DELAY_SECONDS: i32 = 1;

/// The queue of mails that somebody waits for.
#[derive(Clone)]
pub struct Nudges {
    sqs: aws_sdk_sqs::Client,
    queue_url: String,
}

impl Nudges {
    /// Nudges to that queue.
    pub const fn new(sqs: aws_sdk_sqs::Client, queue_url: String) -> Self {
        Self { sqs, queue_url }
    }

    /// Tells the mailer. If that fails, the mail is stored all the same, and
    /// found when it is due.
    pub async fn send(&self, profile_id: ProfileId, mail: u32) {
        let nudge = MailNudge { profile_id, mail };
        let body = serde_json::to_string(&nudge).unwrap_or_default();
        let sent = self
            .sqs
            .send_message()
            .queue_url(&self.queue_url)
            .message_body(body)
            .delay_seconds(DELAY_SECONDS)
            .send()
            .await;
        if let Err(error) = sent {
            let error = Failure::of("SendMessage", error);
            tracing::warn!(%error, %profile_id, "the mail waits until it is due");
        }
    }
}
