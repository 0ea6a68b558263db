//! Imports that operators make, start, cancel and resume: one conditional write
//! each, and a nudge to the planner, which does the rest.
//!
//! | status | start | cancel | resume |
//! | --- | --- | --- | --- |
//! | `awaiting_upload` | starts by itself when the file is there | `cancelled` | no |
//! | `awaiting_start` | `queued` | `cancelled` | no |
//! | `queued` | – | `cancelled` | – |
//! | `planning`, `running` | – | `cancelling` | its failed chunks again |
//! | `reporting` | – | `cancelling` | no |
//! | `completed`, `completed_with_errors` | – | `cancelling`, if it sends mails | no |
//! | `cancelling` | no | – | no |
//! | `cancelled` | no | – | goes on where it stopped |
//! | `failed` | no | `cancelling`, if it sends mails | its failed chunks again |
//!
//! A dash leaves it as it is, so that a request whose answer was lost can be
//! sent again. Whatever the planner is to look at is due from then on: if its
//! nudge is lost, the sweeper sends another.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use muster_core::people::idempotency::{MadeImport, RequestItem};
use muster_core::people::profile::ROW_LIFETIME;
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ImportId;
use muster_core::platform::random::Random;
use muster_core::platform::table::expired;
use muster_core::platform::table::{
    Condition, NotCommitted, Table, Updated, decode, encode_value, number, text,
};
use muster_core::platform::time::{Clock, Time};
use muster_http::problem::{Kind, Problem};
use muster_imports::chunk::{ChunkItem, chunk_key, chunks_of};
use muster_imports::failure_reason::FailureReason;
use muster_imports::import::ImportStatus::{
    AwaitingStart, AwaitingUpload, Cancelled, Cancelling, Completed, CompletedWithErrors, Failed,
    Planning, Queued, Reporting, Running,
};
use muster_imports::import::{
    CHUNKS_FAILED, Counts, ImportItem, Start, due_shard, import_expiry, import_key,
};
use muster_imports::options::Options;
use muster_imports::s3_event::key_of;

use crate::idempotency::RequestKey;
use crate::imports::upload_form::{LIFETIME, Upload, Uploads};
use crate::problems::{no_import, not_failed, reused};
use crate::queue::Nudges;

/// How often a request looks again when something else came in between.
const TRIES: u32 = 4;
/// How long after its form has expired an upload may still be on its way.
const UPLOAD_TIME: Duration = Duration::from_secs(60 * 60);
/// Chunks that are made ready to run again at once.
const CONCURRENCY: usize = 16;

/// Makes and moves imports.
pub struct Importing {
    table: Table,
    nudges: Nudges,
    uploads: Uploads,
    clock: Clock,
    random: Random,
}

/// What somebody wants imported.
#[derive(Debug, Clone)]
pub struct NewImport {
    /// What is done with the people in the file.
    pub options: Options,
    /// Whether it waits to be started.
    pub start: Start,
    /// What the file is called where it comes from.
    pub file_name: Option<String>,
    /// Who asks for it.
    pub by: String,
}

/// Why nothing was done about an import.
#[derive(Debug, thiserror::Error)]
pub enum NotMoved {
    /// There is no such import.
    #[error("there is no such import")]
    Absent,
    /// Its status does not allow it.
    #[error("{0}")]
    Refused(String),
    /// Chunks that were named have not failed: these of the list.
    #[error("chunks that have not failed cannot be run again")]
    NotFailed(Vec<usize>),
    /// The key was used for something else.
    #[error("the idempotency key was used for another payload")]
    KeyReused,
    /// AWS did not do its part.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<NotMoved> for Problem {
    fn from(error: NotMoved) -> Self {
        match error {
            NotMoved::Absent => no_import(),
            NotMoved::Refused(detail) => Self::new(Kind::Conflict, detail),
            NotMoved::NotFailed(indexes) => {
                Self::invalid(indexes.into_iter().map(not_failed).collect())
            }
            NotMoved::KeyReused => reused(),
            NotMoved::Failed(failure) => failure.into(),
        }
    }
}

/// What to do with an import that was seen: nothing if it is fine as it is.
type Decision = Result<Option<Change>, NotMoved>;

/// A change of an import that is still at what it was seen at.
struct Change {
    expression: &'static str,
    unmoved: Condition,
}

