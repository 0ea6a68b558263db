//! New profiles: stored whole, their mail nudged.
//!
//! ```text
//!              ┌─ TransactWriteItems: profile + lock + mail ─┐
//!  request ────┤                                             ├──▶ answer
//!              └─ SendMessage (delayed by 1 s) ──────────────┘
//! ```
//!
//! The two calls run at the same time, so the answer takes as long as the
//! slower of them. A nudge whose transaction was refused finds no mail and is
//! forgotten; a mail whose nudge was lost is due a minute later.

use aws_sdk_dynamodb::types::CancellationReason;
use muster_core::failure::Failure;
use muster_core::ids::ProfileId;
use muster_core::message::MailNudge;
use muster_core::profile::{LOCK_ACTION, NewProfile, ProfileItem, Source};
use muster_core::random::Random;
use muster_core::table::{NotCommitted, Table, condition_failed};
use muster_core::time::Clock;

use crate::applicant::Applicant;

/// The nudge leaves at the same time as the transaction; a second gives the
/// transaction the start it needs.
const NUDGE_DELAY_SECONDS: i32 = 1;

/// Stores new profiles.
pub struct Registry {
    table: Table,
    sqs: aws_sdk_sqs::Client,
    mail_queue_url: String,
    clock: Clock,
    random: Random,
}

/// A profile that was not stored.
#[derive(Debug, thiserror::Error)]
pub enum NotStored {
    /// The address belongs to a profile already.
    #[error("the address is taken")]
    Taken,
    /// AWS did not do its part.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Registry {
    /// A registry over these clients.
    pub const fn new(
        table: Table,
        sqs: aws_sdk_sqs::Client,
        mail_queue_url: String,
        clock: Clock,
        random: Random,
    ) -> Self {
        Self {
            table,
            sqs,
            mail_queue_url,
            clock,
            random,
        }
    }

    /// Stores a profile with its lock and its confirmation mail, and nudges
    /// the mailer.
    ///
    /// # Errors
    /// [`NotStored::Taken`] if the address has a profile.
    pub async fn store(
        &self,
        applicant: Applicant,
        source: Source,
        created_by: String,
    ) -> Result<ProfileItem, NotStored> {
        let now = self.clock.now();
        let profile = NewProfile {
            id: ProfileId::new(now, &self.random),
            email: applicant.email,
            name: Some(applicant.name),
            attributes: applicant.attributes,
            source,
            created_by,
            row: None,
            now,
        };
        let (stored, ()) = tokio::join!(self.commit(&profile), self.nudge(&profile));
        stored?;
        Ok(profile.item())
    }

    async fn commit(&self, profile: &NewProfile) -> Result<(), NotStored> {
        let mail = profile.confirmation();
        let actions = profile.actions(&self.table, Some(&mail))?;
        // The id is fresh, so it names this transaction and no other.
        match self.table.transact(actions, &profile.id.to_string()).await {
            Ok(()) => Ok(()),
            Err(NotCommitted::Cancelled(reasons)) => Err(not_stored(&reasons)),
            Err(NotCommitted::Failed(failure)) => Err(failure.into()),
        }
    }

    /// Tells the mailer. If that fails the profile is stored all the same and
    /// its mail is found when it is due.
    async fn nudge(&self, profile: &NewProfile) {
        let nudge = MailNudge {
            profile_id: profile.id,
            mail: 1,
        };
        let body = serde_json::to_string(&nudge).unwrap_or_default();
        let sent = self
            .sqs
            .send_message()
            .queue_url(&self.mail_queue_url)
            .message_body(body)
            .delay_seconds(NUDGE_DELAY_SECONDS)
            .send()
            .await;
        if let Err(error) = sent {
            let error = Failure::of("SendMessage", error);
            tracing::warn!(%error, profile_id = %profile.id, "the mail waits until it is due");
        }
    }
}

/// What cancelled the transaction: somebody has the address, or somebody
/// else's transaction was in the way.
fn not_stored(reasons: &[CancellationReason]) -> NotStored {
    if reasons.get(LOCK_ACTION).is_some_and(condition_failed) {
        return NotStored::Taken;
    }
    NotStored::Failed(Failure::Unavailable {
        operation: "TransactWriteItems",
        source: NotCommitted::Cancelled(reasons.to_vec()).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(codes: [&str; 3]) -> Vec<CancellationReason> {
        codes
            .iter()
            .map(|code| CancellationReason::builder().code(*code).build())
            .collect()
    }

    #[test]
    fn only_the_lock_says_that_the_address_is_taken() {
        let taken = reasons(["None", "ConditionalCheckFailed", "None"]);
        assert!(matches!(not_stored(&taken), NotStored::Taken));
        for other in [
            ["None", "TransactionConflict", "None"],
            ["ThrottlingError", "None", "None"],
        ] {
            match not_stored(&reasons(other)) {
                NotStored::Failed(failure) => assert!(failure.is_transient()),
                NotStored::Taken => panic!("{other:?} is not about the address"),
            }
        }
    }
}
