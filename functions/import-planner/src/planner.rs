//! What becomes of an event.
//!
//! | found | then |
//! | --- | --- |
//! | a test event, a deletion, a version that was overtaken | acknowledged |
//! | an upload | recorded, planned, acknowledged |
//! | a copy of an event, a nudge of the sweeper's | its import is planned, if it is not yet |
//! | an import that somebody else plans | acknowledged: it is due when that lease is over |
//! | a file that cannot be imported | the import fails with the reason, acknowledged |
//! | AWS not available | lease given back, back after a while |
//! | a message that is no event, a panic | left to SQS: retried, dead-lettered in the end |
//!
//! Planning again gives the same chunks, as the object is pinned to its
//! version and the cuts depend on nothing but its bytes. So a planner may die
//! anywhere.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use muster_core::aws::SdkConfig;
use muster_core::batch::{Answer, NamelessRecord, Queues};
use muster_core::failure::Failure;
use muster_core::ids::ImportId;
use muster_core::import::{Confirm, FailureReason};
use muster_core::message::ChunkNudge;
use muster_core::object::{Opened, Unread, s3_client};
use muster_core::random::Random;
use muster_core::table::Table;
use muster_core::time::Clock;
use muster_core::upload::{self, Asked, NotAnEvent, Upload};

use crate::cutter::{Cut, Cutter, Limits, Totals};
use crate::imports::{Claim, Imports, NotPlanned, Plan, Recorded, new_import};
use crate::settings::Settings;

/// Turns uploads into chunks.
pub struct Planner {
    imports: Imports,
    s3: aws_sdk_s3::Client,
    sqs: aws_sdk_sqs::Client,
    chunk_queue_url: String,
    queues: Queues,
    limits: Limits,
    clock: Clock,
}

/// An event that comes back.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error(transparent)]
    NotAnEvent(#[from] NotAnEvent),
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// A file that was not planned.
enum Stopped {
    Refused(FailureReason),
    NotPlanned(NotPlanned),
}

impl From<FailureReason> for Stopped {
    fn from(reason: FailureReason) -> Self {
        Self::Refused(reason)
    }
}

impl From<NotPlanned> for Stopped {
    fn from(error: NotPlanned) -> Self {
        Self::NotPlanned(error)
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::NotPlanned(failure.into())
    }
}

impl From<Unread> for Stopped {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Refused(reason) => reason.into(),
            Unread::Failed(failure) => failure.into(),
        }
    }
}

impl Planner {
    /// A planner over these clients.
    pub fn new(
        settings: &Settings,
        config: &SdkConfig,
        limits: Limits,
        clock: Clock,
        random: Random,
    ) -> Self {
        let table = Table::new(
            aws_sdk_dynamodb::Client::new(config),
            settings.table.clone(),
        );
        let sqs = aws_sdk_sqs::Client::new(config);
        Self {
            imports: Imports::new(table, clock.clone(), random),
            s3: s3_client(&settings.aws, config),
            queues: Queues::new(sqs.clone(), vec![settings.import_queue_url.clone()]),
            sqs,
            chunk_queue_url: settings.chunk_queue_url.clone(),
            limits,
            clock,
        }
    }

    /// Answers a batch, each record for itself.
    ///
    /// # Errors
    /// When a record has no id.
    pub async fn answer(&self, event: SqsEvent) -> Result<SqsBatchResponse, NamelessRecord> {
        self.queues
            .answer(event, |record| self.record(record))
            .await
    }

    async fn record(&self, record: SqsMessage) -> Answer {
        let message_id = record.message_id.as_deref();
        match self.event(record.body.as_deref().unwrap_or_default()).await {
            Ok(()) => Answer::Done,
            Err(error @ Unanswered::NotAnEvent(_)) => {
                tracing::error!(message_id, %error, "event left to the queue");
                Answer::Retry
            }
            Err(error) => {
                tracing::error!(message_id, %error, "event comes back later");
                Answer::retry_with_back_off(&record)
            }
        }
    }

