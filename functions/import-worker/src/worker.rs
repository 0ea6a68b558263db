//! What becomes of a nudge.
//!
//! | found | then |
//! | --- | --- |
//! | a chunk with rows to answer | imported, acknowledged |
//! | a chunk of a cancelled import, or of one that is resumed | its mails are called off, or on again |
//! | a chunk that is settled | the next of its lane is queued, or the import ends; acknowledged |
//! | an import that is over | the chunk is due no more, acknowledged |
//! | a chunk that somebody else works on | acknowledged: it is due when that lease is over |
//! | a chunk that was tried in vain too often | given up with the reason, acknowledged |
//! | the file gone or another one | the import fails with the reason, acknowledged |
//! | AWS not available | lease given back, back after a while |
//! | little time left, also for the report | lease given back, handed on by another nudge |
//! | message not readable, no such chunk, a panic | left to SQS: retried, dead-lettered in the end |

use std::ops::Range;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use muster_core::platform::aws::SdkConfig;
use muster_core::platform::batch::{Answer, NamelessRecord, Queues};
use muster_core::platform::failure::Failure;
use muster_core::platform::random::Random;
use muster_core::platform::table::Table;
use muster_core::platform::time::{Clock, Time};
use muster_imports::chunk::{Call, Calling, Job};
use muster_imports::failure_reason::FailureReason;
use muster_imports::import::{Counts, ImportItem};
use muster_imports::lanes::Lanes;
use muster_imports::nudges::ChunkNudge;
use muster_imports::object::s3_client;

use crate::chunks::{Chunks, Claim, Claimed, Progress, nudge_of};
use crate::completion::{Attempt, Completion};
use crate::mails::{IN_HAND_FOR, Mails};
use crate::report::{Place, Reports};
use crate::row::RowReader;
use crate::settings::Settings;
use crate::task::Task;
use crate::unanswered::Unanswered;
use crate::window::{Window, Windows};
use crate::writer::Writer;

/// A window is not started with less time than this: enough for the slowest
/// that still keeps its lease.
const TIME_FOR_A_WINDOW: Duration = Duration::from_secs(60);
/// No piece of a report is begun with less time than this: enough for S3 to put
/// all of them together.
const TIME_FOR_A_REPORT: Duration = Duration::from_secs(120);
/// No transaction is begun so short before the end of a lease: one takes as long
/// as this at the most.
const TIME_FOR_A_TRANSACTION: Duration = muster_core::platform::aws::OPERATION_TIMEOUT;
/// Tries of a chunk without a checkpoint that end in a crash, or in what does not
/// pass. Fewer than the queue's receives, so that the chunk is given up with a
/// reason, and not its message without one.
const MAX_ATTEMPTS: u32 = 3;

/// Turns chunks into profiles.
pub struct Worker {
    chunks: Chunks,
    completion: Completion,
    lanes: Lanes,
    writer: Writer,
    mails: Mails,
    reports: Reports,
    s3: aws_sdk_s3::Client,
    queues: Queues,
    clock: Clock,
}

impl Worker {
    /// A worker over these clients.
    pub fn new(settings: &Settings, config: &SdkConfig, clock: Clock, random: Random) -> Self {
        let table = Table::new(
            aws_sdk_dynamodb::Client::new(config),
            settings.table.clone(),
        );
        let s3 = s3_client(&settings.aws, config);
        let sqs = aws_sdk_sqs::Client::new(config);
        let queue = &settings.chunk_queue_url;
        Self {
            chunks: Chunks::new(table.clone(), clock.clone(), random.clone()),
            completion: Completion::new(table.clone(), clock.clone(), random.clone()),
            lanes: Lanes::new(table.clone(), sqs.clone(), queue.clone(), clock.clone()),
            mails: Mails::new(table.clone(), clock.clone(), random.clone()),
            writer: Writer::new(table, clock.clone(), random),
            reports: Reports::new(s3.clone()),
            s3,
            queues: Queues::new(sqs, vec![queue.clone()]),
            clock,
        }
    }

    /// Answers a batch, each record for itself. `deadline` is when the
    /// process is stopped.
    ///
    /// # Errors
    /// When a record has no id.
    pub async fn answer(
        &self,
        event: SqsEvent,
        deadline: Time,
    ) -> Result<SqsBatchResponse, NamelessRecord> {
        self.queues
            .answer(event, |record| self.record(record, deadline))
            .await
    }

    async fn record(&self, record: SqsMessage, deadline: Time) -> Answer {
        let message_id = record.message_id.as_deref();
        let body = record.body.as_deref().unwrap_or_default();
        match self.nudge(body, deadline).await {
            // Whoever has the lease goes on; if it dies, the chunk is due.
            Ok(()) | Err(Unanswered::Leased) => Answer::Done,
            Err(error @ Unanswered::InHand(_)) => {
                tracing::info!(message_id, %error, "chunk comes back later");
                Answer::RetryIn(IN_HAND_FOR)
            }
            Err(error) if error.passes() => {
                tracing::warn!(message_id, %error, "chunk comes back later");
                Answer::retry_with_back_off(&record)
            }
            Err(error) => {
                tracing::error!(message_id, %error, "nudge left to the queue");
                Answer::Retry
            }
        }
    }

