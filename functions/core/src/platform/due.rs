//! The partitions of the `due` index: what waits for the sweeper.
//!
//! Sharded, as one partition takes 1,000 writes a second, and apart by who is
//! kept waiting: a million mails that nobody waits for are not to stand before
//! one that somebody does, nor before a chunk or an erasure.

use crate::platform::ids::{ImportId, ProfileId};

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Mails that somebody waits for.
    Mail,
    /// Mails that nobody waits for: of imports, and reminders.
    BulkMail,
    /// Imports and chunks.
    Work,
    /// Profiles whose erasure was not finished. Apart, as each is work for the
    /// sweeper itself: imports are not to wait for it.
    Erasure,
}

impl Kind {
    /// The partitions of this kind: as many as its busiest hour needs.
    pub fn partitions(self) -> Vec<String> {
        (0..self.shards())
            .map(|shard| self.partition(shard))
            .collect()
    }

    /// The partition of what belongs to a profile.
    pub fn of_profile(self, id: ProfileId) -> String {
        self.partition(id.shard(self.shards()))
    }

    /// The partition of what belongs to an import.
    pub fn of_import(self, id: ImportId) -> String {
        self.partition(id.shard(self.shards()))
    }

    const fn shards(self) -> u8 {
        match self {
            Self::Mail => 4,
            Self::BulkMail => 8,
            Self::Work => 2,
            Self::Erasure => 1,
        }
    }

    fn partition(self, shard: u8) -> String {
        let name = match self {
            Self::Mail => "MAIL",
            Self::BulkMail => "BULK",
            Self::Work => "WORK",
            Self::Erasure => "ERASURE",
        };
        format!("DUE#{name}#{shard}")
    }
}
