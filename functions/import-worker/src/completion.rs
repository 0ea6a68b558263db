//! The last chunk ends the import.
//!
//! ```text
//!  running ──(planned, all chunks settled)──▶ reporting ──(report written)──▶ completed
//!                                             leased, due                     completed_with_errors
//!                                                                             failed
//!  cancelling ──(all chunks stopped, mails called off, report written)──────▶ cancelled
//! ```
//!
//! Whoever settles the last chunk of a lane looks; of several who find all chunks
//! settled one takes the lease. If it dies, its message comes back and looks
//! again, or the import is due.

use std::time::Duration;

use muster_core::failure::Failure;
use muster_core::ids::ImportId;
use muster_core::import::{
    AT_REST, CHUNKS_FAILED, ChunkItem, Counts, FailureReason, ImportItem, ImportStatus, chunks_of,
    import_key,
};
use muster_core::random::Random;
use muster_core::table::{Condition, Table, Updated, decode, encode_value, number, text};
use muster_core::time::Clock;

use crate::report::Reports;

/// How long nobody else may write the report: as long as a worker lives.
const LEASE: Duration = Duration::from_secs(330);

/// Ends imports.
pub struct Completion {
    table: Table,
    clock: Clock,
    random: Random,
}

impl Completion {
    /// The end of imports in that table.
    pub const fn new(table: Table, clock: Clock, random: Random) -> Self {
        Self {
            table,
            clock,
            random,
        }
    }