impl Change {
    fn of(import: &ImportItem, expression: &'static str) -> Self {
        let unmoved = Condition::new("#status = :seen").with(":seen", import.status.into());
        Self {
            expression,
            unmoved,
        }
    }

    fn with(mut self, name: &str, value: AttributeValue) -> Self {
        self.unmoved = self.unmoved.with(name, value);
        self
    }

    /// For expressions that make it due now.
    fn due(self, import: &ImportItem, now: Time) -> Self {
        self.with(":shard", text(due_shard(import.id)))
            .with(":due", text(now.to_string()))
    }
}

impl Importing {
    /// Imports in that table, whose files are uploaded by those forms.
    pub const fn new(
        table: Table,
        nudges: Nudges,
        uploads: Uploads,
        clock: Clock,
        random: Random,
    ) -> Self {
        Self {
            table,
            nudges,
            uploads,
            clock,
            random,
        }
    }

    /// Makes an import whose file is to be uploaded. Answers with the one that
    /// the same request made, if it came before.
    ///
    /// # Errors
    /// See [`NotMoved`].
    pub async fn create(
        &self,
        asked: NewImport,
        request: Option<&RequestKey>,
    ) -> Result<ImportItem, NotMoved> {
        let mut cancelled = Vec::new();
        for _ in 0..TRIES {
            if let Some(request) = request
                && let Some(id) = self.made_by(request).await?
            {
                return self.find(id).await;
            }
            let import = self.new_import(&asked);
            let actions = self.actions(&import, request)?;
            // The id is fresh, so it names this transaction and no other.
            match self.table.transact(actions, &import.id.to_string()).await {
                Ok(()) => return Ok(import),
                Err(NotCommitted::Failed(failure)) => return Err(failure.into()),
                // The same request was faster: look at what it made.
                Err(NotCommitted::Cancelled(reasons)) => cancelled = reasons,
            }
        }
        Err(NotMoved::Failed(NotCommitted::Cancelled(cancelled).into()))
    }

    /// The import that a request made when it came before.
    async fn made_by(&self, request: &RequestKey) -> Result<Option<ImportId>, NotMoved> {
        let record: Option<RequestItem<MadeImport>> = self.table.get(&request.record).await?;
        let now = self.clock.now();
        match record.filter(|record| !expired(Some(record.expires_at), now)) {
            Some(record) if record.payload != request.payload => Err(NotMoved::KeyReused),
            record => Ok(record.map(|record| record.made.import_id)),
        }
    }

    fn new_import(&self, asked: &NewImport) -> ImportItem {
        let now = self.clock.now();
        let id = ImportId::new(now, &self.random);
        let until = now.after(LIFETIME);
        let bucket = self.uploads.bucket().to_owned();
        ImportItem {
            options: asked.options,
            start: asked.start,
            file_name: asked.file_name.clone(),
            started_by: Some(asked.by.clone()),
            upload_until: Some(until),
            due_at: Some(until.after(UPLOAD_TIME).to_string()),
            ..ImportItem::new(id, bucket, key_of(id), now)
        }
    }

    fn actions(
        &self,
        import: &ImportItem,
        request: Option<&RequestKey>,
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        let (table, now) = (&self.table, import.created_at);
        let mut actions = vec![table.put(&import_key(import.id), import, &Condition::absent())?];
        if let Some(request) = request {
            let made = MadeImport {
                import_id: import.id,
            };
            let record = RequestItem::new(request.payload.clone(), made, now);
            let free = Condition::absent_or_expired(now);
            actions.push(table.put(&request.record, &record, &free)?);
        }
        Ok(actions)
    }

    /// The form by which the file is uploaded, while it is waited for.
    pub fn upload_of(&self, import: &ImportItem) -> Option<Upload> {
        let now = self.clock.now();
        let awaited = import.status == AwaitingUpload;
        let until = import
            .upload_until
            .filter(|until| awaited && *until > now)?;
        Some(self.uploads.form(&import.key, now, until))
    }

    /// Has an import start that waits for it, now or when its file is there.
    ///
    /// # Errors
    /// See [`NotMoved`].
    pub async fn start(&self, id: ImportId, by: &str) -> Result<ImportItem, NotMoved> {
        let import = self.find(id).await?;
        self.change(import, |import, now| started(import, by, now))
            .await
    }

