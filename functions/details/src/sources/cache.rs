//! The profile, and beside it what sources said of it before.

use std::collections::HashMap;
use std::sync::Arc;

use muster_core::people::profile::{ProfileItem, present, profile_key};
use muster_core::people::source_cache::{CachedItem, cached_key};
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ProfileId;
use muster_core::platform::random::Random;
use muster_core::platform::table::{Condition, NotCommitted, Table, condition_failed, decode};
use muster_core::platform::time::Time;

use crate::config::document::Source;
use crate::sources::fan_out::Change;

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
    /// such profile. Of a source whose answers are not kept, nothing is looked for.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn read(
        &self,
        id: ProfileId,
        sources: &[Arc<Source>],
        now: Time,
    ) -> Result<Option<Known>, Failure> {
        let mut keys = vec![profile_key(id)];
        let kept = sources
            .iter()
            .filter(|source| !source.useful_for().is_zero());
        keys.extend(kept.map(|source| cached_key(id, &source.name)));
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
    pub async fn change(&self, id: ProfileId, changes: &[Change], now: Time) {
        if changes.is_empty() {
            return;
        }
        match self.write(id, changes, now).await {
            Ok(()) => {}
            Err(NotCommitted::Cancelled(reasons))
                if reasons.first().is_some_and(condition_failed) =>
            {
                // Whose it would be is not there any more.
            }
            Err(error) => tracing::warn!(%error, "what sources said is not kept"),
        }
    }

    async fn write(
        &self,
        id: ProfileId,
        changes: &[Change],
        now: Time,
    ) -> Result<(), NotCommitted> {
        let mut actions = vec![self.table.check(&profile_key(id), &present(now))?];
        for change in changes {
            actions.push(match change {
                Change::Keep(item) => {
                    let key = cached_key(id, &item.source);
                    self.table.put(&key, item, &Condition::any())?
                }
                Change::Forget(source) => self.table.delete(&cached_key(id, source), None)?,
            });
        }
        self.table.transact(actions, &self.random.name()).await
    }
}
