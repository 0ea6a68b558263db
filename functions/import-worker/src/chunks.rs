//! The chunk's item: leased, checkpointed, settled.

use std::time::Duration;

use muster_core::platform::failure::Failure;
use muster_core::platform::random::Random;
use muster_core::platform::table::{Condition, Table, Updated, decode, encode_value, number, text};
use muster_core::platform::time::Clock;
use muster_imports::chunk::{Call, Calling, ChunkItem, chunk_key};
use muster_imports::failure_reason::FailureReason;
use muster_imports::import::{AT_REST, Counts, ImportItem, due_shard, import_key};
use muster_imports::nudges::ChunkNudge;

/// How long nobody else may work on a chunk, renewed with every checkpoint.
/// A window takes a second or two; one that takes longer than this loses its
/// lease, and its checkpoint is refused.
const LEASE: Duration = Duration::from_secs(90);

/// The chunks in the table.
pub(crate) struct Chunks {
    table: Table,
    clock: Clock,
    random: Random,
}

/// Whether a chunk is ours to work on.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It is, until the lease is over.
    Claimed(Box<Claimed>),
    /// Somebody else is at it.
    Leased,
}

/// A chunk that is ours to work on.
#[derive(Debug)]
pub(crate) struct Claimed {
    /// The chunk, as it was when we last changed it.
    pub chunk: ChunkItem,
    /// Under which name it is ours.
    pub owner: String,
}

/// How far a chunk has come.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    /// First byte not answered yet.
    pub position: u64,
    /// The line that byte is on.
    pub line: u64,
    /// Rows of the window, by what became of them.
    pub counts: Counts,
    /// The part of the report that has those that were refused.
    pub part: Option<String>,
}

