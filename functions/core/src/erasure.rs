//! Erasing a profile and everything that belongs to it.
//!
//! ```text
//!  marked `erasing`, due ──▶ what sources ──▶ mails, lock, request
//!                            said removed     record, profile removed
//! ```
//!
//! The mark comes first and alone. From then on the profile counts as absent,
//! no mail is written for it, nothing that a source says of it is kept, and if
//! whoever marked it dies, the sweeper finds it due and does the rest. What
//! sources said goes item by item; what is left is one transaction, unless there
//! are more mails than one takes.
//!
//! What stays, and for how long: README, "Erasure".

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};

use crate::cached::CACHED_PREFIX;
use crate::due::Kind;
use crate::failure::Failure;
use crate::ids::ProfileId;
use crate::profile::{
    IS_PRESENT, LockItem, Outcome, ProfileItem, ProfileStatus, list, lock_key, profile_key,
};
use crate::random::Random;
use crate::request::key_of;
use crate::table::{
    Condition, Key, MAX_TRANSACTION_ACTIONS, NotCommitted, Table, Updated, decode, number, run,
    text,
};
use crate::time::Time;

/// How long whoever marked a profile has for the rest before it is overdue.
const GRACE: Duration = Duration::from_secs(60);

/// Profile, lock and request record go last, together.
const MOST_OTHERS: usize = MAX_TRANSACTION_ACTIONS - 3;

/// Others that may come in between (a mail that is being sent, say).
const TRIES: u32 = 4;

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

/// Marks a profile as being erased, if it is there and of that version.
///
/// # Errors
/// When the table cannot be reached, or the item cannot be understood.
pub async fn begin(
    table: &Table,
    id: ProfileId,
    version: Option<u64>,
    now: Time,
) -> Result<Begun, Failure> {
    let mut condition = IS_PRESENT.to_owned();
    let mut update = table.update(&profile_key(id));
    if let Some(version) = version {
        condition.push_str(" AND version = :version");
        update = update.expression_attribute_values(":version", number(version));
    }
    let update = update
        .condition_expression(condition)
        // Without an expiry: time-to-live is not to take the profile, and
        // with it what is due, before the rest is gone.
        .update_expression(
            "SET #status = :erasing, #list = :list, due_shard = :shard, due_at = :due \
             REMOVE expires_at",
        )
        .expression_attribute_names("#list", "list")
        .expression_attribute_values(":erasing", ProfileStatus::Erasing.into())
        .expression_attribute_values(":list", text(list(ProfileStatus::Erasing, id)))
        .expression_attribute_values(":seconds", number(now.as_seconds()))
        .expression_attribute_values(":shard", text(Kind::Erasure.of_profile(id)))
        .expression_attribute_values(":due", text(now.after(GRACE).to_string()));
    Ok(match run(update).await? {
        Updated::Done(_) => Begun::Marked,
        Updated::Refused(None) => Begun::Absent,
        Updated::Refused(Some(item)) if decode::<ProfileItem>(item.clone())?.is_present(now) => {
            Begun::Changed
        }
        Updated::Refused(Some(_)) => Begun::Absent,
    })
}

/// Removes a profile that is marked, and all that belongs to it. Does nothing
/// to a profile that is not marked.
///
/// # Errors
/// When the table cannot be reached; trying again does the rest.
pub async fn finish(
    table: &Table,
    id: ProfileId,
    now: Time,
    random: &Random,
) -> Result<(), Failure> {
    let mut cancelled = Vec::new();
    for _ in 0..TRIES {
        let Some(Removal { actions, is_last }) = removal(table, id, now).await? else {
            return Ok(());
        };
        match table.transact(actions, &random.name()).await {
            Ok(()) if is_last => return Ok(()),
            Ok(()) => {}
            Err(NotCommitted::Cancelled(reasons)) => cancelled = reasons,
            Err(NotCommitted::Failed(failure)) => return Err(failure),
        }
    }
    Err(NotCommitted::Cancelled(cancelled).into())
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
            Some(key) => others.push((key, item.get("status").cloned())),
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
        .map(|(key, status)| table.delete(key, status.clone().map(unmoved).as_ref()))
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

/// Whoever moves a mail on may write another with it (a reminder): then there
/// is more to remove than was seen.
fn unmoved(status: AttributeValue) -> Condition {
    Condition::new("attribute_not_exists(pk) OR #status = :seen").with(":seen", status)
}
