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

use aws_sdk_dynamodb::types::TransactWriteItem;
use aws_sdk_sesv2::operation::delete_suppressed_destination::DeleteSuppressedDestinationError;
use muster_core::people::email::for_server;
use muster_core::people::email_lock::lock_key;
use muster_core::people::profile::{ProfileItem, list, profile_key};
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
pub enum NotReactivated {
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
    pub async fn reactivate(&self, id: ProfileId, operator: &str) -> Result<(), NotReactivated> {
        let mut cancelled = Vec::new();
        for _ in 0..TRIES {
            let profile: Option<ProfileItem> = self.table.get(&profile_key(id)).await?;
            let now = self.clock.now();
            let profile = profile.filter(|profile| profile.is_present(now));
            let profile = profile.ok_or(NotReactivated::Absent)?;
            if profile.undeliverable.is_none() {
                return Ok(());
            }
            self.unsuppress(&profile).await?;
            let actions = self.actions(&profile, operator)?;
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

    /// Takes the address of a profile off SES's list, if it may be there: as it
    /// was sent to, and as SES may spell it.
    ///
    /// # Errors
    /// When SES cannot be reached.
    pub async fn unsuppress(&self, profile: &ProfileItem) -> Result<(), Failure> {
        if profile.undeliverable.is_none() {
            return Ok(());
        }
        let mut addresses = vec![
            for_server(&profile.email, &profile.email_key),
            profile.email_key.clone(),
        ];
        addresses.dedup();
        for address in addresses {
            let delete = self.ses.delete_suppressed_destination();
            match delete.email_address(address).send().await {
                Ok(_) => {}
                Err(error) if error.as_service_error().is_some_and(is_not_there) => {}
                Err(error) => return Err(Failure::of("DeleteSuppressedDestination", error)),
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

fn is_not_there(error: &DeleteSuppressedDestinationError) -> bool {
    error.is_not_found_exception()
}
