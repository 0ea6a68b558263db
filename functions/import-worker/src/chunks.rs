//! The chunk's item: leased, checkpointed, done.

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValue;
use muster_core::failure::Failure;
use muster_core::import::{ChunkItem, Counts, chunk_key};
use muster_core::message::ChunkNudge;
use muster_core::random::Random;
use muster_core::table::{Table, Updated, decode, encode_value, number, run, text};
use muster_core::time::Clock;

/// How long nobody else may work on a chunk, renewed with every checkpoint.
/// A window takes a second or two; one that takes longer than this loses its
/// lease, and its checkpoint is refused.
const LEASE: Duration = Duration::from_secs(90);

/// The chunks in the table.
pub struct Chunks {
    table: Table,
    clock: Clock,
    random: Random,
}

/// Whether a chunk is ours to work on.
#[derive(Debug)]
pub enum Claim {
    /// It is, until the lease is over.
    Claimed(Box<Claimed>),
    /// Somebody else is at it.
    Leased,
    /// All its rows are answered.
    Done,
    /// There is no such chunk.
    Absent,
}

/// A chunk that is ours to work on.
#[derive(Debug)]
pub struct Claimed {
    /// The chunk, as it was at the last checkpoint.
    pub chunk: ChunkItem,
    owner: String,
}

/// How far a chunk has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// First byte not answered yet.
    pub position: u64,
    /// The line that byte is on.
    pub line: u64,
    /// Rows of the window, by what became of them.
    pub counts: Counts,
}

/// A chunk that is no longer ours.
#[derive(Debug, thiserror::Error)]
pub enum NotOurs {
    /// The lease was over and somebody else took it.
    #[error("the lease was lost")]
    LeaseLost,
    /// AWS did not do its part.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Chunks {
    /// Chunks in that table.
    pub const fn new(table: Table, clock: Clock, random: Random) -> Self {
        Self {
            table,
            clock,
            random,
        }
    }

    /// Takes the lease on a chunk with rows to answer.
    ///
    /// # Errors
    /// When the table cannot be reached, or the item cannot be understood.
    pub async fn claim(&self, nudge: ChunkNudge) -> Result<Claim, Failure> {
        let now = self.clock.now();
        let owner = self.random.name();
        let update = self
            .leasing(nudge, &owner)
            .condition_expression(
                "attribute_exists(pk) AND done = :no \
                 AND (attribute_not_exists(lease_until) OR lease_until < :now)",
            )
            .update_expression("SET lease_owner = :owner, lease_until = :until, due_at = :due")
            .expression_attribute_values(":no", encode_value(&false)?)
            .expression_attribute_values(":now", number(now.as_millis()))
            .return_values(ReturnValue::AllNew);
        match run(update).await? {
            Updated::Done(item) => {
                let chunk = decode(item)?;
                Ok(Claim::Claimed(Box::new(Claimed { chunk, owner })))
            }
            Updated::Refused(None) => Ok(Claim::Absent),
            Updated::Refused(Some(item)) => {
                let chunk: ChunkItem = decode(item)?;
                Ok(if chunk.done {
                    Claim::Done
                } else {
                    Claim::Leased
                })
            }
        }
    }

