//! Erasing a profile and everything that belongs to it.
//!
//! ```text
//!  marked `erasing`, due; ──▶ what sources ──▶ mails, lock, request
//!  mails called off           said removed     record, profile removed
//! ```
//!
//! The mark comes first, in one transaction with the end of every mail that has
//! not gone. From then on the profile counts as absent, no mail is written for it
//! and none can be claimed, nothing that a source says of it is kept, and if the
//! process that marked it dies, the sweeper finds it due and does the rest. What
//! sources said goes item by item; what is left is one transaction, unless there
//! are more mails than one takes.
//!
//! The mailer needs no look at the profile: its claim is refused by the mail. An
//! erasure pays for that (a read, the lock's check, a write for each open mail),
//! and not each of the mails that are sent.
//!
//! What stays, and for how long: infra/docs/api.md, "Erasure".

use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;

use crate::people::email_lock::{LockItem, lock_key};
use crate::people::idempotency::key_of;
use crate::people::profile::{Outcome, ProfileItem, ProfileStatus, list, profile_key};
use crate::people::profile_with_mails::Dossier;
use crate::people::source_cache::CACHED_PREFIX;
use crate::platform::due::Kind;
use crate::platform::failure::Failure;
use crate::platform::ids::ProfileId;
use crate::platform::random::Random;
use crate::platform::table::{
    Condition, Key, MAX_TRANSACTION_ACTIONS, NotCommitted, Table, decode, number, text,
};
use crate::platform::time::{Clock, Time};

/// How long a process that a person waits for, or that has other work, tries to
/// finish an erasure before it leaves it to the next sweep.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How long the process that marked a profile has for the rest before it is
/// overdue.
const GRACE: Duration = Duration::from_secs(60);

/// Profile, lock and request record go last, together.
const MOST_OTHERS: usize = MAX_TRANSACTION_ACTIONS - 3;

/// The most open mails that the mark calls off. Nobody has as many.
const MOST_MAILS: usize = 90;

/// How often a mark looks again when something else came in between.
const TRIES: u32 = 4;

/// The longest pause before another try to finish; half of it on average.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a mail of the profile does not go.
const ERASED: &str = "the profile is being erased";

/// What marking a profile came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It counts as absent now.
    Marked,
    /// It did already.
    Absent,
    /// It is not the version that was meant.
    Changed,
}

/// Marks a profile as being erased, if it is there and meant, and calls its
/// open mails off.
///
/// # Errors
/// When the table cannot be reached, or an item cannot be understood.
pub async fn begin(
    table: &Table,
    id: ProfileId,
    is_meant: impl Fn(&ProfileItem) -> bool,
    clock: &Clock,
    random: &Random,
) -> Result<Begun, Failure> {
    let mut cancelled = Vec::new();
    for _ in 0..TRIES {
        let dossier = Dossier::read(table, id).await?;
        let now = clock.now();
        let Some(profile) = dossier.present(now) else {
            return Ok(Begun::Absent);
        };
        if !is_meant(profile) {
            return Ok(Begun::Changed);
        }
        let actions = marking(table, profile, &dossier, now)?;
        match table.transact(actions, &random.name()).await {
            Ok(()) => return Ok(Begun::Marked),
            Err(NotCommitted::Failed(failure)) => return Err(failure),
            // A mailer, an operator or the owner was faster: look again.
            Err(NotCommitted::Cancelled(reasons)) => cancelled = reasons,
        }
    }
    Err(NotCommitted::Cancelled(cancelled).into())
}

/// The mark, and the end of every mail that has not gone.
fn marking(
    table: &Table,
    profile: &ProfileItem,
    dossier: &Dossier,
    now: Time,
) -> Result<Vec<TransactWriteItem>, Failure> {
    let id = profile.id;
    let unchanged = profile
        .unchanged()
        .with(":erasing", ProfileStatus::Erasing.into())
        .with(":list", text(list(ProfileStatus::Erasing, id)))
        .with(":shard", text(Kind::Erasure.of_profile(id)))
        .with(":due", text(now.after(GRACE).to_string()));
    // A mail that was written meanwhile was counted on the lock. Another's lock,
    // or none, is no reason to keep the profile.
    let no_other_mail =
        Condition::new("attribute_not_exists(pk) OR profile_id <> :id OR mails = :mails")
            .with(":id", text(id.to_string()))
            .with(":mails", number(dossier.last_mail()));
    let mut actions = vec![
        // Without an expiry: time-to-live is not to take the profile, and
        // with it what is due, before the rest is gone.
        table.change(
            &profile_key(id),
            "SET #status = :erasing, #list = :list, due_shard = :shard, due_at = :due \
             REMOVE expires_at",
            &unchanged,
        )?,
        table.check(&lock_key(&profile.email_key), &no_other_mail)?,
    ];
    let open = dossier.mails.iter().rev();
    for mail in open.filter(|mail| mail.status.is_open()).take(MOST_MAILS) {
        actions.push(mail.call_off(table, ERASED)?);
    }
    Ok(actions)
}