/// A chunk that is no longer ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotOurs {
    /// The lease was over and somebody else took it.
    #[error("the lease was lost")]
    LeaseLost,
    /// AWS did not do its part.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Chunks {
    /// Chunks in that table.
    pub(crate) const fn new(table: Table, clock: Clock, random: Random) -> Self {
        Self {
            table,
            clock,
            random,
        }
    }

    /// A chunk and its import, as they are now.
    ///
    /// # Errors
    /// When the table cannot be read, or an item cannot be understood.
    pub(crate) async fn look(
        &self,
        nudge: ChunkNudge,
    ) -> Result<(Option<ImportItem>, Option<ChunkItem>), Failure> {
        let keys = [import_key(nudge.import_id), key_of(nudge)];
        let mut found = self.table.get_many(&keys).await?.into_iter();
        let [import, chunk] = keys.map(|_| found.next().flatten());
        Ok((
            import.map(decode).transpose()?,
            chunk.map(decode).transpose()?,
        ))
    }

    /// Takes the lease on a chunk, and counts the attempt.
    ///
    /// # Errors
    /// When the table cannot be reached, or the item cannot be understood.
    pub(crate) async fn claim(&self, nudge: ChunkNudge) -> Result<Claim, Failure> {
        let now = self.clock.now();
        let owner = self.random.name();
        let free = self
            .leasing(Condition::new(
                "attribute_exists(pk) \
                 AND (attribute_not_exists(lease_until) OR lease_until < :now)",
            ))
            .with(":now", number(now.as_millis()))
            .with(":owner", text(&owner))
            .with(":shard", text(due_shard(nudge.import_id)))
            .with(":one", number(1))
            .with(":yes", encode_value(&true)?);
        let change = "SET lease_owner = :owner, lease_until = :until, due_at = :due, \
             due_shard = :shard, attempts = attempts + :one, begun = :yes";
        let claimed = self.table.change_if(&key_of(nudge), change, &free).await?;
        match claimed.or_leased_to(&owner) {
            Updated::Done(item) => {
                let chunk = decode(item)?;
                Ok(Claim::Claimed(Box::new(Claimed { chunk, owner })))
            }
            Updated::Refused(_) => Ok(Claim::Leased),
        }
    }

    /// Commits a window: where the next one starts, what became of the rows
    /// before, and where the refused ones are. All of it or nothing.
    ///
    /// # Errors
    /// When the lease was lost, or the table cannot be reached.
    pub(crate) async fn checkpoint(
        &self,
        claimed: &mut Claimed,
        progress: Progress,
    ) -> Result<(), NotOurs> {
        let before = &claimed.chunk;
        let counts = before.counts + progress.counts;
        let mut parts = before.parts.clone();
        parts.extend(progress.part);
        // The checkpoint's number too: a reply that was lost may have been a
        // commit, and a commit is not to be counted twice.
        let ours = self
            .leasing(Condition::new(
                "lease_owner = :owner AND checkpoints = :before",
            ))
            .with(":owner", text(&claimed.owner))
            .with(":before", number(before.checkpoints))
            .with(":after", number(before.checkpoints + 1))
            .with(":position", number(progress.position))
            .with(":line", number(progress.line))
            .with(":counts", encode_value(&counts)?)
            .with(":parts", encode_value(&parts)?)
            .with(":none", number(0));
        let change = "SET #position = :position, line = :line, #counts = :counts, \
             checkpoints = :after, parts = :parts, attempts = :none, \
             lease_until = :until, due_at = :due REMOVE trouble";
        let committed = before.checkpoints + 1;
        self.change(claimed, change, &ours, |found| {
            found.checkpoints == committed
        })
        .await
    }

    /// Mails are being called off, or on again, and so far it has come.
    ///
    /// # Errors
    /// When the lease was lost, or the table cannot be reached.
    pub(crate) async fn turn(
        &self,
        claimed: &mut Claimed,
        calling: Calling,
    ) -> Result<(), NotOurs> {
        let ours = self
            .leasing(self.ours(claimed))
            .with(":turning", encode_value(&Call::Turning)?)
            .with(":calling", encode_value(&calling)?);
        let change = "SET mails = :turning, #calling = :calling, \
             lease_until = :until, due_at = :due";
        self.change(claimed, change, &ours, |found| {
            found.calling == Some(calling)
        })
        .await
    }

    /// All rows are answered.
    ///
    /// # Errors
    /// When the lease was lost, or the table cannot be reached.
    pub(crate) async fn finish(&self, claimed: &mut Claimed) -> Result<(), NotOurs> {
        let ours = self.ours(claimed).with(":yes", encode_value(&true)?);
        let change = format!("SET done = :yes {AT_REST}, trouble");
        // Done is done, whoever's reply was lost.
        self.change(claimed, &change, &ours, |found| found.done)
            .await
    }

    /// It is given up, until somebody has it run again.
    ///
    /// # Errors
    /// When the lease was lost, or the table cannot be reached.
    pub(crate) async fn fail(
        &self,
        claimed: &mut Claimed,
        reason: &FailureReason,
    ) -> Result<(), NotOurs> {
        let ours = self.ours(claimed).with(":reason", encode_value(reason)?);
        let change = format!("SET failed = :reason {AT_REST}");
        self.change(claimed, &change, &ours, |found| found.failed.is_some())
            .await
    }

    /// The mails of its rows do not go, and nothing more is to be done.
    ///
    /// # Errors
    /// When the lease was lost, or the table cannot be reached.
    pub(crate) async fn called_off(&self, claimed: &mut Claimed) -> Result<(), NotOurs> {
        let ours = self
            .ours(claimed)
            .with(":off", encode_value(&Call::Off)?)
            .with(":none", number(0));
        let change = format!("SET mails = :off, attempts = :none {AT_REST}, #calling");
        self.change(claimed, &change, &ours, |found| found.mails == Call::Off)
            .await
    }

    /// They go after all. The rest of the chunk is still to be done.
    ///
    /// # Errors
    /// When the lease was lost, or the table cannot be reached.
    pub(crate) async fn called_on(&self, claimed: &mut Claimed) -> Result<(), NotOurs> {
        let ours = self
            .leasing(self.ours(claimed))
            .with(":on", encode_value(&Call::On)?);
        let change = "SET mails = :on, lease_until = :until, due_at = :due REMOVE #calling";
        self.change(claimed, change, &ours, |_| false).await
    }

    /// Nobody is to work on it any more.
    ///
    /// # Errors
    /// When the lease was lost, or the table cannot be reached.
    pub(crate) async fn stop(&self, claimed: &mut Claimed) -> Result<(), NotOurs> {
        let ours = self.ours(claimed).with(":none", number(0));
        let change = format!("SET attempts = :none {AT_REST}");
        let rests = |found: &ChunkItem| found.lease_owner.is_none() && found.due_shard.is_none();
        self.change(claimed, &change, &ours, rests).await
    }

    /// Gives the lease back, so that the next try need not wait for its end.
    /// What will pass is not counted as an attempt; of anything else it is kept
    /// what it was.
    pub(crate) async fn release(&self, claimed: &mut Claimed, trouble: Option<&str>) {
        let ours = self.ours(claimed);
        let (change, ours) = match trouble {
            Some(trouble) => (
                "SET trouble = :trouble REMOVE lease_owner, lease_until",
                ours.with(":trouble", text(trouble)),
            ),
            None => (
                "SET attempts = :before REMOVE lease_owner, lease_until",
                ours.with(":before", number(claimed.chunk.attempts.saturating_sub(1))),
            ),
        };
        if let Err(error) = self.change(claimed, change, &ours, |_| false).await {
            tracing::warn!(%error, "the next try waits for the end of the lease");
        }
    }

    /// The chunk is settled, or its import over, and somebody is still to look
    /// after it: nobody need.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub(crate) async fn retire(&self, nudge: ChunkNudge) -> Result<(), Failure> {
        let due = Condition::new("attribute_exists(due_shard)");
        // Refused: it is not due, or was never there.
        self.table.change_if(&key_of(nudge), AT_REST, &due).await?;
        Ok(())
    }

    /// The chunk is still ours.
    fn ours(&self, claimed: &Claimed) -> Condition {
        Condition::new("lease_owner = :owner").with(":owner", text(&claimed.owner))
    }

    /// With the values of a lease that is taken or renewed.
    fn leasing(&self, condition: Condition) -> Condition {
        let until = self.clock.now().after(LEASE);
        condition
            .with(":until", number(until.as_millis()))
            .with(":due", text(until.to_string()))
    }

    /// Changes a chunk that is ours. The SDK repeats a call whose reply was lost,
    /// and is refused if it was a commit: `is_done` knows our own doing.
    async fn change(
        &self,
        claimed: &mut Claimed,
        change: &str,
        ours: &Condition,
        is_done: impl Fn(&ChunkItem) -> bool,
    ) -> Result<(), NotOurs> {
        let key = key_of(nudge_of(&claimed.chunk));
        let chunk: Option<ChunkItem> = match self.table.change_if(&key, change, ours).await? {
            Updated::Done(item) => Some(decode(item)?),
            Updated::Refused(found) => {
                found.map(decode).transpose()?.filter(|found: &ChunkItem| {
                    let others = found.lease_owner.as_ref() != Some(&claimed.owner);
                    is_done(found) && !(others && found.lease_owner.is_some())
                })
            }
        };
        claimed.chunk = chunk.ok_or(NotOurs::LeaseLost)?;
        Ok(())
    }
}

fn key_of(nudge: ChunkNudge) -> muster_core::platform::table::Key {
    chunk_key(nudge.import_id, nudge.chunk)
}

/// The nudge that is about a chunk.
pub(crate) const fn nudge_of(chunk: &ChunkItem) -> ChunkNudge {
    ChunkNudge {
        import_id: chunk.import_id,
        chunk: chunk.number,
    }
}
