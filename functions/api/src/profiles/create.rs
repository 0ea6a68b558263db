//! Profiles that operators make: stored whole, their mail nudged.
//!
//! ```text
//!                                ┌─ TransactWriteItems: profile + lock + mail (+ request) ─┐
//!  request ── lock (+ request) ──┤                                                         ├──▶ answer
//!                                └─ SendMessage (delayed by 1 s) ──────────────────────────┘
//! ```
//!
//! With an `Idempotency-Key` the record of the request is written in the same
//! transaction. Whoever finds it there answers as the first one did: the answer
//! is a function of the payload, which must be the same, and of the record.
//!
//! A sign-up that is not confirmed yet does not keep an operator from its
//! address: it is removed in the same transaction, and its links with it.

use aws_sdk_dynamodb::types::TransactWriteItem;
use muster_core::people::email_lock::{LockItem, lock_key};
use muster_core::people::idempotency::{MadeProfile, RequestItem};
use muster_core::people::new_profile::NewProfile;
use muster_core::people::profile::ProfileItem;
use muster_core::people::source::Source;
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ProfileId;
use muster_core::platform::random::Random;
use muster_core::platform::table::expired;
use muster_core::platform::table::{Condition, Key, NotCommitted, Table, decode};
use muster_core::platform::time::{Clock, Time};

use crate::idempotency::RequestKey;
use crate::queue::Nudges;
use crate::signup::applicant::Applicant;

/// How often a request looks again when another one came in between.
const TRIES: u32 = 4;

/// Stores new profiles.
pub struct Registry {
    table: Table,
    nudges: Nudges,
    clock: Clock,
    random: Random,
}

/// A profile that was not stored.
#[derive(Debug, thiserror::Error)]
pub enum NotStored {
    /// The address belongs to a profile already, and not to a mere sign-up.
    #[error("the address is taken")]
    Taken,
    /// The key was used for something else.
    #[error("the idempotency key was used for another payload")]
    KeyReused,
    /// AWS did not do its part.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// What is known before anything is written.
struct Seen {
    lock: Option<LockItem>,
    request: Option<RequestItem<MadeProfile>>,
}

impl Registry {
    /// A registry over these clients.
    pub const fn new(table: Table, nudges: Nudges, clock: Clock, random: Random) -> Self {
        Self {
            table,
            nudges,
            clock,
            random,
        }
    }

    /// Stores a profile with its lock and its confirmation mail, and nudges
    /// the mailer. Answers with the profile as it was stored: now, or when the
    /// same request came first.
    ///
    /// # Errors
    /// See [`NotStored`].
    pub async fn store(
        &self,
        applicant: &Applicant,
        operator: &str,
        request: Option<&RequestKey>,
    ) -> Result<ProfileItem, NotStored> {
        let mut cancelled = Vec::new();
        for _ in 0..TRIES {
            let now = self.clock.now();
            let seen = self.look(&lock_key(applicant.email.key()), request).await?;
            if let Some((key, record)) = request.zip(seen.request.as_ref())
                && !expired(Some(record.expires_at), now)
            {
                return replay(applicant, operator, key, record);
            }
            let lock = seen.lock.as_ref();
            if lock.is_some_and(|lock| !lock.yields()) {
                return Err(NotStored::Taken);
            }
            let id = ProfileId::new(now, &self.random);
            let profile = new_profile(applicant, operator, id, now);
            let (item, actions) = self.actions(&profile, request, lock)?;
            // The id is fresh, so it names this transaction and no other.
            let token = id.to_string();
            let (committed, ()) = tokio::join!(
                self.table.transact(actions, &token),
                self.nudges.mail(id, 1)
            );
            match committed {
                Ok(()) => return Ok(item),
                Err(NotCommitted::Failed(failure)) => return Err(failure.into()),
                // Somebody was faster: look at what they left.
                Err(NotCommitted::Cancelled(reasons)) => cancelled = reasons,
            }
        }
        Err(NotStored::Failed(NotCommitted::Cancelled(cancelled).into()))
    }

    async fn look(&self, lock: &Key, request: Option<&RequestKey>) -> Result<Seen, Failure> {
        let Some(request) = request else {
            let lock = self.table.get(lock).await?;
            return Ok(Seen {
                lock,
                request: None,
            });
        };
        let keys = [lock.clone(), request.record.clone()];
        let mut found = self.table.get_many(&keys).await?.into_iter();
        let [lock, request] = keys.map(|_| found.next().flatten());
        Ok(Seen {
            lock: lock.map(decode).transpose()?,
            request: request.map(decode).transpose()?,
        })
    }

    fn actions(
        &self,
        profile: &NewProfile,
        request: Option<&RequestKey>,
        signup: Option<&LockItem>,
    ) -> Result<(ProfileItem, Vec<TransactWriteItem>), Failure> {
        let (now, mail) = (profile.now, profile.confirmation());
        let item = ProfileItem {
            request: request.map(|request| request.record.pk.clone()),
            ..profile.item()
        };
        let mut actions = match signup {
            Some(lock) => profile.actions_over(&self.table, &item, Some(&mail), lock)?,
            None => profile.actions_with(&self.table, &item, Some(&mail))?,
        };
        if let Some(request) = request {
            let profile_id = profile.id;
            let made = MadeProfile { profile_id };
            let record = RequestItem::new(request.payload.clone(), made, now);
            let free = Condition::absent_or_expired(now);
            actions.push(self.table.put(&request.record, &record, &free)?);
        }
        Ok((item, actions))
    }
}

/// The answer to a request that was answered before.
fn replay(
    applicant: &Applicant,
    operator: &str,
    key: &RequestKey,
    record: &RequestItem<MadeProfile>,
) -> Result<ProfileItem, NotStored> {
    if record.payload != key.payload {
        return Err(NotStored::KeyReused);
    }
    let id = record.made.profile_id;
    Ok(new_profile(applicant, operator, id, record.created_at).item())
}

fn new_profile(applicant: &Applicant, operator: &str, id: ProfileId, now: Time) -> NewProfile {
    NewProfile {
        id,
        email: applicant.email.clone(),
        name: Some(applicant.name.clone()),
        locale: applicant.locale.clone(),
        attributes: applicant.attributes.clone(),
        source: Source::Operator,
        created_by: operator.to_owned(),
        confirmed: false,
        row: None,
        now,
    }
}