    /// The import, if there is anything left to do for it.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn unfinished(&self, id: ImportId) -> Result<Option<ImportItem>, Failure> {
        let import: Option<ImportItem> = self.table.get(&import_key(id)).await?;
        Ok(import.filter(|import| !import.status.is_final()))
    }

    /// Ends the import if all its chunks are settled.
    ///
    /// # Errors
    /// When AWS does not do its part; looking again does the rest.
    pub async fn complete(&self, import: &ImportItem, reports: &Reports) -> Result<(), Failure> {
        if self.settled(import).await?.is_none() {
            return Ok(());
        }
        let owner = self.random.name();
        let Some(import) = self.start_report(import, &owner).await? else {
            return Ok(());
        };
        // Somebody may have had a chunk run again before the lease was ours.
        let Some(chunks) = self.settled(&import).await? else {
            return self.go_on(&import, &owner).await;
        };
        let counts: Counts = chunks.iter().map(|chunk| chunk.counts).sum();
        let report = match counts.failed {
            0 => Ok(None),
            _ => self.report(&import, &chunks, reports).await.map(Some),
        };
        match report {
            Err(failure) if failure.is_transient() => {
                self.go_on(&import, &owner).await?;
                Err(failure)
            }
            report => self.finish(&import, &owner, &chunks, counts, report).await,
        }
    }

    async fn report(
        &self,
        import: &ImportItem,
        chunks: &[ChunkItem],
        reports: &Reports,
    ) -> Result<String, Failure> {
        let header = import.columns()?;
        let parts = chunks.iter().flat_map(|chunk| {
            let parts = chunk.parts.iter();
            parts.map(|part| (chunk.number, part.as_str()))
        });
        let bucket = &import.bucket;
        reports.assemble(bucket, import.id, &header, parts).await
    }

    /// The file cannot be read any more: the import ends here.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn fail(&self, id: ImportId, reason: &FailureReason) -> Result<(), Failure> {
        let unfinished = Condition::new("#status IN (:planning, :running, :cancelling)")
            .with(":planning", ImportStatus::Planning.into())
            .with(":running", ImportStatus::Running.into())
            .with(":cancelling", ImportStatus::Cancelling.into())
            .with(":failed", ImportStatus::Failed.into())
            .with(":reason", encode_value(reason)?)
            .with(":now", number(self.clock.now().as_millis()));
        let change =
            format!("SET #status = :failed, reason = :reason, completed_at = :now {AT_REST}");
        self.table
            .change_if(&import_key(id), &change, &unfinished)
            .await?;
        Ok(())
    }

    /// The chunks, once all are known and settled.
    async fn settled(&self, import: &ImportItem) -> Result<Option<Vec<ChunkItem>>, Failure> {
        let expected = match (import.status, import.chunks) {
            // Those that are not planned yet will not be begun.
            (ImportStatus::Cancelling, _) => 0,
            (_, Some(chunks)) => chunks as usize,
            (_, None) => return Ok(None),
        };
        let chunks = chunks_of(&self.table, import.id).await?;
        let all = chunks.len() >= expected && chunks.iter().all(|chunk| chunk.is_settled(import));
        Ok(all.then_some(chunks))
    }

    /// Takes the report's lease, unless somebody else has it or it is over.
    async fn start_report(
        &self,
        import: &ImportItem,
        owner: &str,
    ) -> Result<Option<ImportItem>, Failure> {
        let now = self.clock.now();
        let until = now.after(LEASE);
        let next = match import.status {
            ImportStatus::Cancelling => ImportStatus::Cancelling,
            _ => ImportStatus::Reporting,
        };
        let free = Condition::new(
            "#status = :seen AND (attribute_not_exists(lease_until) OR lease_until < :now)",
        )
        .with(":seen", import.status.into())
        .with(":next", next.into())
        .with(":now", number(now.as_millis()))
        .with(":owner", text(owner))
        .with(":until", number(until.as_millis()))
        .with(":due", text(until.to_string()));
        let change = "SET #status = :next, \
             lease_owner = :owner, lease_until = :until, due_at = :due";
        let key = import_key(import.id);
        let claimed = self.table.change_if(&key, change, &free).await?;
        match claimed.or_leased_to(owner) {
            Updated::Done(item) => decode(item).map(Some),
            Updated::Refused(_) => Ok(None),
        }
    }

    /// Gives the lease back: there is more to do before the report.
    async fn go_on(&self, import: &ImportItem, owner: &str) -> Result<(), Failure> {
        let now = self.clock.now();
        let before = match import.status {
            ImportStatus::Reporting => ImportStatus::Running,
            cancelling => cancelling,
        };
        let ours = Condition::new("#status = :seen AND lease_owner = :owner")
            .with(":seen", import.status.into())
            .with(":before", before.into())
            .with(":owner", text(owner))
            .with(":now", text(now.to_string()));
        let change = "SET #status = :before, due_at = :now REMOVE lease_owner, lease_until";
        self.table
            .change_if(&import_key(import.id), change, &ours)
            .await?;
        Ok(())
    }

    async fn finish(
        &self,
        import: &ImportItem,
        owner: &str,
        chunks: &[ChunkItem],
        counts: Counts,
        report: Result<Option<String>, Failure>,
    ) -> Result<(), Failure> {
        let (status, mut reason) = end(import, chunks, counts);
        let report = report.unwrap_or_else(|failure| {
            // The rows are answered all the same.
            tracing::error!(import_id = %import.id, %failure, "there is no report");
            reason.get_or_insert_with(|| report_lost(&failure));
            None
        });
        let mut ours = Condition::new("#status = :seen AND lease_owner = :owner")
            .with(":seen", import.status.into())
            .with(":owner", text(owner))
            .with(":status", status.into())
            .with(":counts", encode_value(&counts)?)
            .with(":now", number(self.clock.now().as_millis()));
        let mut change = "SET #status = :status, #counts = :counts, completed_at = :now".to_owned();
        if let Some(key) = report {
            change.push_str(", report_key = :report");
            ours = ours.with(":report", text(key));
        }
        if let Some(reason) = reason {
            change.push_str(", reason = :reason");
            ours = ours.with(":reason", encode_value(&reason)?);
        }
        let change = format!("{change} {AT_REST}");
        let key = import_key(import.id);
        if let Updated::Done(_) = self.table.change_if(&key, &change, &ours).await? {
            tracing::info!(import_id = %import.id, status = status.as_str(), ?counts, "import over");
        }
        Ok(())
    }
}

fn report_lost(failure: &Failure) -> FailureReason {
    let detail = format!("the refused rows cannot be put together: {failure}");
    FailureReason::new("report_lost", detail)
}

/// How an import ends whose chunks are settled.
fn end(
    import: &ImportItem,
    chunks: &[ChunkItem],
    counts: Counts,
) -> (ImportStatus, Option<FailureReason>) {
    let mut failed = chunks.iter().filter(|chunk| chunk.failed.is_some());
    if import.status == ImportStatus::Cancelling {
        (ImportStatus::Cancelled, None)
    } else if let Some(first) = failed.next() {
        let detail = format!(
            "{} of {} chunks could not be imported, the first of them chunk {} from line {} on; \
             resume runs them again",
            1 + failed.count(),
            chunks.len(),
            first.number,
            first.line,
        );
        (
            ImportStatus::Failed,
            Some(FailureReason::new(CHUNKS_FAILED, detail)),
        )
    } else if counts.failed > 0 {
        (ImportStatus::CompletedWithErrors, None)
    } else {
        (ImportStatus::Completed, None)
    }
}
