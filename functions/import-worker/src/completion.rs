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
//!
//! A report that takes longer than one worker has goes on with the next one, from
//! the last piece that was noted. Five workers in a row that die without another
//! piece, and the import ends without a report, and with the reason.

use std::time::Duration;

use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ImportId;
use muster_core::platform::random::Random;
use muster_core::platform::table::{Condition, Table, Updated, decode, encode_value, number, text};
use muster_core::platform::time::{Clock, Time};
use muster_imports::chunk::{ChunkItem, chunks_of};
use muster_imports::failure_reason::FailureReason;
use muster_imports::import::{
    AT_REST, CHUNKS_FAILED, Counts, ImportItem, ImportStatus, ReportProgress, import_key,
    report_key, report_part,
};

use crate::assembly::{Assembly, NotAssembled, Step};
use crate::corrections::Corrections;
use crate::report::{Reports, header_line};

/// How long nobody else may write the report: as long as a worker lives.
const LEASE: Duration = Duration::from_secs(330);

/// Workers in a row that may die over a report without another piece of it.
const MAX_ATTEMPTS: u32 = 5;

/// What an attempt to end an import came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It is over, or somebody else sees to it.
    Over,
    /// The time is up before the report is whole: somebody is to go on.
    OutOfTime,
}

/// Why there is no report yet.
#[derive(Debug, thiserror::Error)]
enum NotReported {
    #[error("the time is up")]
    OutOfTime,
    /// The import was cancelled, say.
    #[error("the lease was lost")]
    LeaseLost,
    #[error(transparent)]
    Failed(#[from] Failure),
}

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
        let now = self.clock.now();
        Ok(import.filter(|import| !import.status.is_final() && import.is_present(now)))
    }

    /// Ends the import if all its chunks are settled. From `until` on no further
    /// piece of its report is begun.
    ///
    /// # Errors
    /// When AWS does not do its part; looking again does the rest.
    pub async fn complete(
        &self,
        import: &ImportItem,
        reports: &Reports,
        until: Time,
    ) -> Result<Attempt, Failure> {
        if self.settled(import).await?.is_none() {
            return Ok(Attempt::Over);
        }
        let owner = self.random.name();
        let Some(import) = self.start_report(import, &owner).await? else {
            return Ok(Attempt::Over);
        };
        // Somebody may have had a chunk run again before the lease was ours.
        let Some(mut chunks) = self.settled(&import).await? else {
            self.go_on(&import, &owner).await?;
            return Ok(Attempt::Over);
        };
        let corrections = Corrections::of(&self.table, import.id, &chunks).await?;
        corrections.correct_counts(&import, &mut chunks);
        let counts: Counts = chunks.iter().map(|chunk| chunk.counts).sum();
        let report = match counts.failed {
            0 => Ok(None),
            _ => {
                // Chunks only ever add parts, and rows only lose their places.
                let of = parts_of(&import, &chunks).len() + corrections.len();
                let corrected = corrections
                    .correct_parts(&import, &mut chunks, (reports, &self.clock), until)
                    .await;
                match corrected {
                    Ok(true) => {
                        let report =
                            self.report(&import, &owner, (&chunks[..], of), reports, until);
                        report.await.map(Some)
                    }
                    Ok(false) => Err(NotReported::OutOfTime),
                    Err(failure) => Err(failure.into()),
                }
            }
        };
        let report = match report {
            Ok(report) => Ok(report),
            Err(NotReported::LeaseLost) => return Ok(Attempt::Over),
            Err(NotReported::OutOfTime) => {
                self.go_on(&import, &owner).await?;
                return Ok(Attempt::OutOfTime);
            }
            Err(NotReported::Failed(failure)) if failure.is_transient() => {
                self.go_on(&import, &owner).await?;
                return Err(failure);
            }
            Err(NotReported::Failed(failure)) => Err(failure),
        };
        self.finish(&import, &owner, &chunks, counts, report)
            .await?;
        Ok(Attempt::Over)
    }

    /// Puts the report together, from where somebody stopped; answers with its key.
    /// `of` tells it from reports of the import as it was before.
    async fn report(
        &self,
        import: &ImportItem,
        owner: &str,
        (chunks, of): (&[ChunkItem], usize),
        reports: &Reports,
        until: Time,
    ) -> Result<String, NotReported> {
        if import.report_attempts > MAX_ATTEMPTS {
            let detail = format!("{MAX_ATTEMPTS} workers died over it without another piece");
            return Err(Failure::unreadable("assemble report", detail).into());
        }
        let key = report_key(import.id);
        let header = header_line(&import.columns()?)?;
        let parts = parts_of(import, chunks);
        let assembly = |progress| {
            let place = (&*import.bucket, &*key);
            Assembly::new(reports, place, &header, parts.clone(), progress)
        };
        let begun = self.progress(import, of, reports).await;
        let mut report = assembly(begun);
        loop {
            match report.step().await {
                Ok(Step::Whole) => return Ok(key.clone()),
                Ok(Step::Piece(progress)) => self.note(import, owner, Some(progress)).await?,
                Err(NotAssembled::UploadGone) => {
                    self.note(import, owner, None).await?;
                    report = assembly(ReportProgress::of(of));
                }
                Err(NotAssembled::Failed(failure)) => return Err(failure.into()),
            }
            if self.clock.now() >= until {
                return Err(NotReported::OutOfTime);
            }
        }
    }

    /// How far the report of that number has come. That of another number is
    /// begun again, and what there was of it thrown away.
    async fn progress(&self, import: &ImportItem, of: usize, reports: &Reports) -> ReportProgress {
        match &import.report_progress {
            Some(progress) if progress.of == of => return progress.clone(),
            Some(other) => {
                let key = report_key(import.id);
                reports.abort(&import.bucket, &key, &other.upload_id).await;
            }
            None => {}
        }
        ReportProgress::of(of)
    }

    /// Notes how far the report has come, or that it is to be begun again.
    async fn note(
        &self,
        import: &ImportItem,
        owner: &str,
        progress: Option<ReportProgress>,
    ) -> Result<(), NotReported> {
        let ours = Condition::new("lease_owner = :owner").with(":owner", text(owner));
        let (change, ours) = match progress {
            Some(progress) => (
                "SET report_progress = :progress REMOVE report_attempts",
                ours.with(":progress", encode_value(&progress)?),
            ),
            None => ("REMOVE report_progress", ours),
        };
        let key = import_key(import.id);
        match self.table.change_if(&key, change, &ours).await? {
            Updated::Done(_) => Ok(()),
            Updated::Refused(_) => Err(NotReported::LeaseLost),
        }
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
        .with(":due", text(until.to_string()))
        .with(":none", number(0))
        .with(":one", number(1));
        let change = "SET #status = :next, \
             lease_owner = :owner, lease_until = :until, due_at = :due, \
             report_attempts = if_not_exists(report_attempts, :none) + :one";
        let key = import_key(import.id);
        let claimed = self.table.change_if(&key, change, &free).await?;
        match claimed.or_leased_to(owner) {
            Updated::Done(item) => decode(item).map(Some),
            // The SDK repeats a call whose reply was lost: then the lease is ours.
            Updated::Refused(found) => {
                let found: Option<ImportItem> = found.map(decode).transpose()?;
                Ok(found.filter(|found| found.lease_owner.as_deref() == Some(owner)))
            }
        }
    }

    /// Gives the lease back: there is more to do before the report, or of it. Nobody
    /// died, so no attempt counts.
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
        let change = "SET #status = :before, due_at = :now \
             REMOVE lease_owner, lease_until, report_attempts";
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
        let change = format!("{change} {AT_REST}, report_progress, report_attempts");
        let key = import_key(import.id);
        if let Updated::Done(_) = self.table.change_if(&key, &change, &ours).await? {
            tracing::info!(import_id = %import.id, status = status.as_str(), ?counts, "import over");
        }
        Ok(())
    }
}

/// The keys of the parts of the report, in the order of the file.
fn parts_of(import: &ImportItem, chunks: &[ChunkItem]) -> Vec<String> {
    let parts = chunks.iter().flat_map(|chunk| {
        let parts = chunk.parts.iter();
        parts.map(|part| report_part(import.id, chunk.number, part))
    });
    parts.collect()
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