    async fn nudge(&self, body: &str, deadline: Time) -> Result<(), Unanswered> {
        let nudge = ChunkNudge::read(body)?;
        match self.chunk(nudge, deadline).await {
            // A message that came back so often would be a dead letter one day,
            // though all goes well.
            Err(Unanswered::OutOfTime) => {
                Ok(self.lanes.nudge(nudge.import_id, nudge.chunk).await?)
            }
            result => result,
        }
    }

    async fn chunk(&self, nudge: ChunkNudge, deadline: Time) -> Result<(), Unanswered> {
        let (import, chunk) = self.chunks.look(nudge).await?;
        let Some(import) = import.filter(|import| !import.status.is_final()) else {
            return Ok(self.chunks.retire(nudge).await?);
        };
        let chunk = chunk.ok_or(Unanswered::Absent)?;
        if chunk.is_settled(&import) {
            if chunk.due_shard.is_some() {
                self.chunks.retire(nudge).await?;
            }
        } else {
            match self.chunks.claim(nudge).await? {
                Claim::Claimed(claimed) => self.settle(*claimed, deadline).await?,
                Claim::Leased => return Err(Unanswered::Leased),
            }
        }
        self.move_on(nudge, deadline).await
    }

    /// The chunk is settled: the next one of its lane, or the end.
    async fn move_on(&self, nudge: ChunkNudge, deadline: Time) -> Result<(), Unanswered> {
        let Some(import) = self.completion.unfinished(nudge.import_id).await? else {
            return Ok(());
        };
        if self.lanes.advance(&import, nudge.chunk).await? {
            return Ok(());
        }
        if self.clock.now().after(TIME_FOR_A_REPORT) > deadline {
            return Err(Unanswered::OutOfTime);
        }
        let until = deadline.before(TIME_FOR_A_REPORT);
        let attempt = self.completion.complete(&import, &self.reports, until);
        match attempt.await? {
            Attempt::Over => Ok(()),
            Attempt::OutOfTime => Err(Unanswered::OutOfTime),
        }
    }

    /// Settles a chunk that is ours, or gives it back.
    async fn settle(&self, mut claimed: Claimed, deadline: Time) -> Result<(), Unanswered> {
        let import_id = claimed.chunk.import_id;
        match self.work(&mut claimed, deadline).await {
            Ok(()) => Ok(()),
            Err(Unanswered::Refused(reason)) => {
                tracing::warn!(%import_id, code = reason.code, "the file cannot be imported");
                self.completion.fail(import_id, &reason).await?;
                Ok(self.chunks.retire(nudge_of(&claimed.chunk)).await?)
            }
            Err(error) => {
                let trouble = (!error.passes()).then(|| error.to_string());
                self.chunks.release(&mut claimed, trouble.as_deref()).await;
                Err(error)
            }
        }
    }

    /// Does what there is to do for a chunk, until there is nothing.
    async fn work(&self, claimed: &mut Claimed, deadline: Time) -> Result<(), Unanswered> {
        loop {
            let import_id = claimed.chunk.import_id;
            let import = self.completion.unfinished(import_id).await?;
            let job = import.as_ref().and_then(|import| claimed.chunk.job(import));
            let (Some(import), Some(job)) = (import, job) else {
                return Ok(self.chunks.stop(claimed).await?);
            };
            match job {
                Job::Stop => return Ok(self.chunks.stop(claimed).await?),
                Job::CallOff => {
                    self.call(Call::Off, &import, claimed, deadline).await?;
                    return Ok(self.chunks.called_off(claimed).await?);
                }
                Job::CallOn => {
                    self.call(Call::On, &import, claimed, deadline).await?;
                    self.chunks.called_on(claimed).await?;
                }
                Job::Import if claimed.chunk.attempts > MAX_ATTEMPTS => {
                    let reason = given_up(claimed);
                    tracing::error!(%import_id, chunk = claimed.chunk.number, detail = reason.detail, "chunk given up");
                    return Ok(self.chunks.fail(claimed, &reason).await?);
                }
                Job::Import => {
                    if self.import(&import, claimed, deadline).await? {
                        return Ok(self.chunks.finish(claimed).await?);
                    }
                }
            }
        }
    }

