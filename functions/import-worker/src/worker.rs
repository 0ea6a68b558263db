//! What becomes of a nudge.
//!
//! | found | then |
//! | --- | --- |
//! | a chunk with rows to answer | imported, acknowledged |
//! | a chunk that is done | completes the import if it is the last, acknowledged |
//! | an import that is over | the chunk is due no more, acknowledged |
//! | a chunk that somebody else works on | acknowledged: it is due when that lease is over |
//! | the file gone or another one | the import fails with the reason, acknowledged |
//! | AWS not available, little time left | lease given back, back after a while |
//! | message not readable, no such chunk, a panic | left to SQS: retried, dead-lettered in the end |

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use muster_core::aws::SdkConfig;
use muster_core::batch::{Answer, NamelessRecord, Queues};
use muster_core::failure::Failure;
use muster_core::header::Header;
use muster_core::import::{Counts, ImportItem};
use muster_core::message::ChunkNudge;
use muster_core::object::{Opened, Unread, s3_client};
use muster_core::random::Random;
use muster_core::records::{RecordTooLong, Records};
use muster_core::table::Table;
use muster_core::time::{Clock, Time};

use crate::chunks::{Chunks, Claim, Claimed, NotOurs, Progress};
use crate::completion::Completion;
use crate::report::{Place, Reports};
use crate::row::RowReader;
use crate::settings::Settings;
use crate::window::Window;
use crate::writer::Writer;

/// A window is not started with less time than this: enough for the slowest
/// that still keeps its lease.
const TIME_FOR_A_WINDOW: Duration = Duration::from_secs(60);

/// Turns chunks into profiles.
pub struct Worker {
    chunks: Chunks,
    completion: Completion,
    writer: Writer,
    reports: Reports,
    s3: aws_sdk_s3::Client,
    queues: Queues,
    clock: Clock,
}

/// A nudge that comes back.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("the message is not a chunk nudge: {0}")]
    Undecodable(#[from] serde_json::Error),
    #[error("there is no such chunk")]
    Absent,
    #[error("somebody else works on this chunk")]
    Leased,
    #[error("the time is up; the rest comes back")]
    OutOfTime,
    #[error("the chunk does not read as it was planned: {0}")]
    Misread(#[from] RecordTooLong),
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// A chunk that was not finished.
enum Stopped {
    Unread(Unread),
    Unanswered(Unanswered),
}

impl<E: Into<Unanswered>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Unanswered(error.into())
    }
}