/// Removes a profile that is marked, and all that belongs to it. Does nothing
/// to a profile that is not marked. Tries until the time for it is up.
///
/// # Errors
/// When the time is up, or an item cannot be understood; the next call does the
/// rest.
pub async fn finish(
    table: &Table,
    id: ProfileId,
    time: Duration,
    clock: &Clock,
    random: &Random,
) -> Result<(), Failure> {
    let work = async {
        loop {
            match remove(table, id, clock.now(), random).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(failure) if failure.is_transient() => {
                    tracing::info!(profile_id = %id, error = %failure, "the erasure is tried again");
                    tokio::time::sleep(random.up_to(PAUSE)).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    };
    let in_time = tokio::time::timeout(time, work).await;
    in_time.unwrap_or_else(|elapsed| {
        Err(Failure::Unavailable {
            operation: "erase",
            source: elapsed.into(),
        })
    })
}

/// Does the next transaction of an erasure; says whether nothing is left to do.
async fn remove(table: &Table, id: ProfileId, now: Time, random: &Random) -> Result<bool, Failure> {
    let Some(Removal { actions, is_last }) = removal(table, id, now).await? else {
        return Ok(true);
    };
    table.transact(actions, &random.name()).await?;
    Ok(is_last)
}

/// A transaction of an erasure.
struct Removal {
    actions: Vec<TransactWriteItem>,
    is_last: bool,
}

/// The next transaction of an erasure; none if there is nothing left to do.
async fn removal(table: &Table, id: ProfileId, now: Time) -> Result<Option<Removal>, Failure> {
    let own = profile_key(id);
    let (mut cached, mut others) = (Vec::new(), Vec::new());
    let mut profile: Option<ProfileItem> = None;
    for item in table.partition(&own.pk).await? {
        match Key::of(&item) {
            Some(key) if key == own => profile = Some(decode(item)?),
            Some(key) if key.sk.starts_with(CACHED_PREFIX) => cached.push(key),
            Some(key) => others.push(key),
            None => {}
        }
    }
    let Some(profile) = profile.filter(is_being_erased) else {
        return Ok(None);
    };
    forget(table, &cached).await?;
    let mut actions = others
        .iter()
        .take(MOST_OTHERS)
        .map(|key| table.delete(key, None))
        .collect::<Result<Vec<_>, _>>()?;
    if others.len() > MOST_OTHERS {
        return Ok(Some(Removal {
            actions,
            is_last: false,
        }));
    }
    let lock = lock_key(&profile.email_key);
    let held: Option<LockItem> = table.get(&lock).await?;
    if held.is_some_and(|held| held.profile_id == id) {
        let ours = Condition::new("profile_id = :id").with(":id", text(id.to_string()));
        actions.push(table.delete(&lock, Some(&ours))?);
    }
    if let Some(pk) = profile.request {
        actions.push(table.delete(&key_of(pk), None)?);
    }
    let marked =
        Condition::new("#status = :erasing").with(":erasing", ProfileStatus::Erasing.into());
    actions.push(match profile.import.zip(profile.line) {
        // Its import may meet the row again, which is not to bring it back.
        Some(row) => {
            let left = ProfileItem::of_row(id, row, Outcome::Created, now);
            table.put(&own, &left, &marked)?
        }
        None => table.delete(&own, Some(&marked))?,
    });
    Ok(Some(Removal {
        actions,
        is_last: true,
    }))
}

/// Removes what sources said, one by one: a transaction takes 4 MB, which may be
/// less than they said, and once the profile is marked nobody keeps more of it.
async fn forget(table: &Table, cached: &[Key]) -> Result<(), Failure> {
    for key in cached {
        table
            .client()
            .delete_item()
            .table_name(table.name())
            .set_key(Some(key.to_item()))
            .send()
            .await
            .map_err(|error| Failure::of("DeleteItem", error))?;
    }
    Ok(())
}

fn is_being_erased(profile: &ProfileItem) -> bool {
    profile.status == ProfileStatus::Erasing && profile.outcome.is_none()
}
