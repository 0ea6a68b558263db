//! The `due` index: what waits for somebody.
//!
//! It is sparse (what is done is not in it), spread over shards, and holds
//! nothing but keys. It lags behind the table a little; the conditional write
//! that moves an item forward sees the table itself.

use std::time::Duration;

use muster_core::mail::item::MAIL_PREFIX;
use muster_core::mail::nudge::MailNudge;
use muster_core::people::profile::profile_key;
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::{ImportId, ProfileId};
use muster_core::platform::table::{Item, Key, Table, Updated, run, text};
use muster_core::platform::time::Time;
use muster_imports::chunk::CHUNK_PREFIX;
use muster_imports::nudges::ChunkNudge;
use serde::Deserialize;

/// Entries moved forward at once.
pub(crate) const CONCURRENCY: usize = 16;

/// When an item is looked at again if its nudge comes to nothing. Longer than
/// a queue needs to hand a nudge on, shorter than anybody wants to wait.
const AGAIN: Duration = Duration::from_secs(15 * 60);

/// An entry of the index.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Entry {
    pk: String,
    sk: String,
    due_at: String,
}

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// A mail to be sent.
    Mail(MailNudge),
    /// A profile to be erased.
    Erasure(ProfileId),
    /// A chunk to be imported.
    Chunk(ChunkNudge),
    /// An import that somebody is to look after.
    Import(ImportId),
}

impl Entry {
    /// Reads what it is about off the key; `None` for what a newer version
    /// may have put there.
    pub(crate) fn due(&self) -> Option<Due> {
        if let Some(id) = self.pk.strip_prefix("PROFILE#") {
            let profile_id: ProfileId = id.parse().ok()?;
            if self.key() == profile_key(profile_id) {
                return Some(Due::Erasure(profile_id));
            }
            let mail = self.sk.strip_prefix(MAIL_PREFIX)?.parse().ok()?;
            return Some(Due::Mail(MailNudge { profile_id, mail }));
        }
        let import_id: ImportId = self.pk.strip_prefix("IMPORT#")?.parse().ok()?;
        if self.sk == "IMPORT" {
            return Some(Due::Import(import_id));
        }
        let chunk = self.sk.strip_prefix(CHUNK_PREFIX)?.parse().ok()?;
        Some(Due::Chunk(ChunkNudge { import_id, chunk }))
    }

    fn key(&self) -> Key {
        Key {
            pk: self.pk.clone(),
            sk: self.sk.clone(),
        }
    }
}

/// The entries of one partition that are due, the longest due first.
///
/// # Errors
/// When the index cannot be read.
pub(crate) async fn find(
    table: &Table,
    partition: &str,
    now: Time,
    limit: usize,
) -> Result<Vec<Entry>, Failure> {
    let output = table
        .client()
        .query()
        .table_name(table.name())
        .index_name("due")
        .key_condition_expression("due_shard = :shard AND due_at <= :now")
        .expression_attribute_values(":shard", text(partition))
        .expression_attribute_values(":now", text(now.to_string()))
        .limit(i32::try_from(limit).unwrap_or(i32::MAX))
        .send()
        .await
        .map_err(|error| Failure::of("Query", error))?;
    output
        .items
        .unwrap_or_default()
        .into_iter()
        .map(entry)
        .collect()
}

/// The index holds keys only, so no data version either.
fn entry(item: Item) -> Result<Entry, Failure> {
    serde_dynamo::from_item(item).map_err(|error| Failure::unreadable("decode index entry", error))
}

/// Moves an entry forward; says whether it was ours to move. Whoever was
/// faster, another sweeper or the one who does the work, has changed the due
/// time.
///
/// # Errors
/// When the table cannot be reached.
pub(crate) async fn take(table: &Table, entry: &Entry, now: Time) -> Result<bool, Failure> {
    let update = table
        .update_plain(&entry.key())
        .condition_expression("due_at = :seen")
        .update_expression("SET due_at = :again")
        .expression_attribute_values(":seen", text(&entry.due_at))
        .expression_attribute_values(":again", text(now.after(AGAIN).to_string()));
    Ok(matches!(run(update).await?, Updated::Done(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::mail::item::mail_key;
    use muster_core::platform::random::Random;
    use muster_imports::chunk::chunk_key;
    use muster_imports::import::import_key;

    fn entry(key: Key) -> Entry {
        Entry {
            pk: key.pk,
            sk: key.sk,
            due_at: String::new(),
        }
    }

    #[test]
    fn a_key_says_what_is_due() {
        let profile_id = ProfileId::new(Time::from_millis(0), &Random::seeded(1));
        let import_id = ImportId::of_event("b", "k", "1");
        assert_eq!(
            entry(mail_key(profile_id, 2)).due(),
            Some(Due::Mail(MailNudge {
                profile_id,
                mail: 2
            }))
        );
        assert_eq!(
            entry(profile_key(profile_id)).due(),
            Some(Due::Erasure(profile_id))
        );
        assert_eq!(
            entry(chunk_key(import_id, 7)).due(),
            Some(Due::Chunk(ChunkNudge {
                import_id,
                chunk: 7
            }))
        );
        assert_eq!(
            entry(import_key(import_id)).due(),
            Some(Due::Import(import_id))
        );
    }

    #[test]
    fn what_is_not_known_is_left_alone() {
        for (pk, sk) in [
            ("PROFILE#x", "MAIL#1"),
            ("IMPORT#x", "IMPORT"),
            ("OTHER#1", "OTHER"),
        ] {
            let key = Key {
                pk: pk.to_owned(),
                sk: sk.to_owned(),
            };
            assert_eq!(entry(key).due(), None);
        }
    }
}
