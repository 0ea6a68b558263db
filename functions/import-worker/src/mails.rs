//! The mails of a cancelled import are called off; those of one that is resumed
//! go after all.
//!
//! Nothing lists them, but the ids of the profiles follow from the rows. A mail
//! that a mailer has in hand can neither be stopped nor be known to go: whoever
//! calls off comes back when that is over.

use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use muster_core::failure::Failure;
use muster_core::ids::ProfileId;
use muster_core::mail::{FIRST, MailItem, MailStatus, REMINDER, mail_key};
use muster_core::random::Random;
use muster_core::table::{NotCommitted, Table, decode};
use muster_core::time::Clock;

use crate::window::Row;

/// Profiles looked at, at once.
const CONCURRENCY: usize = 16;
/// Tries of one that somebody else is at, too.
const TRIES: u32 = 4;
/// When whoever has a mail in hand is done with it: the lease on a mail, and
/// some.
pub const IN_HAND_FOR: Duration = Duration::from_secs(60);

/// Why a mail was called off.
const CANCELLED: &str = "its import was cancelled";

/// Whether mails go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// They do not.
    Off,
    /// They do after all.
    On,
}

/// Calls mails off, or on again.
pub struct Mails {
    table: Table,
    clock: Clock,
    random: Random,
}

impl Mails {
    /// Mails in that table.
    pub const fn new(table: Table, clock: Clock, random: Random) -> Self {
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
    pub async fn call(&self, call: Call, rows: &[Row]) -> Result<usize, Failure> {
        stream::iter(rows)
            .map(|row| self.call_one(call, row.profile.id))
            .buffer_unordered(CONCURRENCY)
            .try_fold(0, async |sum, in_hand| Ok(sum + in_hand))
            .await
    }

    async fn call_one(&self, call: Call, id: ProfileId) -> Result<usize, Failure> {
        let keys = [mail_key(id, FIRST), mail_key(id, REMINDER)];
        let mut cancelled = Vec::new();
        for _ in 0..TRIES {
            let mut actions = Vec::new();
            let mut in_hand = 0;
            for item in self.table.get_many(&keys).await?.into_iter().flatten() {
                let mail: MailItem = decode(item)?;
                match call {
                    Call::Off if self.is_in_hand(&mail) => in_hand += 1,
                    _ => actions.extend(self.action(call, &mail)?),
                }
            }
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

    fn is_in_hand(&self, mail: &MailItem) -> bool {
        let now = self.clock.now();
        mail.status == MailStatus::Sending && mail.lease_until.is_some_and(|until| until > now)
    }

    fn action(&self, call: Call, mail: &MailItem) -> Result<Option<TransactWriteItem>, Failure> {
        let was_called_off =
            mail.status == MailStatus::Abandoned && mail.reason.as_deref() == Some(CANCELLED);
        match call {
            Call::Off if mail.status.is_open() => mail.call_off(&self.table, CANCELLED).map(Some),
            Call::On if was_called_off => mail.call_on(&self.table, self.clock.now()).map(Some),
            _ => Ok(None),
        }
    }
}
