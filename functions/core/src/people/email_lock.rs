//! The lock on an e-mail address: one profile holds it.

use serde::{Deserialize, Serialize};

use crate::people::locale::Locale;
use crate::platform::ids::ProfileId;
use crate::platform::table::{Condition, Key, number, text};

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
    /// has no mail that was not seen.
    pub fn still_yields(&self) -> Condition {
        Condition::new(
            "attribute_not_exists(pk) \
             OR (profile_id = :held_by AND mails = :held_mails AND attribute_exists(expires_at))",
        )
        .with(":held_by", text(self.profile_id.to_string()))
        .with(":held_mails", number(self.mails))
    }
}

/// The key of the lock on a normalised address.
pub fn lock_key(email_key: &str) -> Key {
    Key {
        pk: format!("EMAIL#{email_key}"),
        sk: "EMAIL".to_owned(),
    }
}
