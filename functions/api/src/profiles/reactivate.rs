//! Has mail go to an address again that it did not go to any more.
//!
//! Two lists keep it away: ours (profile and lock) and SES's suppression list,
//! where SES puts an address that bounces or complains. SES's goes first. If it
//! went last and failed, the next mail would be the next that does not arrive;
//! so, what fails in between leaves the profile as it was, to be tried again.
//!
//! Whose word counts: an operator's, and that of a person who shows a link that
//! was sent to the address ([`crate::confirmation::service`]). That somebody types the
//! address into a form is no word of its owner's.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::TransactWriteItem;
use aws_sdk_sesv2::operation::delete_suppressed_destination::DeleteSuppressedDestinationError;
use muster_core::mail::item::MailItem;
use muster_core::people::email::for_server;
use muster_core::people::email_lock::lock_key;
use muster_core::people::profile::{ProfileItem, list, profile_key};
use muster_core::people::profile_with_mails::Dossier;
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ProfileId;
use muster_core::platform::random::Random;
use muster_core::platform::table::{Condition, NotCommitted, Table, number, text};
use muster_core::platform::time::{Clock, Time};

/// How often a request looks again when something else came in between.
const TRIES: u32 = 4;

/// Takes addresses off both lists.
pub struct Reactivations {
    table: Table,
    ses: aws_sdk_sesv2::Client,
    clock: Clock,
    random: Random,
}

/// An address that stays where it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReactivated {
    /// There is no such profile.
    #[error("there is no such profile")]
    Absent,
    /// AWS did not do its part.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Reactivations {
    /// Reactivations over these clients.
    pub const fn new(
        table: Table,
        ses: aws_sdk_sesv2::Client,
        clock: Clock,
        random: Random,
    ) -> Self {
        Self {
            table,
            ses,
            clock,
            random,
        }
    }

    /// Has mail go to a profile's address again, because an operator says so. If
    /// it does already, nothing happens.
    ///
    /// # Errors
    /// See [`NotReactivated`].
    pub(crate) async fn reactivate(
        &self,
        id: ProfileId,
        operator: &str,
    ) -> Result<(), NotReactivated> {
        let mut cancelled = Vec::new();
        for _ in 0..TRIES {
            let dossier = Dossier::read(&self.table, id).await?;
            let profile = dossier.present(self.clock.now());
            let profile = profile.ok_or(NotReactivated::Absent)?;
            if profile.undeliverable.is_none() {
                return Ok(());
            }
            self.unsuppress(profile, &dossier.mails).await?;
            let actions = self.actions(profile, operator)?;
            match self.table.transact(actions, &self.random.name()).await {
                Ok(()) => return Ok(()),
                Err(NotCommitted::Failed(failure)) => return Err(failure.into()),
                // The profile has changed: look again.
                Err(NotCommitted::Cancelled(reasons)) => cancelled = reasons,
            }
        }
        Err(NotReactivated::Failed(
            NotCommitted::Cancelled(cancelled).into(),
        ))
    }

    /// Takes the address of a profile off SES's list, if it may be there: in each
    /// spelling that a mail was sent to, as SES's list tells capitals apart. What
    /// SES refuses for good (it takes no address with a slash) is left to people:
    /// an owner's confirmation does not depend on it.
    ///
    /// # Errors
    /// When SES cannot be reached.
    pub(crate) async fn unsuppress(
        &self,
        profile: &ProfileItem,
        mails: &[MailItem],
    ) -> Result<(), Failure> {
        if profile.undeliverable.is_none() {
            return Ok(());
        }
        for address in spellings(profile, mails) {
            let delete = self.ses.delete_suppressed_destination();
            match delete.email_address(address).send().await {
                Ok(_) => {}
                Err(error) if error.as_service_error().is_some_and(is_not_there) => {}
                Err(error) => {
                    let failure = Failure::of("DeleteSuppressedDestination", error);
                    if failure.is_transient() {
                        return Err(failure);
                    }
                    tracing::error!(profile_id = %profile.id, error = %failure, "SES keeps the address on its suppression list");
                }
            }
        }
        Ok(())
    }

    /// The actions that take the address off our list, if the profile is as it
    /// was seen.
    ///
    /// # Errors
    /// None that a caller of ours can cause.
    pub fn actions(
        &self,
        profile: &ProfileItem,
        by: &str,
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        let now: Time = self.clock.now();
        let unchanged = profile
            .unchanged()
            .with(":version", number(profile.version + 1))
            .with(":now", number(now.as_millis()))
            .with(":by", text(by))
            .with(":list", text(list(profile.status, profile.id)));
        let ours = Condition::new("profile_id = :id").with(":id", text(profile.id.to_string()));
        let table = &self.table;
        Ok(vec![
            table.change(
                &profile_key(profile.id),
                "SET version = :version, updated_at = :now, updated_by = :by, \
                     reachable_since = :now, #list = :list REMOVE undeliverable",
                &unchanged,
            )?,
            table.change(&lock_key(&profile.email_key), "REMOVE undeliverable", &ours)?,
        ])
    }
}

/// The address of a profile as mails were sent to it, and as it is compared.
fn spellings(profile: &ProfileItem, mails: &[MailItem]) -> BTreeSet<String> {
    let key = &profile.email_key;
    let sent = mails.iter().filter(|mail| mail.email_key == *key);
    sent.map(|mail| &mail.to)
        .chain([&profile.email, key])
        .map(|typed| for_server(typed, key))
        .collect()
}

fn is_not_there(error: &DeleteSuppressedDestinationError) -> bool {
    error.is_not_found_exception()
}
