//! A profile that is about to be stored, with its lock and its first mail.

use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;

use crate::mail::item::{FIRST, MailItem, MailKind, REMINDER, Recipient, mail_key};
use crate::people::email::Email;
use crate::people::email_lock::{LockItem, lock_key};
use crate::people::locale::Locale;
use crate::people::person::{Attributes, Name};
use crate::people::profile::{ProfileItem, ProfileStatus, list, profile_key};
use crate::people::source::Source;
use crate::platform::due::Kind;
use crate::platform::failure::Failure;
use crate::platform::ids::{ImportId, ProfileId};
use crate::platform::table::{Condition, Table};
use crate::platform::time::Time;

/// How long an unconfirmed sign-up is kept. Seven days: long enough for a
/// holiday, short enough that a mistyped address is soon free again.
pub const SIGNUP_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A profile about to be stored.
#[derive(Debug, Clone)]
pub struct NewProfile {
    /// Its id.
    pub id: ProfileId,
    /// The address.
    pub email: Email,
    /// The person's name.
    pub name: Option<Name>,
    /// The language that the person is written to in.
    pub locale: Option<Locale>,
    /// Whatever else is known.
    pub attributes: Attributes,
    /// How it came to be.
    pub source: Source,
    /// Who made it.
    pub created_by: String,
    /// The import and the line of its file, if it was one's row.
    pub row: Option<(ImportId, u64)>,
    /// Whether it is known that the address is the person's.
    pub confirmed: bool,
    /// When.
    pub now: Time,
}

impl NewProfile {
    /// The profile item.
    pub fn item(&self) -> ProfileItem {
        let status = match self.confirmed {
            true => ProfileStatus::Confirmed,
            false => ProfileStatus::Pending,
        };
        ProfileItem {
            id: self.id,
            email: self.email.as_str().to_owned(),
            email_key: self.email.key().to_owned(),
            name: self.name.as_ref().map(|name| name.as_str().to_owned()),
            locale: self.locale.clone(),
            attributes: self.attributes.as_map().clone(),
            status,
            version: 1,
            undeliverable: None,
            reachable_since: None,
            source: self.source,
            updated_by: self.created_by.clone(),
            import: self.row.map(|(import, _)| import),
            line: self.row.map(|(_, line)| line),
            created_at: self.now,
            updated_at: self.now,
            expires_at: self.expires_at(),
            request: None,
            outcome: None,
            overwritten: None,
            list: Some(list(status, self.id)),
            list_sort: Some(format!("{}#{}", self.now, self.id)),
            due_shard: None,
            due_at: None,
        }
    }

    /// The lock that keeps the address its own.
    pub fn lock(&self, mails: u32) -> LockItem {
        LockItem {
            profile_id: self.id,
            mails,
            confirmed: self.confirmed,
            undeliverable: false,
            locale: self.locale.clone(),
            signup_mail: None,
            line: self.row.map(|(_, line)| line),
            expires_at: self.expires_at(),
        }
    }

    /// The confirmation mail that belongs to it.
    pub fn confirmation(&self) -> MailItem {
        let recipient = Recipient {
            profile_id: self.id,
            to: self.email.as_str(),
            email_key: self.email.key(),
            name: self.name.as_ref().map(Name::as_str),
            locale: self.locale.as_ref(),
            expires_at: self.expires_at(),
        };
        let mut mail = MailItem::new(MailKind::Confirm, FIRST, recipient, self.now);
        if self.source == Source::Import {
            // No nudge is on its way: the sweeper feeds these as fast as SES
            // allows.
            mail.due_at = Some(self.now.to_string());
            mail.due_shard = Some(Kind::BulkMail.of_profile(self.id));
        }
        mail
    }

    /// Only unconfirmed sign-ups expire: what an operator enters stays.
    pub fn expires_at(&self) -> Option<i64> {
        (self.source == Source::Signup).then(|| self.now.after(SIGNUP_LIFETIME).as_seconds())
    }