    /// Imports the rows of a chunk that are not answered yet; says whether all
    /// are. They are not if the import was stopped meanwhile.
    ///
    /// While a window is written, the next one is read.
    async fn import(
        &self,
        import: &ImportItem,
        claimed: &mut Claimed,
        deadline: Time,
    ) -> Result<bool, Unanswered> {
        let chunk = &claimed.chunk;
        let reader = RowReader::of(import)?;
        let rest = chunk.position..chunk.end;
        let mut windows = self.windows(import, &reader, rest, chunk.line).await?;
        let mut next = windows.next().await?;
        while let Some(window) = next {
            let (committed, read) = tokio::join!(
                self.commit(import, claimed, &reader, window),
                windows.next()
            );
            committed?;
            next = read?;
            if next.is_none() {
                break;
            }
            if self.clock.now().after(TIME_FOR_A_WINDOW) > deadline {
                return Err(Unanswered::OutOfTime);
            }
            if !self.goes_on(import).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether rows are still to be imported. Asked between windows: whoever stops
    /// an import waits for no more than those under way.
    async fn goes_on(&self, import: &ImportItem) -> Result<bool, Failure> {
        let import = self.completion.unfinished(import.id).await?;
        Ok(import.is_some_and(|import| import.status.imports()))
    }

    async fn windows<'a>(
        &'a self,
        import: &ImportItem,
        reader: &'a RowReader,
        range: Range<u64>,
        line: u64,
    ) -> Result<Windows<'a>, Unanswered> {
        let object = import.object().ok_or_else(|| {
            Failure::unreadable("read import", "it is being imported and has no file")
        })?;
        let start = range.start;
        let file = object.open(&self.s3, Some(range)).await?;
        Ok(Windows::new(
            reader,
            import.options,
            file,
            (start, line),
            &self.clock,
        ))
    }

    /// Writes a window and commits the checkpoint behind it. The refused rows
    /// go first: a checkpoint without its part would lose them.
    async fn commit(
        &self,
        import: &ImportItem,
        claimed: &mut Claimed,
        reader: &RowReader,
        window: Window,
    ) -> Result<(), Unanswered> {
        let lease = claimed.chunk.lease_until.unwrap_or(self.clock.now());
        let task = Task {
            import,
            chunk: claimed.chunk.number,
            email: reader.email(),
            until: lease.before(TIME_FOR_A_TRANSACTION),
        };
        let written = self.writer.write(&window.rows, task).await?;
        let mut bad = window.bad;
        bad.extend(written.bad);
        bad.sort_by_key(|bad| bad.line);
        let part = match bad.is_empty() {
            true => None,
            false => {
                let place = Place {
                    bucket: &import.bucket,
                    import: import.id,
                    chunk: claimed.chunk.number,
                    checkpoint: claimed.chunk.checkpoints,
                    owner: &claimed.owner,
                };
                let header = reader.header();
                Some(self.reports.write_part(place, header, &bad).await?)
            }
        };
        let answered = Counts {
            skipped: window.repeated,
            failed: bad.len() as u64,
            ..Counts::default()
        };
        let progress = Progress {
            position: window.position,
            line: window.line,
            counts: written.counts + answered,
            part,
        };
        Ok(self.chunks.checkpoint(claimed, progress).await?)
    }

    /// Calls the mails of all rows that may be written off, or on again: those that
    /// are answered, and the window behind them. Goes on where somebody stopped.
    async fn call(
        &self,
        call: Call,
        import: &ImportItem,
        claimed: &mut Claimed,
        deadline: Time,
    ) -> Result<(), Unanswered> {
        let chunk = &claimed.chunk;
        let reader = RowReader::of(import)?;
        let mut calling = chunk.calling(call);
        let (rest, answered) = (calling.position..chunk.end, chunk.position);
        let mut windows = self.windows(import, &reader, rest, calling.line).await?;
        self.chunks.turn(claimed, calling).await?;
        while windows.position() <= answered
            && let Some(window) = windows.next().await?
        {
            calling.in_hand += self.mails.call(call, &window.rows).await? as u64;
            (calling.position, calling.line) = (window.position, window.line);
            self.chunks.turn(claimed, calling).await?;
            if self.clock.now().after(TIME_FOR_A_WINDOW) > deadline {
                return Err(Unanswered::OutOfTime);
            }
        }
        if calling.in_hand == 0 {
            return Ok(());
        }
        let again = Calling {
            position: claimed.chunk.start,
            line: claimed.chunk.first_line,
            in_hand: 0,
            ..calling
        };
        self.chunks.turn(claimed, again).await?;
        Err(Unanswered::InHand(calling.in_hand))
    }
}

/// Why a chunk is given up that was tried in vain too often.
fn given_up(claimed: &Claimed) -> FailureReason {
    let chunk = &claimed.chunk;
    let trouble = match &chunk.trouble {
        Some(trouble) => trouble,
        None => "the worker crashed, ran out of memory or out of time",
    };
    let detail = format!(
        "{MAX_ATTEMPTS} attempts at line {} came to nothing: {trouble}",
        chunk.line
    );
    FailureReason::new("attempts_used_up", detail)
}