    /// Stops an import, and calls off the mails that it has not sent.
    ///
    /// # Errors
    /// See [`NotMoved`].
    pub async fn cancel(&self, id: ImportId) -> Result<ImportItem, NotMoved> {
        let import = self.find(id).await?;
        self.change(import, cancelled).await
    }

    /// Has an import go on that was stopped, or chunks of it run again that were
    /// given up: those that are named, or all.
    ///
    /// # Errors
    /// See [`NotMoved`].
    pub async fn resume(
        &self,
        id: ImportId,
        named: Option<&[u32]>,
    ) -> Result<ImportItem, NotMoved> {
        let import = self.find(id).await?;
        let chunks = chunks_of(&self.table, id).await?;
        let answered = chunks.iter().map(|chunk| chunk.counts).sum();
        // Not a chunk is touched of an import that is not to go on.
        resumed(&import, self.clock.now(), answered, false)?;
        let again = again(&import, &chunks, named)?;
        stream::iter(again.clone())
            .map(|chunk| self.run_again(id, chunk))
            .buffer_unordered(CONCURRENCY)
            .try_collect::<()>()
            .await?;
        self.change(import, |import, now| {
            resumed(import, now, answered, !again.is_empty())
        })
        .await
    }

    /// Has a chunk count as not given up.
    async fn run_again(&self, id: ImportId, chunk: u32) -> Result<(), Failure> {
        let given_up = Condition::new("attribute_exists(#failed)").with(":none", number(0));
        let change = "SET attempts = :none REMOVE #failed, trouble";
        // Refused: somebody else wanted it, too.
        self.table
            .change_if(&chunk_key(id, chunk), change, &given_up)
            .await?;
        Ok(())
    }

    /// An import as it is now.
    ///
    /// # Errors
    /// `Absent`, also if it has expired.
    pub async fn find(&self, id: ImportId) -> Result<ImportItem, NotMoved> {
        let import: Option<ImportItem> = self.table.get(&import_key(id)).await?;
        let now = self.clock.now();
        let import = import.filter(|import| import.is_present(now));
        import.ok_or(NotMoved::Absent)
    }

    /// Changes an import as is decided on seeing it. If it has moved meanwhile,
    /// it is looked at again.
    async fn change(
        &self,
        mut import: ImportItem,
        decide: impl Fn(&ImportItem, Time) -> Decision,
    ) -> Result<ImportItem, NotMoved> {
        let key = import_key(import.id);
        for _ in 0..TRIES {
            let now = self.clock.now();
            let Some(change) = decide(&import, now)? else {
                return Ok(self.told(import, now).await);
            };
            let changed = self
                .table
                .change_if(&key, change.expression, &change.unmoved);
            match changed.await? {
                Updated::Done(item) => return Ok(self.told(decode(item)?, now).await),
                Updated::Refused(found) => {
                    import = found.map(decode).transpose()?.ok_or(NotMoved::Absent)?;
                }
            }
        }
        Err(NotMoved::Failed(Failure::Unavailable {
            operation: "UpdateItem",
            source: "the import moves too fast".into(),
        }))
    }

    /// An import of which the planner is told, if it is due.
    async fn told(&self, import: ImportItem, now: Time) -> ImportItem {
        let now = now.to_string();
        if import.due_at.as_ref().is_some_and(|due| *due <= now) {
            self.nudges.plan(import.id).await;
        }
        import
    }
}

fn started(import: &ImportItem, by: &str, now: Time) -> Decision {
    match import.status {
        AwaitingUpload if import.start == Start::Manual => {
            let change = Change::of(import, "SET #start = :start, started_by = :by");
            let change = change.with(":by", text(by));
            Ok(Some(
                change.with(":start", encode_value(&Start::Automatic)?),
            ))
        }
        AwaitingStart => {
            let expression = "SET #status = :next, started_by = :by, \
                 due_shard = :shard, due_at = :due REMOVE expires_at";
            let change = Change::of(import, expression).due(import, now);
            let change = change.with(":by", text(by));
            Ok(Some(change.with(":next", Queued.into())))
        }
        AwaitingUpload | Queued | Planning | Running | Reporting | Completed
        | CompletedWithErrors => Ok(None),
        Cancelling | Cancelled => refused("it was cancelled; it can be resumed"),
        Failed => refused(failed(import)),
    }
}

