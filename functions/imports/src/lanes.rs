//! Which chunks of an import are in the queue.
//!
//! A big import has thousands of chunks. Were all of them queued at once, a
//! small one would wait behind them; so a chunk is queued when the one before
//! it in its lane is settled, and an import has only so many lanes.
//!
//! ```text
//!  lane 0   chunk 0 ─▶ chunk 3 ─▶ chunk 6
//!  lane 1   chunk 1 ─▶ chunk 4 ─▶ chunk 7
//!  lane 2   chunk 2 ─▶ chunk 5
//! ```
//!
//! Whoever settles a chunk queues the next one, if the planner has written it
//! by then; if not, the planner finds the chunk before it settled. So neither
//! needs a counter that a crash could leave wrong.

use std::time::Duration;

use aws_sdk_sqs::Client;

use crate::chunk::{ChunkItem, chunk_key, chunks_of};
use crate::import::{ImportItem, OVERDUE_AFTER, due_shard};
use crate::nudges::ChunkNudge;
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ImportId;
use muster_core::platform::queue::send;
use muster_core::platform::table::{Condition, Table, Updated, text};
use muster_core::platform::time::Clock;

/// The lanes of imports.
pub struct Lanes {
    table: Table,
    sqs: Client,
    chunk_queue_url: String,
    clock: Clock,
}

impl Lanes {
    /// Lanes into that queue.
    pub const fn new(table: Table, sqs: Client, chunk_queue_url: String, clock: Clock) -> Self {
        Self {
            table,
            sqs,
            chunk_queue_url,
            clock,
        }
    }

    /// Queues a chunk, unless it is already: from now on somebody looks after it.
    ///
    /// # Errors
    /// When AWS does not do its part. If the chunk is due by then, the sweeper
    /// queues it.
    pub async fn open(&self, import: ImportId, number: u32) -> Result<(), Failure> {
        let overdue = self.clock.now().after(OVERDUE_AFTER);
        let closed = Condition::new("attribute_exists(pk) AND attribute_not_exists(due_shard)")
            .with(":shard", text(due_shard(import)))
            .with(":overdue", text(overdue.to_string()));
        let change = "SET due_shard = :shard, due_at = :overdue";
        let key = chunk_key(import, number);
        match self.table.change_if(&key, change, &closed).await? {
            Updated::Done(_) => self.nudge(import, number).await,
            Updated::Refused(_) => Ok(()),
        }
    }

    /// Queues a new chunk, if its turn has come.
    ///
    /// # Errors
    /// When AWS does not do its part.
    pub async fn open_new(&self, import: &ImportItem, number: u32) -> Result<(), Failure> {
        let before = match number.checked_sub(import.lanes) {
            Some(before) => self.chunk(import.id, before).await?,
            None => None,
        };
        match before {
            Some(before) if !before.is_settled(import) => Ok(()),
            _ => self.open(import.id, number).await,
        }
    }

    /// Queues the next chunk of a settled one's lane; says whether there is one.
    ///
    /// # Errors
    /// When AWS does not do its part.
    pub async fn advance(&self, import: &ImportItem, number: u32) -> Result<bool, Failure> {
        let mut next = number;
        loop {
            next += import.lanes.max(1);
            match self.chunk(import.id, next).await? {
                None => return Ok(false),
                Some(chunk) if chunk.is_settled(import) => {}
                Some(_) => {
                    self.open(import.id, next).await?;
                    return Ok(true);
                }
            }
        }
    }

    /// Looks at all chunks, and queues the first of each lane that is not
    /// settled; says whether there is one.
    ///
    /// # Errors
    /// When AWS does not do its part.
    pub async fn open_all(&self, import: &ImportItem) -> Result<bool, Failure> {
        let chunks = chunks_of(&self.table, import.id).await?;
        let lanes = import.lanes.max(1);
        let mut any = false;
        for lane in 0..lanes {
            let mut of_lane = chunks.iter().filter(|chunk| chunk.number % lanes == lane);
            if let Some(chunk) = of_lane.find(|chunk| !chunk.is_settled(import)) {
                any = true;
                if chunk.due_shard.is_none() {
                    self.open(import.id, chunk.number).await?;
                }
            }
        }
        Ok(any)
    }

    /// Says that there may be something to do for a chunk.
    ///
    /// # Errors
    /// When the queue does not take it.
    pub async fn nudge(&self, import_id: ImportId, chunk: u32) -> Result<(), Failure> {
        let nudge = ChunkNudge { import_id, chunk };
        send(&self.sqs, &self.chunk_queue_url, &nudge, Duration::ZERO).await
    }

    async fn chunk(&self, import: ImportId, number: u32) -> Result<Option<ChunkItem>, Failure> {
        self.table.get(&chunk_key(import, number)).await
    }
}
