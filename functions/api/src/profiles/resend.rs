//! Another confirmation mail, because an operator wants it.

use aws_sdk_dynamodb::types::TransactWriteItem;
use muster_core::mail::item::{MailItem, MailKind, REMINDER, Recipient};
use muster_core::people::email_lock::lock_key;
use muster_core::people::profile::{ProfileItem, ProfileStatus, profile_key};
use muster_core::people::profile_with_mails::{Dossier, Signup};
use muster_core::people::undeliverable::Undeliverable;
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ProfileId;
use muster_core::platform::random::Random;
use muster_core::platform::table::{Condition, NotCommitted, Table, number, text};
use muster_core::platform::time::Clock;

use crate::queue::Nudges;

/// How often a request looks again when something else came in between.
const TRIES: u32 = 4;

/// Writes mails again.
pub struct Resends {
    table: Table,
    nudges: Nudges,
    clock: Clock,
    random: Random,
}

/// A mail that was not written.
#[derive(Debug, thiserror::Error)]
pub enum NotResent {
    /// There is no such profile.
    #[error("there is no such profile")]
    Absent,
    /// There is nothing to confirm.
    #[error("the address is confirmed")]
    Confirmed,
    /// Nothing goes to the address.
    #[error("nothing goes to the address")]
    Undeliverable(Undeliverable),
    /// AWS did not do its part.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Resends {
    /// Resends over these clients.
    pub const fn new(table: Table, nudges: Nudges, clock: Clock, random: Random) -> Self {
        Self {
            table,
            nudges,
            clock,
            random,
        }
    }

    /// Writes another confirmation mail and nudges the mailer, unless one is on
    /// its way; answers with the one that goes.
    ///
    /// # Errors
    /// See [`NotResent`].
    pub async fn resend(&self, id: ProfileId) -> Result<MailItem, NotResent> {
        let mut cancelled = Vec::new();
        for _ in 0..TRIES {
            let dossier = Dossier::read(&self.table, id).await?;
            let profile = dossier.present(self.clock.now()).ok_or(NotResent::Absent)?;
            if profile.status == ProfileStatus::Confirmed {
                return Err(NotResent::Confirmed);
            }
            if let Some(undeliverable) = &profile.undeliverable {
                return Err(NotResent::Undeliverable(undeliverable.clone()));
            }
            if let Some(mail) = on_its_way(&dossier) {
                self.nudges.mail(id, mail.number).await;
                return Ok(mail.clone());
            }
            let mail = self.mail(profile, &dossier);
            let actions = self.actions(profile, &mail)?;
            let token = self.random.name();
            let (committed, ()) = tokio::join!(
                self.table.transact(actions, &token),
                self.nudges.mail(id, mail.number)
            );
            match committed {
                Ok(()) => return Ok(mail),
                Err(NotCommitted::Failed(failure)) => return Err(failure.into()),
                // Something else came in between: look at what it left.
                Err(NotCommitted::Cancelled(reasons)) => cancelled = reasons,
            }
        }
        Err(NotResent::Failed(NotCommitted::Cancelled(cancelled).into()))
    }

    /// It stands for the newest sign-up, as one that the person asks for does.
    fn mail(&self, profile: &ProfileItem, dossier: &Dossier) -> MailItem {
        let signup = dossier.newest_signup();
        let (name, locale) = match signup {
            Some(Signup { data, .. }) => (Some(data.name.as_str()), data.locale.as_ref()),
            None => (profile.name.as_deref(), profile.locale.as_ref()),
        };
        let recipient = Recipient {
            profile_id: profile.id,
            to: &profile.email,
            email_key: &profile.email_key,
            name,
            locale,
            expires_at: profile.expires_at,
        };
        let number = dossier.last_mail() + 1;
        MailItem {
            signup_mail: signup.map(|signup| signup.mail),
            ..MailItem::new(MailKind::Confirm, number, recipient, self.clock.now())
        }
    }

    /// The mail, counted on the lock, of a profile that is as it was seen.
    fn actions(
        &self,
        profile: &ProfileItem,
        mail: &MailItem,
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        let unchanged = Condition::new("version = :version AND #status = :pending")
            .with(":version", number(profile.version))
            .with(":pending", ProfileStatus::Pending.into())
            .with(":now", number(mail.created_at.as_millis()));
        let no_other_mail = Condition::new("profile_id = :id AND mails = :before")
            .with(":id", text(profile.id.to_string()))
            .with(":before", number(mail.number - 1))
            .with(":after", number(mail.number));
        let table = &self.table;
        Ok(vec![
            table.change(&profile_key(profile.id), "SET asked_at = :now", &unchanged)?,
            table.change(
                &lock_key(&profile.email_key),
                "SET mails = :after",
                &no_other_mail,
            )?,
            table.put(&mail.key(), mail, &Condition::absent())?,
        ])
    }
}

/// A mail with a link that is still to go.
fn on_its_way(dossier: &Dossier) -> Option<&MailItem> {
    let mut mails = dossier.mails.iter().rev();
    mails.find(|mail| mail.status.is_open() && mail.kind.confirms() && mail.number != REMINDER)
}
