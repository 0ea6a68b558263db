//! Profiles and the locks on their addresses.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::{Deserialize, Serialize};

use crate::email::Email;
use crate::failure::Failure;
use crate::ids::{ImportId, ProfileId};
use crate::locale::Locale;
use crate::mail::{MAIL_PREFIX, MailItem, REMINDER, SignupData, mail_key};
use crate::overwritten::Overwritten;
use crate::person::{Attributes, Name};
use crate::table::{Condition, Key, Table, decode, number, text};
use crate::time::Time;
use crate::undeliverable::Undeliverable;

/// How long an unconfirmed sign-up is kept. Seven days: long enough for a
/// holiday, short enough that a mistyped address is soon free again.
pub const SIGNUP_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The shards of the `listing` index a status is spread over: one partition
/// takes 1,000 writes a second, an import brings more.
const LISTING_SHARDS: u8 = 16;

/// What a profile is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileStatus {
    /// Nobody has shown that the address is theirs.
    Pending,
    /// The owner of the address confirmed it.
    Confirmed,
    /// Being removed.
    Erasing,
}

impl ProfileStatus {
    /// The status as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Erasing => "erasing",
        }
    }
}

/// How a profile came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The person signed up.
    Signup,
    /// An operator made it through the API.
    Operator,
    /// It was a row of an import.
    Import,
}

/// A profile as it is stored.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileItem {
    /// Its id.
    pub id: ProfileId,
    /// The address as it was typed.
    pub email: String,
    /// The address as it is compared: the key of its lock.
    pub email_key: String,
    /// The person's name; imports may not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The language that the person is written to in, if we know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// Whatever else is known.
    pub attributes: BTreeMap<String, String>,
    /// What it is at.
    pub status: ProfileStatus,
    /// Counts the changes; the ETag.
    pub version: u64,
    /// Why no mail goes to the address. Beside the status: it may be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undeliverable: Option<Undeliverable>,
    /// Since when mail goes there again, if it did not for a while. What becomes
    /// of mails that were sent earlier is of no account any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reachable_since: Option<Time>,
    /// How it came to be.
    pub source: Source,
    /// Who changed it last: a client or subject of the token, `signup`, `import`.
    pub updated_by: String,
    /// The import that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<ImportId>,
    /// The line of that import's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// When it was made.
    pub created_at: Time,
    /// When it was changed last.
    pub updated_at: Time,
    /// From when on it counts as absent (seconds since 1970; DynamoDB's
    /// time-to-live removes it some time later).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// The partition of the record that its `Idempotency-Key` left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// What became of the row of an import, if it is not, or no longer, a profile
    /// of this id: what is left for [`ROW_LIFETIME`], so that a chunk that is
    /// worked on twice knows its own work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What the row of an import overwrote that changed it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overwritten: Option<Box<Overwritten>>,
    /// Partition of the `listing` index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// Sort key of the `listing` index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_sort: Option<String>,
    /// Partition of the `due` index, while it is being erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_shard: Option<String>,
    /// When somebody should look after the erasure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<String>,
}

/// What became of a row of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A profile, which was erased since; or would have been, in a dry run.
    Created,
    /// A change of the profile that has the address.
    Updated,
    /// Nothing: that profile says already what the row does.
    Unchanged,
}

/// How long it is remembered what became of a row: longer than any import takes,
/// however often it is resumed.
pub const ROW_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What [`ProfileItem::is_present`] is to DynamoDB; `:erasing` and `:seconds`
/// are the caller's to give.
pub const IS_PRESENT: &str = "attribute_exists(pk) AND #status <> :erasing \
     AND (attribute_not_exists(expires_at) OR expires_at > :seconds)";

/// The condition that a profile is there.
pub fn present(now: Time) -> Condition {
    Condition::new(IS_PRESENT)
        .with(":erasing", ProfileStatus::Erasing.into())
        .with(":seconds", number(now.as_seconds()))
}

impl ProfileItem {
    /// Whether it counts as there: neither expired nor being removed.
    pub fn is_present(&self, now: Time) -> bool {
        !expired(self.expires_at, now) && self.status != ProfileStatus::Erasing
    }

    /// It is still the version that was seen.
    pub fn unchanged(&self) -> Condition {
        Condition::new("version = :seen AND #status = :status")
            .with(":seen", number(self.version))
            .with(":status", self.status.into())
    }

    /// The action that has the lock remember the language, too.
    ///
    /// # Errors
    /// None that a caller of ours can cause.
    pub fn keep_locale(&self, table: &Table) -> Result<TransactWriteItem, Failure> {
        let ours = Condition::new("profile_id = :id").with(":id", text(self.id.to_string()));
        let (change, ours) = match &self.locale {
            Some(locale) => (
                "SET #locale = :locale",
                ours.with(":locale", text(locale.as_str())),
            ),
            None => ("REMOVE #locale", ours),
        };
        table.change(&lock_key(&self.email_key), change, &ours)
    }

