//! Profiles and the locks on their addresses.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::{Deserialize, Serialize};

use crate::people::email_lock::lock_key;
use crate::people::locale::Locale;
use crate::people::overwritten::Overwritten;
use crate::people::source::Source;
use crate::people::undeliverable::Undeliverable;
use crate::platform::failure::Failure;
use crate::platform::ids::{ImportId, ProfileId};
use crate::platform::table::{Condition, Key, Table, expired, number, text};
use crate::platform::time::Time;

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

/// The statuses that are shown.
pub const LISTED: [ProfileStatus; 2] = [ProfileStatus::Pending, ProfileStatus::Confirmed];

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

/// The sort key of every profile.
pub(crate) const PROFILE: &str = "PROFILE";

/// The key of a profile.
pub fn profile_key(id: ProfileId) -> Key {
    Key {
        pk: format!("PROFILE#{id}"),
        sk: PROFILE.to_owned(),
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
pub const UNDELIVERABLE: &str = "undeliverable";

/// The partition of the `listing` index that a profile is in while no mail goes
/// to it.
pub fn list_undeliverable(id: ProfileId) -> String {
    format!("LIST#{UNDELIVERABLE}#{}", id.shard(LISTING_SHARDS))
}

/// The `listing` partitions of profiles that get no mail, all shards of them.
pub fn lists_undeliverable() -> impl Iterator<Item = String> {
    (0..LISTING_SHARDS).map(|shard| format!("LIST#{UNDELIVERABLE}#{shard}"))
}

/// The status as an attribute value.
impl From<ProfileStatus> for aws_sdk_dynamodb::types::AttributeValue {
    fn from(status: ProfileStatus) -> Self {
        text(status.as_str())
    }
}