    /// Commits a window: where the next one starts, and what became of the
    /// rows before. Position and counts move together or not at all.
    ///
    /// # Errors
    /// When the lease was lost, or the table cannot be reached.
    pub async fn checkpoint(
        &self,
        claimed: &mut Claimed,
        progress: Progress,
    ) -> Result<(), NotOurs> {
        let chunk = &claimed.chunk;
        let counts = chunk.counts + progress.counts;
        let update = self
            .leasing(nudge_of(chunk), &claimed.owner)
            // The checkpoint's number too: a reply that was lost may have
            // been a commit, and a commit is not to be counted twice.
            .condition_expression("lease_owner = :owner AND checkpoints = :before")
            .update_expression(
                "SET #position = :position, line = :line, #counts = :counts, checkpoints = :after, \
                     lease_until = :until, due_at = :due",
            )
            .expression_attribute_names("#position", "position")
            .expression_attribute_names("#counts", "counts")
            .expression_attribute_values(":before", number(chunk.checkpoints))
            .expression_attribute_values(":after", number(chunk.checkpoints + 1))
            .expression_attribute_values(":position", number(progress.position))
            .expression_attribute_values(":line", number(progress.line))
            .expression_attribute_values(":counts", encode_value(&counts)?);
        match run(update).await? {
            Updated::Done(_) => {}
            Updated::Refused(found) => {
                // The SDK repeats a call whose reply was lost: the item then
                // shows our own checkpoint.
                let found: Option<ChunkItem> = found.map(decode).transpose()?;
                let committed = found.is_some_and(|found| {
                    found.lease_owner.as_ref() == Some(&claimed.owner)
                        && found.checkpoints == chunk.checkpoints + 1
                });
                if !committed {
                    return Err(NotOurs::LeaseLost);
                }
            }
        }
        claimed.chunk.position = progress.position;
        claimed.chunk.line = progress.line;
        claimed.chunk.counts = counts;
        claimed.chunk.checkpoints += 1;
        Ok(())
    }

    /// All rows are answered.
    ///
    /// # Errors
    /// When the lease was lost, or the table cannot be reached.
    pub async fn finish(&self, claimed: &Claimed) -> Result<(), NotOurs> {
        let update = self
            .ours(claimed)
            .update_expression("SET done = :yes REMOVE lease_owner, lease_until, due_shard, due_at")
            .expression_attribute_values(":yes", encode_value(&true)?);
        match run(update).await? {
            Updated::Done(_) => Ok(()),
            Updated::Refused(found) => {
                let found: Option<ChunkItem> = found.map(decode).transpose()?;
                // Done is done, whoever's reply was lost.
                if found.is_some_and(|found| found.done) {
                    Ok(())
                } else {
                    Err(NotOurs::LeaseLost)
                }
            }
        }
    }

    /// Gives the lease back, so that the next try need not wait for its end.
    pub async fn release(&self, claimed: &Claimed) {
        let update = self
            .ours(claimed)
            .update_expression("REMOVE lease_owner, lease_until");
        if let Err(error) = run(update).await {
            tracing::warn!(%error, "the next try waits for the end of the lease");
        }
    }

    /// The import is over: whatever is left of a chunk is not to be done. The
    /// chunks of a file that failed half-way would be due for ever otherwise.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn retire(&self, nudge: ChunkNudge) -> Result<(), Failure> {
        let update = self
            .table
            .update_plain(&chunk_key(nudge.import_id, nudge.chunk))
            .condition_expression("attribute_exists(due_shard)")
            .update_expression("REMOVE lease_owner, lease_until, due_shard, due_at");
        // Refused: it is done, or was never there.
        run(update).await?;
        Ok(())
    }

    /// An update of a chunk that is still ours.
    fn ours(&self, claimed: &Claimed) -> UpdateItemFluentBuilder {
        let chunk = &claimed.chunk;
        self.table
            .update_plain(&chunk_key(chunk.import_id, chunk.number))
            .condition_expression("lease_owner = :owner")
            .expression_attribute_values(":owner", text(&claimed.owner))
    }

    /// An update that takes or renews the lease.
    fn leasing(&self, nudge: ChunkNudge, owner: &str) -> UpdateItemFluentBuilder {
        let until = self.clock.now().after(LEASE);
        self.table
            .update_plain(&chunk_key(nudge.import_id, nudge.chunk))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":until", number(until.as_millis()))
            .expression_attribute_values(":due", text(until.to_string()))
    }
}

const fn nudge_of(chunk: &ChunkItem) -> ChunkNudge {
    ChunkNudge {
        import_id: chunk.import_id,
        chunk: chunk.number,
    }
}
