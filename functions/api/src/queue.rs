//! Nudges to the mailer and to the planner.
//!
//! One that cannot be sent is a line in the log: what it is about is stored all
//! the same, and found when it is due.

use std::time::Duration;

use muster_core::mail::nudge::MailNudge;
use muster_core::platform::ids::{ImportId, ProfileId};
use muster_core::platform::queue::send;
use muster_imports::nudges::PlanNudge;

/// A mail's nudge leaves at the same time as the transaction that writes the
/// mail; a second gives the transaction the start it needs.
const MAIL_DELAY: Duration = Duration::from_secs(1);

/// The queues of what somebody waits for.
#[derive(Clone)]
pub struct Nudges {
    sqs: aws_sdk_sqs::Client,
    mail_queue_url: String,
    import_queue_url: String,
}

impl Nudges {
    /// Nudges to those queues.
    pub const fn new(
        sqs: aws_sdk_sqs::Client,
        mail_queue_url: String,
        import_queue_url: String,
    ) -> Self {
        Self {
            sqs,
            mail_queue_url,
            import_queue_url,
        }
    }

    /// Tells the mailer of a mail.
    pub async fn mail(&self, profile_id: ProfileId, mail: u32) {
        let nudge = MailNudge { profile_id, mail };
        let sent = send(&self.sqs, &self.mail_queue_url, &nudge, MAIL_DELAY);
        if let Err(error) = sent.await {
            tracing::warn!(%error, %profile_id, "the mail waits until it is due");
        }
    }

    /// Tells the planner of an import.
    pub async fn plan(&self, import_id: ImportId) {
        let nudge = PlanNudge { import_id };
        let sent = send(&self.sqs, &self.import_queue_url, &nudge, Duration::ZERO);
        if let Err(error) = sent.await {
            tracing::warn!(%error, %import_id, "the import waits for the sweeper");
        }
    }
}