    async fn event(&self, body: &str) -> Result<(), Unanswered> {
        match upload::read(body)? {
            Asked::Plan(id) => self.plan_if_ours(id).await,
            Asked::Uploads(uploads) => {
                for upload in uploads {
                    self.upload(&upload).await?;
                }
                Ok(())
            }
        }
    }

    async fn upload(&self, upload: &Upload) -> Result<(), Unanswered> {
        let import = new_import(upload, self.clock.now());
        let Recorded::Import(id) = self.imports.record(import).await? else {
            tracing::info!("an event was overtaken by a newer one of its object");
            return Ok(());
        };
        self.plan_if_ours(id).await
    }

    async fn plan_if_ours(&self, id: ImportId) -> Result<(), Unanswered> {
        match self.imports.claim(id).await? {
            Claim::Claimed(plan) => self.settle(&plan).await,
            Claim::Leased | Claim::Settled => Ok(()),
        }
    }

    /// Plans an import that is ours, or says why it cannot be.
    async fn settle(&self, plan: &Plan) -> Result<(), Unanswered> {
        let import_id = plan.import.id;
        let result = match self.plan(plan).await {
            Ok(totals) => {
                tracing::info!(%import_id, rows = totals.rows, chunks = totals.chunks, "import planned");
                Ok(())
            }
            Err(Stopped::Refused(reason)) => {
                tracing::warn!(%import_id, code = reason.code, "the file cannot be imported");
                self.imports.fail(plan, &reason).await
            }
            Err(Stopped::NotPlanned(error)) => Err(error),
        };
        match result {
            Ok(()) => Ok(()),
            // Whoever has the lease now goes on.
            Err(NotPlanned::LeaseLost) => Ok(()),
            Err(NotPlanned::Failed(failure)) => {
                self.imports.release(plan).await;
                Err(failure.into())
            }
        }
    }

    async fn plan(&self, plan: &Plan) -> Result<Totals, Stopped> {
        let mut file = plan.import.object().open(&self.s3, None).await?;
        let confirm = Confirm::parse(file.metadata.get("confirm").map(String::as_str))?;
        let totals = self.cut(plan, &mut file, confirm).await?;
        self.imports.planned_whole(plan, totals).await?;
        self.nudge_completion(plan.import.id, totals).await?;
        Ok(totals)
    }

    async fn cut(
        &self,
        plan: &Plan,
        file: &mut Opened,
        confirm: Confirm,
    ) -> Result<Totals, Stopped> {
        let mut cutter = Cutter::new(self.limits);
        let mut kept = false;
        while let Some(bytes) = file.next().await? {
            let cuts = cutter.feed(&bytes)?;
            if let (false, Some(header)) = (kept, cutter.header()) {
                self.imports.keep(plan, header, confirm).await?;
                kept = true;
            }
            for cut in cuts {
                self.add(plan, &cut).await?;
            }
        }
        let (last, totals) = cutter.finish()?;
        if let (false, Some(header)) = (kept, cutter.header()) {
            self.imports.keep(plan, header, confirm).await?;
        }
        if let Some(cut) = last {
            self.add(plan, &cut).await?;
        }
        Ok(totals)
    }

    async fn add(&self, plan: &Plan, cut: &Cut) -> Result<(), Stopped> {
        self.imports.add_chunk(plan, cut).await?;
        self.nudge(plan.import.id, cut.number).await?;
        Ok(())
    }

    /// The worker that finishes the last chunk completes the import, if the
    /// import is planned by then. If it was not, nobody has completed it, and
    /// a chunk that is done already is asked to.
    async fn nudge_completion(&self, id: ImportId, totals: Totals) -> Result<(), Failure> {
        if totals.chunks > 0 && self.imports.all_done(id).await? {
            self.nudge(id, totals.chunks - 1).await?;
        }
        Ok(())
    }

    async fn nudge(&self, import_id: ImportId, chunk: u32) -> Result<(), Failure> {
        let body = serde_json::to_string(&ChunkNudge { import_id, chunk })
            .map_err(|error| Failure::unreadable("encode nudge", error))?;
        self.sqs
            .send_message()
            .queue_url(&self.chunk_queue_url)
            .message_body(body)
            .send()
            .await
            .map_err(|error| Failure::of("SendMessage", error))?;
        Ok(())
    }
}