    /// What is left of a row that is not, or no longer, a profile: no personal
    /// data, and absent to everybody but an import.
    pub fn of_row(id: ProfileId, row: (ImportId, u64), outcome: Outcome, now: Time) -> Self {
        Self {
            id,
            email: String::new(),
            email_key: String::new(),
            name: None,
            locale: None,
            attributes: BTreeMap::new(),
            status: ProfileStatus::Erasing,
            version: 0,
            undeliverable: None,
            reachable_since: None,
            source: Source::Import,
            updated_by: String::new(),
            import: Some(row.0),
            line: Some(row.1),
            created_at: now,
            updated_at: now,
            expires_at: Some(now.after(ROW_LIFETIME).as_seconds()),
            request: None,
            outcome: Some(outcome),
            overwritten: None,
            list: None,
            list_sort: None,
            due_shard: None,
            due_at: None,
        }
    }
}

/// Personal data: a profile in a log is its id and status.
impl fmt::Debug for ProfileItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileItem")
            .field("id", &self.id)
            .field("status", &self.status)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The lock on an address: whose it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LockItem {
    /// The profile that has the address.
    pub profile_id: ProfileId,
    /// How many mails the profile has: the number of the last one. Whoever
    /// writes another counts it here, in the same transaction.
    pub mails: u32,
    /// Whether the address is confirmed.
    pub confirmed: bool,
    /// Whether mail to the address came back for good, or was complained
    /// about: nothing more goes there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undeliverable: bool,
    /// As the profile's, or as the newest sign-up's while none is confirmed: whoever
    /// writes to a known address looks only here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// The mail of the newest sign-up, while none is confirmed. Absent: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signup_mail: Option<u32>,
    /// The line of the import that took it, so that a later line with the
    /// same address can be told which one was first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// As the profile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

impl LockItem {
    /// Whether an operator or an import may take the address: a sign-up holds it
    /// that is not confirmed, expired or not.
    pub const fn yields(&self) -> bool {
        self.expires_at.is_some()
    }

    /// The condition on the lock under which an operator or an import takes the
    /// address of a sign-up that [yields](Self::yields): it still does, and
    /// has no mail that was not seen. [`remove_signup`] goes with it.
    pub fn still_yields(&self) -> Condition {
        Condition::new(
            "attribute_not_exists(pk) \
             OR (profile_id = :held_by AND mails = :held_mails AND attribute_exists(expires_at))",
        )
        .with(":held_by", text(self.profile_id.to_string()))
        .with(":held_mails", number(self.mails))
    }
}

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
        MailItem::confirmation(self)
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
/// The most mails that one transaction keeps, the newest first. The links of others
/// have long expired, and time-to-live may have them.
const MOST_KEPT: usize = 90;

/// A profile with its mails, read together. What sources said of the person comes
/// before them in the partition, and may be much: it is not read.
#[derive(Debug, Clone)]
pub struct Dossier {
    /// The profile, unless time-to-live has taken it.
    pub profile: Option<ProfileItem>,
    /// Its mails, by number.
    pub mails: Vec<MailItem>,
}

/// A later sign-up for an address that is signed up already.
#[derive(Clone, Copy)]
pub struct Signup<'a> {
    /// The mail that was written for it.
    pub mail: u32,
    /// The address as it was typed in it.
    pub email: &'a str,
    /// What was said in it.
    pub data: &'a SignupData,
}

/// Personal data: a sign-up in a log is the number of its mail.
impl fmt::Debug for Signup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signup({})", self.mail)
    }
}

impl Dossier {
    /// Reads it, as it is now.
    ///
    /// # Errors
    /// When the table cannot be read, or an item cannot be understood.
    pub async fn read(table: &Table, id: ProfileId) -> Result<Self, Failure> {
        let mut dossier = Self {
            profile: None,
            mails: Vec::new(),
        };
        let first = Key {
            sk: MAIL_PREFIX.to_owned(),
            ..profile_key(id)
        };
        for item in table.partition_from(&first).await? {
            match Key::of(&item) {
                Some(key) if key.sk == PROFILE => dossier.profile = Some(decode(item)?),
                Some(key) if key.sk.starts_with(MAIL_PREFIX) => dossier.mails.push(decode(item)?),
                _ => {}
            }
        }
        dossier.mails.sort_by_key(|mail| mail.number);
        Ok(dossier)
    }

    /// The profile, if it counts as there.
    pub fn present(&self, now: Time) -> Option<&ProfileItem> {
        self.profile
            .as_ref()
            .filter(|profile| profile.is_present(now))
    }

