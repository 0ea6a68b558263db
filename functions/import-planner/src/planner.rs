//! What becomes of an event.
//!
//! | found | then |
//! | --- | --- |
//! | a test event, a deletion, a version that was overtaken | acknowledged |
//! | an upload | recorded, planned, acknowledged |
//! | a copy of an event, a nudge | its import is looked after |
//! | an import that somebody else plans | acknowledged: it is due when that lease is over |
//! | a file that cannot be imported | the import fails with the reason, acknowledged |
//! | AWS not available | lease given back, back after a while |
//! | little time left | lease given back, the import handed on by a nudge |
//! | a message that is no event, a panic | left to SQS: retried, dead-lettered in the end |
//!
//! How far the plan has come is written with each chunk, and the object is
//! pinned to its version. So a planner may die anywhere, and the next one cuts
//! on from the last chunk.

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use muster_core::platform::aws::SdkConfig;
use muster_core::platform::batch::{Answer, NamelessRecord, Queues};
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ImportId;
use muster_core::platform::queue::send;
use muster_core::platform::random::Random;
use muster_core::platform::table::Table;
use muster_core::platform::time::{Clock, Time};
use muster_imports::csv::header::Header;
use muster_imports::failure_reason::FailureReason;
use muster_imports::import::{ImportItem, ImportStatus};
use muster_imports::lanes::Lanes;
use muster_imports::nudges::PlanNudge;
use muster_imports::object::{Opened, Unread, s3_client};
use muster_imports::options::{Choice, Options, Presets};
use muster_imports::s3_event::{self, Asked, NotAnEvent, Upload};

use crate::cutter::{ChunkSize, Cut, Cutter, Limits, Totals};
use crate::imports::{Claim, Imports, NotPlanned, Plan, Recorded};
use crate::settings::Settings;

/// No chunk is cut with less time than this: enough to read 8 MiB slowly.
const TIME_FOR_A_CHUNK: Duration = Duration::from_secs(60);

/// Turns uploads into chunks.
pub struct Planner {
    imports: Imports,
    lanes: Lanes,
    s3: aws_sdk_s3::Client,
    sqs: aws_sdk_sqs::Client,
    import_queue_url: String,
    queues: Queues,
    presets: Presets,
    /// Lanes of a new import.
    width: u32,
    size: ChunkSize,
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
    OutOfTime,
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
    /// A planner over these clients that cuts chunks of that size.
    pub fn new(
        settings: &Settings,
        config: &SdkConfig,
        size: ChunkSize,
        clock: Clock,
        random: Random,
    ) -> Self {
        let table = Table::new(
            aws_sdk_dynamodb::Client::new(config),
            settings.table.clone(),
        );
        let sqs = aws_sdk_sqs::Client::new(config);
        let queue = &settings.import_queue_url;
        Self {
            lanes: Lanes::new(
                table.clone(),
                sqs.clone(),
                settings.chunk_queue_url.clone(),
                clock.clone(),
            ),
            imports: Imports::new(table, clock.clone(), random),
            s3: s3_client(&settings.aws, config),
            queues: Queues::new(sqs.clone(), vec![queue.clone()]),
            sqs,
            import_queue_url: queue.clone(),
            presets: settings.presets.clone(),
            width: settings.lanes.max(1),
            size,
            limits: settings.limits,
            clock,
        }
    }

