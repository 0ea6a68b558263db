//! What an `Idempotency-Key` leaves behind.
//!
//! The record is written in the transaction of the request itself, so either
//! both are there or neither is. Whoever sends the same key again finds what it
//! led to.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::platform::ids::{ImportId, ProfileId};
use crate::platform::table::Key;
use crate::platform::time::Time;

/// How long a key is remembered: what Stripe made the custom.
pub const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The record of a request that made `T`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestItem<T> {
    /// Digest of what was asked for: the same key for something else is a
    /// mistake of the caller's.
    pub payload: String,
    /// What it made.
    #[serde(flatten)]
    pub made: T,
    /// When.
    pub created_at: Time,
    /// Until when it is remembered (seconds since 1970).
    pub expires_at: i64,
}

/// A profile that a request made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeProfile {
    /// Which.
    pub profile_id: ProfileId,
}

/// An import that a request made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeImport {
    /// Which.
    pub import_id: ImportId,
}

impl<T> RequestItem<T> {
    /// The record of a request that makes that now.
    pub fn new(payload: String, made: T, now: Time) -> Self {
        Self {
            payload,
            made,
            created_at: now,
            expires_at: now.after(LIFETIME).as_seconds(),
        }
    }
}

/// Where the record of a client's key for a route is. The parts are digested,
/// so that a key may have any length and any characters.
pub fn request_key(client: &str, route: &str, key: &str) -> Key {
    key_of(format!("REQUEST#{}", digest([client, route, key])))
}

/// The key of the record in that partition.
pub fn key_of(pk: String) -> Key {
    Key {
        pk,
        sk: "REQUEST".to_owned(),
    }
}

/// SHA-256 of several texts, as text (base64url). Each is counted in with its
/// length: `("ab", "c")` is not `("a", "bc")`.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::table::{decode, encode, text};

    #[test]
    fn a_record_says_what_was_made() {
        let import_id = ImportId::of_event("b", "k", "1");
        let now = Time::from_millis(1_500);
        let record = RequestItem::new("p".to_owned(), MadeImport { import_id }, now);
        let item = encode(&request_key("a", "POST /imports", "1"), &record).unwrap();
        assert_eq!(item["import_id"], text(import_id.to_string()));
        assert_eq!(decode::<RequestItem<MadeImport>>(item).unwrap(), record);
    }

    #[test]
    fn a_key_is_its_clients_and_its_routes() {
        let key = request_key("a", "POST /profiles", "1");
        assert_eq!(key, request_key("a", "POST /profiles", "1"));
        for other in [
            request_key("b", "POST /profiles", "1"),
            request_key("a", "POST /imports", "1"),
            request_key("a", "POST /profiles", "2"),
            request_key("a1", "POST /profiles", ""),
        ] {
            assert_ne!(key, other);
        }
    }
}