    /// The number of the last mail.
    pub fn last_mail(&self) -> u32 {
        self.mails.last().map_or(0, |mail| mail.number)
    }

    /// The sign-up that the link of a mail confirms, if it is not the first, whose
    /// data the profile holds. Only a sign-up that expires has others beside it.
    pub fn signup_of(&self, mail: u32) -> Option<Signup<'_>> {
        self.profile.as_ref()?.expires_at?;
        let mail = self.mails.iter().find(|item| item.number == mail)?;
        self.signup(mail.signup_mail?)
    }

    /// The newest sign-up, if it is not the first.
    pub fn newest_signup(&self) -> Option<Signup<'_>> {
        self.profile.as_ref()?.expires_at?;
        let mail = self.mails.iter().rev().find(|mail| mail.signup.is_some())?;
        self.signup(mail.number)
    }

    fn signup(&self, number: u32) -> Option<Signup<'_>> {
        let mail = self.mails.iter().find(|mail| mail.number == number)?;
        Some(Signup {
            mail: number,
            email: &mail.to,
            data: mail.signup.as_ref()?,
        })
    }

    /// The actions that keep a sign-up that an operator or an import takes on:
    /// beside the profile, which they write themselves without its expiry. Its lock
    /// and its mails expire no more, and the lock remembers the language of
    /// `profile`. They refuse if there is a mail that was not seen, or one was moved
    /// on: look again then.
    ///
    /// # Errors
    /// None that a caller of ours can cause.
    pub fn keep(
        &self,
        table: &Table,
        profile: &ProfileItem,
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        let no_other_mail = Condition::new("profile_id = :id AND mails = :mails")
            .with(":id", text(profile.id.to_string()))
            .with(":mails", number(self.last_mail()));
        let (expression, no_other_mail) = match &profile.locale {
            Some(locale) => (
                "SET #locale = :locale REMOVE expires_at, signup_mail",
                no_other_mail.with(":locale", text(locale.as_str())),
            ),
            None => ("REMOVE #locale, expires_at, signup_mail", no_other_mail),
        };
        let lock = table.change(&lock_key(&profile.email_key), expression, &no_other_mail);
        let mails = self.mails.iter().rev().take(MOST_KEPT);
        std::iter::once(lock)
            .chain(mails.map(|mail| mail.keep(table)))
            .collect()
    }
}

/// The sort key of every profile.
const PROFILE: &str = "PROFILE";

/// Where in [`NewProfile::actions`] the profile is.
pub const PROFILE_ACTION: usize = 0;
/// Where in [`NewProfile::actions`] the lock is.
pub const LOCK_ACTION: usize = 1;

/// The key of a profile.
pub fn profile_key(id: ProfileId) -> Key {
    Key {
        pk: format!("PROFILE#{id}"),
        sk: PROFILE.to_owned(),
    }
}

/// The key of the lock on a normalised address.
pub fn lock_key(email_key: &str) -> Key {
    Key {
        pk: format!("EMAIL#{email_key}"),
        sk: "EMAIL".to_owned(),
    }
}

/// The partition of the `listing` index that a profile of that status is in, as
/// long as mail goes to it.
pub fn list(status: ProfileStatus, id: ProfileId) -> String {
    format!("LIST#{}#{}", status.as_str(), id.shard(LISTING_SHARDS))
}

/// The `listing` partitions of a status, all shards of it.
pub fn lists(status: ProfileStatus) -> impl Iterator<Item = String> {
    (0..LISTING_SHARDS).map(move |shard| format!("LIST#{}#{shard}", status.as_str()))
}

/// The group of the `listing` index of profiles that get no mail, whatever their
/// status.
const UNDELIVERABLE: &str = "undeliverable";

/// The partition of the `listing` index that a profile is in while no mail goes
/// to it.
pub fn list_undeliverable(id: ProfileId) -> String {
    format!("LIST#{UNDELIVERABLE}#{}", id.shard(LISTING_SHARDS))
}

/// The `listing` partitions of profiles that get no mail, all shards of them.
pub fn lists_undeliverable() -> impl Iterator<Item = String> {
    (0..LISTING_SHARDS).map(|shard| format!("LIST#{UNDELIVERABLE}#{shard}"))
}

/// Whether something with this expiry counts as absent.
pub fn expired(expires_at: Option<i64>, now: Time) -> bool {
    expires_at.is_some_and(|expires_at| expires_at <= now.as_seconds())
}

/// The status as an attribute value.
impl From<ProfileStatus> for aws_sdk_dynamodb::types::AttributeValue {
    fn from(status: ProfileStatus) -> Self {
        text(status.as_str())
    }
}
