//! The last chunk completes the import.
//!
//! ```text
//!  running ──(planned, all chunks done)──▶ reporting ──(report written)──▶ completed
//!                                          leased, due                     completed_with_errors
//! ```
//!
//! Whoever finishes a chunk looks; of several who find all chunks done one
//! takes the lease. If it dies, its message comes back and looks again.

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use muster_core::failure::Failure;
use muster_core::header::Header;
use muster_core::ids::ImportId;
use muster_core::import::{
    CHUNK_PREFIX, ChunkItem, Counts, FailureReason, ImportItem, ImportStatus, import_key,
};
use muster_core::random::Random;
use muster_core::table::{Table, Updated, encode_value, number, run, text};
use muster_core::time::Clock;

use crate::report::Reports;

/// How long nobody else may write the report: as long as a worker lives.
const LEASE: Duration = Duration::from_secs(330);

/// Completes imports.
pub struct Completion {
    table: Table,
    clock: Clock,
    random: Random,
}

impl Completion {
    /// Completion of the imports in that table.
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

    /// Completes the import if all its chunks are done.
    ///
    /// # Errors
    /// When AWS does not do its part; looking again does the rest.
    pub async fn complete(&self, id: ImportId, reports: &Reports) -> Result<(), Failure> {
        let Some(import) = self.unfinished(id).await? else {
            return Ok(());
        };
        let Some(counts) = self.counts_of_all(&import).await? else {
            return Ok(());
        };
        let owner = self.random.name();
        if !self.start_report(id, &owner).await? {
            return Ok(());
        }
        let report = if counts.failed > 0 {
            let header = Header::of_names(import.header)
                .map_err(|reason| Failure::unreadable("read header", reason.detail))?;
            Some(reports.assemble(&import.bucket, id, &header).await?)
        } else {
            None
        };
        self.finish(id, &owner, counts, report).await
    }

    /// The file cannot be read any more: the import ends here.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn fail(&self, id: ImportId, reason: &FailureReason) -> Result<(), Failure> {
        let update = self
            .table
            .update(&import_key(id))
            .condition_expression("#status IN (:planning, :running)")
            .update_expression(
                "SET #status = :failed, reason = :reason, completed_at = :now \
                 REMOVE lease_owner, lease_until, due_shard, due_at",
            )
            .expression_attribute_values(":planning", text(ImportStatus::Planning.as_str()))
            .expression_attribute_values(":running", text(ImportStatus::Running.as_str()))
            .expression_attribute_values(":failed", text(ImportStatus::Failed.as_str()))
            .expression_attribute_values(":reason", encode_value(reason)?)
            .expression_attribute_values(":now", number(self.clock.now().as_millis()));
        run(update).await?;
        Ok(())
    }

    /// What became of all rows, once every chunk is done.
    async fn counts_of_all(&self, import: &ImportItem) -> Result<Option<Counts>, Failure> {
        let Some(expected) = import.chunks else {
            return Ok(None);
        };
        let chunks: Vec<ChunkItem> = self
            .table
            .list(&import_key(import.id).pk, CHUNK_PREFIX)
            .await?;
        let all = chunks.len() == expected as usize && chunks.iter().all(|chunk| chunk.done);
        Ok(all.then(|| chunks.iter().map(|chunk| chunk.counts).sum()))
    }

    /// Takes the report's lease; says whether it is ours.
    async fn start_report(&self, id: ImportId, owner: &str) -> Result<bool, Failure> {
        let now = self.clock.now();
        let until = now.after(LEASE);
        let update = self
            .table
            .update(&import_key(id))
            .condition_expression("#status = :running OR (#status = :reporting AND lease_until < :now)")
            .update_expression(
                "SET #status = :reporting, lease_owner = :owner, lease_until = :until, due_at = :due",
            )
            .expression_attribute_values(":running", text(ImportStatus::Running.as_str()))
            .expression_attribute_values(":reporting", text(ImportStatus::Reporting.as_str()))
            .expression_attribute_values(":now", number(now.as_millis()))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":until", number(until.as_millis()))
            .expression_attribute_values(":due", text(until.to_string()));
        Ok(matches!(run(update).await?, Updated::Done(_)))
    }

    async fn finish(
        &self,
        id: ImportId,
        owner: &str,
        counts: Counts,
        report: Option<String>,
    ) -> Result<(), Failure> {
        let status = if counts.failed > 0 {
            ImportStatus::CompletedWithErrors
        } else {
            ImportStatus::Completed
        };
        let mut set = "SET #status = :status, #counts = :counts, completed_at = :now".to_owned();
        let mut update = self.reported(id, owner, status, counts)?;
        if let Some(key) = report {
            set.push_str(", report_key = :report");
            update = update.expression_attribute_values(":report", text(key));
        }
        let update = update.update_expression(format!(
            "{set} REMOVE lease_owner, lease_until, due_shard, due_at"
        ));
        if let Updated::Done(_) = run(update).await? {
            tracing::info!(import_id = %id, status = status.as_str(), ?counts, "import completed");
        }
        Ok(())
    }

    fn reported(
        &self,
        id: ImportId,
        owner: &str,
        status: ImportStatus,
        counts: Counts,
    ) -> Result<UpdateItemFluentBuilder, Failure> {
        Ok(self
            .table
            .update(&import_key(id))
            .condition_expression("#status = :reporting AND lease_owner = :owner")
            .expression_attribute_names("#counts", "counts")
            .expression_attribute_values(":reporting", text(ImportStatus::Reporting.as_str()))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":status", text(status.as_str()))
            .expression_attribute_values(":counts", encode_value(&counts)?)
            .expression_attribute_values(":now", number(self.clock.now().as_millis())))
    }
}