impl From<NotOurs> for Unanswered {
    fn from(error: NotOurs) -> Self {
        match error {
            NotOurs::LeaseLost => Self::Leased,
            NotOurs::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl Worker {
    /// A worker over these clients.
    pub fn new(settings: &Settings, config: &SdkConfig, clock: Clock, random: Random) -> Self {
        let table = Table::new(
            aws_sdk_dynamodb::Client::new(config),
            settings.table.clone(),
        );
        let s3 = s3_client(&settings.aws, config);
        let queue_urls = vec![settings.chunk_queue_url.clone()];
        Self {
            chunks: Chunks::new(table.clone(), clock.clone(), random.clone()),
            completion: Completion::new(table.clone(), clock.clone(), random.clone()),
            writer: Writer::new(table, random),
            reports: Reports::new(s3.clone()),
            s3,
            queues: Queues::new(aws_sdk_sqs::Client::new(config), queue_urls),
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
        match self
            .nudge(record.body.as_deref().unwrap_or_default(), deadline)
            .await
        {
            // Whoever has the lease goes on; if it dies, the chunk is due.
            Ok(()) | Err(Unanswered::Leased) => Answer::Done,
            Err(error @ (Unanswered::Failed(_) | Unanswered::OutOfTime)) => {
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
        let nudge: ChunkNudge = serde_json::from_str(body)?;
        let Some(import) = self.completion.unfinished(nudge.import_id).await? else {
            return Ok(self.chunks.retire(nudge).await?);
        };
        match self.chunks.claim(nudge).await? {
            Claim::Claimed(claimed) => self.settle(&import, *claimed, deadline).await?,
            Claim::Leased => return Err(Unanswered::Leased),
            Claim::Absent => return Err(Unanswered::Absent),
            Claim::Done => {}
        }
        Ok(self
            .completion
            .complete(nudge.import_id, &self.reports)
            .await?)
    }

    /// Imports a chunk that is ours, or gives it back.
    async fn settle(
        &self,
        import: &ImportItem,
        mut claimed: Claimed,
        deadline: Time,
    ) -> Result<(), Unanswered> {
        match self.import(import, &mut claimed, deadline).await {
            Ok(()) => Ok(()),
            Err(Stopped::Unread(Unread::Refused(reason))) => {
                tracing::warn!(import_id = %import.id, code = reason.code, "the file cannot be imported");
                Ok(self.completion.fail(import.id, &reason).await?)
            }
            Err(Stopped::Unread(Unread::Failed(failure))) => {
                self.chunks.release(&claimed).await;
                Err(failure.into())
            }
            Err(Stopped::Unanswered(error)) => {
                self.chunks.release(&claimed).await;
                Err(error)
            }
        }
    }

    async fn import(
        &self,
        import: &ImportItem,
        claimed: &mut Claimed,
        deadline: Time,
    ) -> Result<(), Stopped> {
        let header = Header::of_names(import.header.clone())
            .map_err(|reason| Failure::unreadable("read header", reason.detail))?;
        let reader = RowReader::new(import.id, header);
        let chunk = &claimed.chunk;
        if chunk.position < chunk.end {
            let range = chunk.position..chunk.end;
            let mut records = Records::resume(chunk.position, chunk.line);
            let mut file = import
                .object()
                .open(&self.s3, Some(range))
                .await
                .map_err(Stopped::Unread)?;
            self.import_rows(import, claimed, &reader, &mut records, &mut file, deadline)
                .await?;
        }
        self.chunks
            .finish(claimed)
            .await
            .map_err(Unanswered::from)?;
        Ok(())
    }

    async fn import_rows(
        &self,
        import: &ImportItem,
        claimed: &mut Claimed,
        reader: &RowReader,
        records: &mut Records,
        file: &mut Opened,
        deadline: Time,
    ) -> Result<(), Unanswered> {
        let mut window = Window::default();
        while let Some(bytes) = file.next().await? {
            let mut input = &bytes[..];
            while let Some(record) = records.next(&mut input)? {
                window.add(reader, &record, self.clock.now());
                if window.is_full() {
                    let full = std::mem::take(&mut window);
                    self.commit(import, claimed, reader, full, records).await?;
                    if self.clock.now().after(TIME_FOR_A_WINDOW) > deadline {
                        return Err(Unanswered::OutOfTime);
                    }
                }
            }
        }
        if let Some(record) = records.finish()? {
            window.add(reader, &record, self.clock.now());
        }
        if !window.is_empty() {
            self.commit(import, claimed, reader, window, records)
                .await?;
        }
        Ok(())
    }

    /// Writes a window and commits the checkpoint behind it. The refused rows
    /// go first: a checkpoint without its part would lose them.
    async fn commit(
        &self,
        import: &ImportItem,
        claimed: &mut Claimed,
        reader: &RowReader,
        window: Window,
        records: &Records,
    ) -> Result<(), Unanswered> {
        let written = self.writer.write(&window.profiles, import.confirm).await?;
        if !window.bad.is_empty() {
            let place = Place {
                bucket: &import.bucket,
                import: import.id,
                chunk: claimed.chunk.number,
                checkpoint: claimed.chunk.checkpoints,
            };
            self.reports
                .write_part(place, reader.header(), &window.bad)
                .await?;
        }
        let answered = Counts {
            skipped: window.repeated,
            failed: window.bad.len() as u64,
            ..Counts::default()
        };
        let progress = Progress {
            position: records.position(),
            line: records.line(),
            counts: written + answered,
        };
        Ok(self.chunks.checkpoint(claimed, progress).await?)
    }
}