    /// Answers a batch, each record for itself. `deadline` is when the process is
    /// stopped.
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
        match self.event(body, deadline).await {
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

    async fn event(&self, body: &str, deadline: Time) -> Result<(), Unanswered> {
        match s3_event::read(body)? {
            Asked::Plan(id) => self.look_after(id, deadline).await?,
            Asked::Uploads(uploads) => {
                for upload in uploads {
                    self.upload(&upload, deadline).await?;
                }
            }
        }
        Ok(())
    }

    async fn upload(&self, upload: &Upload, deadline: Time) -> Result<(), Failure> {
        match self.imports.record(upload).await? {
            Recorded::Import(id) => self.look_after(id, deadline).await,
            Recorded::Stale => {
                tracing::info!("an upload was overtaken, or nobody waits for it any more");
                Ok(())
            }
        }
    }

    /// Does what an import needs next, whatever that is.
    async fn look_after(&self, id: ImportId, deadline: Time) -> Result<(), Failure> {
        let Some(import) = self.imports.get(id).await? else {
            return Ok(());
        };
        match import.status {
            ImportStatus::AwaitingUpload => self.imports.expire(id).await,
            ImportStatus::Queued | ImportStatus::Planning => match self.imports.claim(id).await? {
                Claim::Claimed(mut plan) => self.settle(&mut plan, deadline).await,
                Claim::Taken => Ok(()),
            },
            ImportStatus::Running | ImportStatus::Cancelling | ImportStatus::Reporting => {
                self.tend(&import).await
            }
            _ => Ok(()),
        }
    }

    /// Queues what is to be queued of an import; if that is nothing, a worker is to
    /// complete it.
    async fn tend(&self, import: &ImportItem) -> Result<(), Failure> {
        if self.lanes.open_all(import).await? {
            return Ok(());
        }
        match import.known_chunks().checked_sub(1) {
            Some(last) => self.lanes.nudge(import.id, last).await,
            None => self.imports.cancelled(import.id).await,
        }
    }

    /// Plans an import that is ours, or says why it cannot be.
    async fn settle(&self, plan: &mut Plan, deadline: Time) -> Result<(), Failure> {
        let import_id = plan.import.id;
        let result = match self.plan(plan, deadline).await {
            Ok(totals) => {
                tracing::info!(%import_id, rows = totals.rows, chunks = totals.chunks, "import planned");
                Ok(())
            }
            Err(Stopped::Refused(reason)) => {
                tracing::warn!(%import_id, code = reason.code, "the file cannot be imported");
                self.imports.fail(plan, &reason).await
            }
            Err(Stopped::OutOfTime) => {
                self.imports.release(plan).await;
                tracing::info!(%import_id, "the time is up; another planner goes on");
                let nudge = PlanNudge { import_id };
                let sent = send(&self.sqs, &self.import_queue_url, &nudge, Duration::ZERO).await;
                sent.map_err(NotPlanned::from)
            }
            Err(Stopped::NotPlanned(error)) => Err(error),
        };
        match result {
            // Whoever has the lease now goes on; a cancelled one is left.
            Ok(()) | Err(NotPlanned::LeaseLost) => Ok(()),
            Err(NotPlanned::Failed(failure)) => {
                self.imports.release(plan).await;
                Err(failure)
            }
        }
    }

    async fn plan(&self, plan: &mut Plan, deadline: Time) -> Result<Totals, Stopped> {
        if plan.import.planned.is_some() {
            // Who planned before may have died before it could queue them.
            self.lanes.open_all(&plan.import).await?;
        }
        let totals = self.cut(plan, deadline).await?;
        self.imports.planned_whole(plan, totals).await?;
        if totals.chunks > 0 {
            // The worker that settles the last chunk completes the import, if the
            // import is planned by then. If it was not, nobody has completed it.
            self.tend(&plan.import).await?;
        }
        Ok(totals)
    }

    async fn cut(&self, plan: &mut Plan, deadline: Time) -> Result<Totals, Stopped> {
        let (mut file, mut cutter) = self.open(plan).await?;
        while let Some(bytes) = file.next().await? {
            let cuts = cutter.feed(&bytes)?;
            self.keep(plan, &cutter, &file).await?;
            for cut in cuts {
                self.add(plan, &cut).await?;
                if self.clock.now().after(TIME_FOR_A_CHUNK) > deadline {
                    return Err(Stopped::OutOfTime);
                }
            }
        }
        let (last, totals) = cutter.finish()?;
        self.keep(plan, &cutter, &file).await?;
        if let Some(cut) = last {
            self.add(plan, &cut).await?;
        }
        Ok(totals)
    }

    /// The file from its start, or from where the plan has come to.
    async fn open(&self, plan: &Plan) -> Result<(Opened, Cutter), Stopped> {
        let import = &plan.import;
        let size = import.file.as_ref().map_or(0, |file| file.size);
        if size > self.limits.bytes {
            return Err(too_big(size, self.limits.bytes).into());
        }
        let object = import.object().ok_or_else(|| {
            Failure::unreadable("read import", "it is to be planned and has no file")
        })?;
        let Some(planned) = import.planned else {
            let file = object.open(&self.s3, None).await?;
            return Ok((file, Cutter::new(self.size, self.limits)));
        };
        let header = Header::of_names(import.header.clone())?;
        let file = object.open(&self.s3, Some(planned.position..size)).await?;
        let cutter = Cutter::resume(self.size, self.limits, header, planned);
        Ok((file, cutter))
    }

    /// Keeps the header as soon as it is known, and with it the options.
    async fn keep(&self, plan: &mut Plan, cutter: &Cutter, file: &Opened) -> Result<(), Stopped> {
        match cutter.header() {
            Some(header) if plan.import.header.is_empty() => {
                let options = self.options(&plan.import, file)?;
                self.imports.keep(plan, header, options, self.width).await?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What the import was made with; of a file that was dropped, what its
    /// metadata say, and then its folder.
    fn options(&self, import: &ImportItem, file: &Opened) -> Result<Options, FailureReason> {
        if import.was_made() {
            return Ok(import.options);
        }
        let folder = self.presets.of_key(&import.key)?;
        let metadata = file.metadata.iter();
        let said = Choice::of_metadata(metadata.map(|(name, value)| (&**name, &**value)))?;
        Ok(said.over(folder.over(Options::default())))
    }

    async fn add(&self, plan: &mut Plan, cut: &Cut) -> Result<(), Stopped> {
        self.imports.add_chunk(plan, cut).await?;
        self.lanes.open_new(&plan.import, cut.number).await?;
        Ok(())
    }
}

fn too_big(size: u64, most: u64) -> FailureReason {
    FailureReason::new(
        "file_too_big",
        format!(
            "the file has {size} bytes; at most {most} are taken (ImportMaxFileBytes): import it \
             in pieces"
        ),
    )
}
