//! The mails of a cancelled import are called off; those of one that is resumed
//! go after all.
//!
//! Nothing lists them, but the ids of the profiles follow from the rows. A mail
//! that a mailer has in hand can neither be stopped nor be known to go: whoever
//! calls off comes back when that is over.

use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use muster_core::mail::item::{FIRST, MailItem, MailStatus, REMINDER, mail_key};
use muster_core::people::profile::{ProfileItem, ProfileStatus, profile_key};
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ProfileId;
use muster_core::platform::random::Random;
use muster_core::platform::table::{NotCommitted, Table, decode};
use muster_core::platform::time::Clock;
use muster_imports::chunk::Call;

use crate::window::Row;

/// Profiles looked at, at once.
const CONCURRENCY: usize = 16;
/// Tries of one that somebody else is at, too.
const TRIES: u32 = 4;
/// When whoever has a mail in hand is done with it: the lease on a mail, and
/// some.
pub(crate) const IN_HAND_FOR: Duration = Duration::from_secs(60);

/// Why a mail was called off.
const CANCELLED: &str = "its import was cancelled";

/// Calls mails off, or on again.
pub(crate) struct Mails {
    table: Table,
    clock: Clock,
    random: Random,
}

impl Mails {
    /// Mails in that table.
    pub(crate) const fn new(table: Table, clock: Clock, random: Random) -> Self {
        Self {
            table,
            clock,
            random,
        }
    }

    /// Calls the mails of those rows; says how many are in somebody's hand.
    ///
    /// # Errors
    /// When the table stays out of reach; calling them again does the rest.
    pub(crate) async fn call(&self, call: Call, rows: &[Row]) -> Result<usize, Failure> {
        stream::iter(rows)
            .map(|row| self.call_one(call, row.profile.id))
            .buffer_unordered(CONCURRENCY)
            .try_fold(0, async |sum, in_hand| Ok(sum + in_hand))
            .await
    }

    async fn call_one(&self, call: Call, id: ProfileId) -> Result<usize, Failure> {
        let mut cancelled = Vec::new();
        for _ in 0..TRIES {
            let found = self.look(id).await?;
            let (actions, in_hand) = match call {
                Call::Off => self.off(&found)?,
                _ => (self.on(&found)?, 0),
            };
            if actions.is_empty() {
                return Ok(in_hand);
            }
            match self.table.transact(actions, &self.random.name()).await {
                Ok(()) => return Ok(in_hand),
                Err(NotCommitted::Cancelled(reasons)) => cancelled = reasons,
                Err(NotCommitted::Failed(failure)) => return Err(failure),
            }
        }
        Err(NotCommitted::Cancelled(cancelled).into())
    }

    async fn look(&self, id: ProfileId) -> Result<Found, Failure> {
        let keys = [profile_key(id), mail_key(id, FIRST), mail_key(id, REMINDER)];
        let mut found = self.table.get_many(&keys).await?.into_iter();
        let [profile, mails @ ..] = keys.map(|_| found.next().flatten());
        Ok(Found {
            profile: profile.map(decode).transpose()?,
            mails: mails
                .into_iter()
                .flatten()
                .map(decode)
                .collect::<Result<_, _>>()?,
        })
    }

    fn is_in_hand(&self, mail: &MailItem) -> bool {
        let now = self.clock.now();
        mail.status == MailStatus::Sending && mail.lease_until.is_some_and(|until| until > now)
    }

    /// Those that are still to go, and how many are in somebody's hand.
    fn off(&self, found: &Found) -> Result<(Vec<TransactWriteItem>, usize), Failure> {
        let open = found.mails.iter().filter(|mail| mail.status.is_open());
        let (in_hand, waiting): (Vec<_>, Vec<_>) = open.partition(|mail| self.is_in_hand(mail));
        let actions = waiting
            .into_iter()
            .map(|mail| mail.call_off(&self.table, CANCELLED))
            .collect::<Result<_, _>>()?;
        Ok((actions, in_hand.len()))
    }

    /// Only if somebody is still to be written to: who has confirmed meanwhile, has
    /// another address, or cannot be reached, is not.
    fn on(&self, found: &Found) -> Result<Vec<TransactWriteItem>, Failure> {
        let now = self.clock.now();
        let pending = |profile: &&ProfileItem| {
            profile.is_present(now)
                && profile.status == ProfileStatus::Pending
                && profile.undeliverable.is_none()
        };
        let Some(profile) = found.profile.as_ref().filter(pending) else {
            return Ok(Vec::new());
        };
        let was_called_off = |mail: &&MailItem| {
            mail.status == MailStatus::Abandoned
                && mail.reason.as_deref() == Some(CANCELLED)
                && mail.email_key == profile.email_key
        };
        let mut actions = found
            .mails
            .iter()
            .filter(was_called_off)
            .map(|mail| mail.call_on(&self.table, now))
            .collect::<Result<Vec<_>, _>>()?;
        if !actions.is_empty() {
            let key = profile_key(profile.id);
            actions.push(self.table.check(&key, &profile.unchanged())?);
        }
        Ok(actions)
    }
}

/// Whom the mails of a row are about, and the mails.
struct Found {
    profile: Option<ProfileItem>,
    mails: Vec<MailItem>,
}
