//! Identities.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::platform::random::Random;
use crate::platform::time::Time;

/// The namespace of every name-based id of Muster's.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d75_7374_6572_4000_8000_6964_7370_6163);

/// The text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct NotAnId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            /// Takes the hyphenated lower-case form only: one identity, one spelling.
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let id = Uuid::try_parse(text).map_err(|_| NotAnId)?;
                if id.hyphenated().to_string() == text {
                    Ok(Self(id))
                } else {
                    Err(NotAnId)
                }
            }
        }
    };
}

id! {
    /// Names a profile.
    ProfileId
}

id! {
    /// Names an import.
    ImportId
}

fn fresh(now: Time, random: &Random) -> Uuid {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random.bytes()).into_uuid()
}

impl ProfileId {
    /// A fresh id (version 7: sorts by creation).
    pub fn new(now: Time, random: &Random) -> Self {
        Self(fresh(now, random))
    }

    /// The id that a row of an import gets: a function of the import and the
    /// normalised address (version 5), so that a chunk that is worked on
    /// twice recognises its own profiles.
    pub fn imported(import: ImportId, email_key: &str) -> Self {
        Self(Uuid::new_v5(&import.0, email_key.as_bytes()))
    }

    /// Which of the `count` shards of an index this profile lives in.
    pub fn shard(self, count: u8) -> u8 {
        // The last byte is random in version 7 and hashed in version 5.
        self.0.as_bytes()[15] % count
    }
}

impl ImportId {
    /// A fresh id (version 7: sorts by creation).
    pub fn new(now: Time, random: &Random) -> Self {
        Self(fresh(now, random))
    }

    /// The id of the import of one version of an object: a function of the
    /// event (version 5), so that a repeated event finds its own import.
    pub fn of_event(bucket: &str, key: &str, sequencer: &str) -> Self {
        let name = format!("{bucket}\n{key}\n{sequencer}");
        Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }

    /// Which of the `count` shards of an index this import lives in.
    pub fn shard(self, count: u8) -> u8 {
        self.0.as_bytes()[15] % count
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn fresh_ids_sort_by_time() {
        let random = Random::seeded(1);
        let early = ProfileId::new(Time::from_millis(1_000), &random);
        let late = ProfileId::new(Time::from_millis(2_000), &random);
        assert!(early < late);
        assert_eq!(early.0.get_version_num(), 7);
    }

    #[test]
    fn an_import_gives_the_same_address_the_same_id() {
        let import = ImportId::of_event("b", "uploads/x.csv", "01");
        assert_eq!(
            ProfileId::imported(import, "ada@example.com"),
            ProfileId::imported(import, "ada@example.com")
        );
        assert_ne!(
            ProfileId::imported(import, "ada@example.com"),
            ProfileId::imported(
                ImportId::of_event("b", "uploads/x.csv", "02"),
                "ada@example.com"
            )
        );
    }

    #[test]
    fn ids_spread_over_all_shards() {
        let (random, now) = (Random::seeded(1), Time::from_millis(0));
        let import = ImportId::new(now, &random);
        let spread = |shard: &dyn Fn(u32) -> u8| (0..200).map(shard).collect::<BTreeSet<_>>();
        let all = BTreeSet::from([0, 1, 2, 3]);
        assert_eq!(spread(&|_| ProfileId::new(now, &random).shard(4)), all);
        assert_eq!(
            spread(&|n| ProfileId::imported(import, &format!("{n}@example.com")).shard(4)),
            all
        );
        assert_eq!(spread(&|_| ImportId::new(now, &random).shard(4)), all);
        assert_eq!(
            spread(&|n| ImportId::of_event("b", "uploads/x.csv", &n.to_string()).shard(4)),
            all
        );
    }

    #[test]
    fn one_identity_has_one_spelling() {
        let text = "019aafb0-0000-7000-8000-000000000000";
        assert_eq!(text.parse::<ProfileId>().unwrap().to_string(), text);
        for other in [
            "{019aafb0-0000-7000-8000-000000000000}",
            "019aafb0000070008000000000000000",
            "019AAFB0-0000-7000-8000-000000000000",
            "",
        ] {
            assert!(other.parse::<ProfileId>().is_err(), "{other}");
        }
    }
}
