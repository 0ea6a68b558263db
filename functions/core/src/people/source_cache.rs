//! What sources said of a person, kept for a while.
//!
//! It is in the profile's partition, so it is erased with the profile. Whoever keeps
//! it does so in one transaction with a check that the profile is there: nothing of
//! a person who is erased comes back.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::people::profile::profile_key;
use crate::platform::ids::ProfileId;
use crate::platform::table::Key;
use crate::platform::time::Time;

/// What one source said.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedItem {
    /// Which source.
    pub source: String,
    /// What it was asked, and what of its answer is kept: SHA-256, in hex. If it
    /// would be asked something else by now, this is no answer to it.
    pub fingerprint: String,
    /// What it said: JSON.
    pub data: String,
    /// By what name it knows that answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When it said so.
    pub fetched_at: Time,
    /// From when on it is of no use (seconds since 1970; DynamoDB's time-to-live
    /// removes it some time later).
    pub expires_at: i64,
}

/// Personal data: in a log, who said something, and when.
impl fmt::Debug for CachedItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedItem")
            .field("source", &self.source)
            .field("fetched_at", &self.fetched_at)
            .finish_non_exhaustive()
    }
}

/// What the sort keys start with. They come before those of the profile and its
/// mails, which can so be read without.
pub const CACHED_PREFIX: &str = "CACHE#";

/// The key of what a source said of a profile.
pub fn cached_key(profile: ProfileId, source: &str) -> Key {
    Key {
        sk: format!("{CACHED_PREFIX}{source}"),
        ..profile_key(profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::random::Random;
    use crate::platform::table::{decode, encode, number, text};

    #[test]
    fn an_item_comes_back_as_it_was_and_a_log_does_not_say_what_is_in_it() {
        let profile = ProfileId::new(Time::from_millis(0), &Random::seeded(1));
        let key = cached_key(profile, "crm");
        let cached = CachedItem {
            source: "crm".to_owned(),
            fingerprint: "0f".repeat(32),
            data: r#"{"name":"Ada"}"#.to_owned(),
            etag: None,
            fetched_at: Time::from_millis(1_500),
            expires_at: 301,
        };
        let item = encode(&key, &cached).unwrap();
        assert_eq!(item["sk"], text("CACHE#crm"));
        assert_eq!(item["expires_at"], number(301), "as time-to-live counts");
        assert_eq!(decode::<CachedItem>(item).unwrap(), cached);
        let log = format!("{cached:?}");
        assert!(log.contains("crm") && !log.contains("Ada"), "{log}");
    }
}
