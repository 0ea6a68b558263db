//! The profile, and beside it what sources said of it before.

use std::collections::HashMap;
use std::time::Duration;

use muster_core::cached::{CachedItem, cached_key};
use muster_core::failure::Failure;
use muster_core::ids::ProfileId;
use muster_core::profile::{ProfileItem, present, profile_key};
use muster_core::random::Random;
use muster_core::table::{Condition, NotCommitted, Table, decode};
use muster_core::time::Time;
use tokio::time::timeout;

/// A caller waits no longer than this for what is of no use to them.
const TIME_TO_KEEP: Duration = Duration::from_millis(500);

/// What the table has of a person.
pub struct Known {
    /// The profile.
    pub profile: ProfileItem,
    /// What sources said, by their names.
    pub cached: HashMap<String, CachedItem>,
}

/// Reads and keeps.
pub struct Cache {
    table: Table,
    random: Random,
}

impl Cache {
    /// A cache in that table.
    pub const fn new(table: Table, random: Random) -> Self {
        Self { table, random }
    }

    /// The profile and what these sources said, in one call; nothing if there is no
    /// such profile.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn read(
        &self,
        id: ProfileId,
        sources: impl Iterator<Item = &str>,
        now: Time,
    ) -> Result<Option<Known>, Failure> {
        let mut keys = vec![profile_key(id)];
        keys.extend(sources.map(|source| cached_key(id, source)));
        let mut found = self.table.get_many(&keys).await?.into_iter();
        let Some(profile) = found.next().flatten() else {
            return Ok(None);
        };
        let profile: ProfileItem = decode(profile)?;
        if !profile.is_present(now) {
            return Ok(None);
        }
        // What another version of us kept is as good as nothing.
        let cached = found.flatten().filter_map(|item| decode(item).ok());
        let cached = cached.map(|item: CachedItem| (item.source.clone(), item));
        Ok(Some(Known {
            profile,
            cached: cached.collect(),
        }))
    }

    /// Keeps what sources said, as long as the profile is there: nothing of a person
    /// who is erased comes back. That it cannot be kept is no trouble of the caller's.
    pub async fn keep(&self, id: ProfileId, items: &[CachedItem], now: Time) {
        if items.is_empty() {
            return;
        }
        match timeout(TIME_TO_KEEP, self.write(id, items, now)).await {
            Ok(Ok(()) | Err(NotCommitted::Cancelled(_))) => {}
            Ok(Err(NotCommitted::Failed(failure))) => {
                tracing::warn!(%failure, "what sources said is not kept");
            }
            Err(_) => tracing::warn!("there is no time to keep what sources said"),
        }
    }

    async fn write(
        &self,
        id: ProfileId,
        items: &[CachedItem],
        now: Time,
    ) -> Result<(), NotCommitted> {
        let mut actions = vec![self.table.check(&profile_key(id), &present(now))?];
        for item in items {
            let key = cached_key(id, &item.source);
            actions.push(self.table.put(&key, item, &Condition::any())?);
        }
        self.table.transact(actions, &self.random.name()).await
    }
}