fn cancelled(import: &ImportItem, now: Time) -> Decision {
    match import.status {
        AwaitingUpload | AwaitingStart | Queued => {
            let expression = "SET #status = :next, completed_at = :now, #counts = :none, \
                 expires_at = if_not_exists(expires_at, :expires) \
                 REMOVE lease_owner, lease_until, due_shard, due_at";
            let change = Change::of(import, expression)
                .with(":next", Cancelled.into())
                .with(":expires", number(import_expiry(now)))
                .with(":now", number(now.as_millis()))
                .with(":none", encode_value(&Counts::default())?);
            Ok(Some(change))
        }
        Completed | CompletedWithErrors | Failed
            if !import.sends_mails() || import.known_chunks() == 0 =>
        {
            refused("it is over; there is nothing left to stop")
        }
        Planning | Running | Reporting | Completed | CompletedWithErrors | Failed => {
            let expression = "SET #status = :next, due_shard = :shard, due_at = :due \
                 REMOVE completed_at, #counts, reason, lease_owner, lease_until";
            let change = Change::of(import, expression).due(import, now);
            Ok(Some(change.with(":next", Cancelling.into())))
        }
        Cancelling | Cancelled => Ok(None),
    }
}

/// `answered` are the rows that were answered so far; `again` says whether chunks
/// of it are to run again.
fn resumed(import: &ImportItem, now: Time, answered: Counts, again: bool) -> Decision {
    let gives_up_chunks = |reason: &FailureReason| reason.code == CHUNKS_FAILED;
    match import.status {
        Cancelled | Failed if import.created_at.after(ROW_LIFETIME) < now => refused(
            "it is older than thirty days, and nobody knows any more what became of its rows; \
             import the file again",
        ),
        Cancelled if import.file.is_none() => {
            refused("its file was never uploaded; make a new import")
        }
        Failed if !import.reason.as_ref().is_some_and(gives_up_chunks) => refused(failed(import)),
        Cancelled | Failed => {
            let next = match (import.chunks, import.planned) {
                (Some(_), _) => Running,
                (None, Some(_)) => Planning,
                (None, None) => Queued,
            };
            let expression = "SET #status = :next, started_at = :now, answered_before = :answered, \
                 due_shard = :shard, due_at = :due \
                 REMOVE completed_at, #counts, report_key, reason, lease_owner, lease_until";
            let change = Change::of(import, expression)
                .due(import, now)
                .with(":next", next.into())
                .with(":now", number(now.as_millis()))
                .with(":answered", number(answered.rows()));
            Ok(Some(change))
        }
        Planning | Running if again => {
            let expression = "SET due_shard = :shard, due_at = :due";
            Ok(Some(Change::of(import, expression).due(import, now)))
        }
        Queued | Planning | Running => Ok(None),
        AwaitingUpload | AwaitingStart => refused("it has not begun; there is nothing to resume"),
        Reporting => refused("its report is being written; try again in a moment"),
        Cancelling => refused("it is still being cancelled; try again in a moment"),
        Completed | CompletedWithErrors => refused("it is over: every row is answered"),
    }
}

/// The chunks that are to run again: those that have failed, and are named if any
/// are.
fn again(
    import: &ImportItem,
    chunks: &[ChunkItem],
    named: Option<&[u32]>,
) -> Result<Vec<u32>, NotMoved> {
    let failed = |chunk: &&ChunkItem| chunk.failed.is_some();
    let Some(named) = named else {
        return Ok(chunks
            .iter()
            .filter(failed)
            .map(|chunk| chunk.number)
            .collect());
    };
    // A request that broke off may have readied some of an import that rests.
    let ready = |chunk: &ChunkItem| import.status.is_final() && !chunk.done;
    let fits = |chunk: &ChunkItem| chunk.failed.is_some() || ready(chunk);
    let find = |number: &u32| chunks.iter().find(|chunk| chunk.number == *number);
    let not_failed: Vec<_> = (0..named.len())
        .filter(|index| !find(&named[*index]).is_some_and(fits))
        .collect();
    match not_failed.is_empty() {
        true => Ok(named.to_vec()),
        false => Err(NotMoved::NotFailed(not_failed)),
    }
}

fn refused(detail: impl Into<String>) -> Decision {
    Err(NotMoved::Refused(detail.into()))
}

fn failed(import: &ImportItem) -> String {
    match &import.reason {
        Some(reason) => format!("it has failed: {}", reason.detail),
        None => "it has failed".to_owned(),
    }
}