    /// The actions that store all of it or nothing: profile, lock, and the
    /// mail if there is one. [`PROFILE_ACTION`] and [`LOCK_ACTION`] are their
    /// places in the answer's cancellation reasons.
    ///
    /// # Errors
    /// When an item cannot be encoded.
    pub fn actions(
        &self,
        table: &Table,
        mail: Option<&MailItem>,
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        self.actions_with(table, &self.item(), mail)
    }

    /// The same with a profile item that says more than [`item`](Self::item).
    ///
    /// # Errors
    /// When an item cannot be encoded.
    pub fn actions_with(
        &self,
        table: &Table,
        item: &ProfileItem,
        mail: Option<&MailItem>,
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        let free = Condition::absent_or_expired(self.now);
        self.actions_on(table, item, mail, &free)
    }

    /// The same in the place of a sign-up that [yields](LockItem::yields): an
    /// operator or an import takes its address over. What the sign-up leaves is
    /// removed in the same transaction, by the actions after the others.
    ///
    /// # Errors
    /// When an item cannot be encoded.
    pub fn actions_over(
        &self,
        table: &Table,
        item: &ProfileItem,
        mail: Option<&MailItem>,
        held: &LockItem,
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        let mut actions = self.actions_on(table, item, mail, &held.still_yields())?;
        actions.extend(remove_signup(table, held)?);
        Ok(actions)
    }

    /// The same with a condition on the lock of one's own.
    ///
    /// # Errors
    /// When an item cannot be encoded.
    pub fn actions_on(
        &self,
        table: &Table,
        item: &ProfileItem,
        mail: Option<&MailItem>,
        lock_is_free: &Condition,
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        let lock = self.lock(mail.map_or(0, |mail| mail.number));
        let mut actions = vec![
            table.put(&profile_key(self.id), item, &Condition::absent())?,
            table.put(&lock_key(self.email.key()), &lock, lock_is_free)?,
        ];
        if let Some(mail) = mail {
            actions.push(table.put(&mail.key(), mail, &Condition::absent())?);
        }
        Ok(actions)
    }
}

/// The actions that remove what an expired sign-up left beside its lock.
/// Time-to-live would do it, some day; who takes the lock over does it now. (What
/// sources said is left to it: the lock does not know which were asked.)
///
/// # Errors
/// None that a caller of ours can cause.
pub fn leftovers(
    table: &Table,
    lock: &LockItem,
    now: Time,
) -> Result<Vec<TransactWriteItem>, Failure> {
    remove_all(table, lock, &Condition::absent_or_expired(now))
}

/// The actions that remove a sign-up that is not confirmed, expired or not, beside
/// its lock: an operator or an import takes its address over. They refuse if the
/// sign-up was confirmed, changed by an operator or marked `erasing` since. A mail
/// that is just being sent goes; its link then leads nowhere.
///
/// # Errors
/// None that a caller of ours can cause.
pub fn remove_signup(table: &Table, lock: &LockItem) -> Result<Vec<TransactWriteItem>, Failure> {
    let unconfirmed = Condition::new("attribute_not_exists(pk) OR attribute_exists(expires_at)");
    remove_all(table, lock, &unconfirmed)
}

/// The profile of a lock and its mails, each on that condition.
fn remove_all(
    table: &Table,
    lock: &LockItem,
    condition: &Condition,
) -> Result<Vec<TransactWriteItem>, Failure> {
    let mails = (REMINDER..=lock.mails.min(MAX_LEFTOVERS)).map(|n| mail_key(lock.profile_id, n));
    std::iter::once(profile_key(lock.profile_id))
        .chain(mails)
        .map(|key| table.delete(&key, Some(condition)))
        .collect()
}

/// The most mails that one transaction removes beside what it is for.
const MAX_LEFTOVERS: u32 = 90;

/// Where in [`NewProfile::actions`] the profile is.
pub const PROFILE_ACTION: usize = 0;

/// Where in [`NewProfile::actions`] the lock is.
pub const LOCK_ACTION: usize = 1;
