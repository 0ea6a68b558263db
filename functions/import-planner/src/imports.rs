//! The import's item: recorded once, leased while it is planned, and then
//! either running or failed.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ImportId;
use muster_core::platform::random::Random;
use muster_core::platform::table::{
    Condition, NotCommitted, Table, Updated, condition_failed, decode, encode_value, number, text,
};
use muster_core::platform::time::{Clock, Time};
use muster_imports::chunk::{ChunkItem, chunk_key};
use muster_imports::csv::header::Header;
use muster_imports::failure_reason::FailureReason;
use muster_imports::import::{
    AT_REST, Counts, ImportItem, ImportStatus, OVERDUE_AFTER, ObjectItem, Planned, Start,
    UPLOAD_EXPIRED, due_shard, import_expiry, import_key, object_key,
};
use muster_imports::object::FileVersion;
use muster_imports::options::Options;
use muster_imports::s3_event::Upload;

use crate::cutter::{Cut, Totals};

/// How long nobody else may plan an import, renewed with every chunk: long
/// enough to read 8 MiB, short enough that a planner that died is followed
/// soon.
pub(crate) const LEASE: Duration = Duration::from_secs(120);

/// How often an import is looked at again that moves meanwhile.
const TRIES: u32 = 4;

/// The imports in the table.
pub(crate) struct Imports {
    table: Table,
    clock: Clock,
    random: Random,
}

/// What an upload turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// An import: new, or the one that an earlier copy of the event made.
    Import(ImportId),
    /// Overtaken by a newer version of the object, or nobody waits for it.
    Stale,
}

/// Whether an import is ours to plan.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It is, until the lease is over.
    Claimed(Box<Plan>),
    /// Somebody else is at it, or has been.
    Taken,
}

/// An import that is ours to plan.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The import.
    pub import: ImportItem,
    owner: String,
}

/// A plan that is no longer ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotPlanned {
    /// The lease was over and somebody else took it, or the import was cancelled.
    #[error("the lease was lost")]
    LeaseLost,
    /// AWS did not do its part.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Imports {
    /// Imports in that table.
    pub(crate) const fn new(table: Table, clock: Clock, random: Random) -> Self {
        Self {
            table,
            clock,
            random,
        }
    }

    /// An import, as it is now.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub(crate) async fn get(&self, id: ImportId) -> Result<Option<ImportItem>, Failure> {
        let import: Option<ImportItem> = self.table.get(&import_key(id)).await?;
        let now = self.clock.now();
        Ok(import.filter(|import| import.is_present(now)))
    }

    /// Records an upload: as the file of the import that asked for it, or as an
    /// import of its own.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub(crate) async fn record(&self, upload: &Upload) -> Result<Recorded, Failure> {
        for _ in 0..TRIES {
            let asked = match upload.asked_by() {
                Some(id) => self.get(id).await?,
                None => None,
            };
            let Some(import) = asked else {
                return self.record_new(upload).await;
            };
            if import.file == Some(upload.version()) {
                return Ok(Recorded::Import(import.id));
            }
            let Some((change, unmoved)) = self.received(&import, upload)? else {
                return Ok(Recorded::Stale);
            };
            // If it has moved meanwhile, it is looked at again.
            let key = import_key(import.id);
            self.table.change_if(&key, change, &unmoved).await?;
        }
        Err(Failure::Unavailable {
            operation: "UpdateItem",
            source: "the import moves too fast".into(),
        })
    }

    /// What becomes of an import that asked for a file when one comes; nothing, if
    /// it has one already. A file that came late is not lost: the import takes it
    /// though it had given up waiting, and if it was cancelled it can be resumed.
    fn received(
        &self,
        import: &ImportItem,
        upload: &Upload,
    ) -> Result<Option<(&'static str, Condition)>, Failure> {
        let gave_up = |reason: &FailureReason| reason.code == UPLOAD_EXPIRED;
        let next = match (import.status, import.start) {
            (ImportStatus::Cancelled, _) if import.file.is_none() => ImportStatus::Cancelled,
            (ImportStatus::AwaitingUpload | ImportStatus::AwaitingStart, start) => started(start),
            (ImportStatus::Failed, start) if import.reason.as_ref().is_some_and(gave_up) => {
                started(start)
            }
            _ => return Ok(None),
        };
        let has_newer = |file: &FileVersion| file.sequencer >= upload.sequencer;
        if import.file.as_ref().is_some_and(has_newer) {
            return Ok(None);
        }
        let unmoved = Condition::new(
            "#status = :seen AND #start = :start \
             AND (attribute_not_exists(#file) OR #file.#sequencer < :sequencer)",
        )
        .with(":seen", import.status.into())
        .with(":start", encode_value(&import.start)?)
        .with(":sequencer", text(&upload.sequencer))
        .with(":file", encode_value(&upload.version())?)
        .with(":next", next.into());
        Ok(Some(match next {
            ImportStatus::Queued => (
                "SET #status = :next, #file = :file, due_shard = :shard, due_at = :due \
                 REMOVE reason, completed_at, expires_at",
                unmoved
                    .with(":shard", text(due_shard(import.id)))
                    .with(":due", text(self.clock.now().after(LEASE).to_string())),
            ),
            ImportStatus::AwaitingStart => (
                // Nobody may ever start it.
                "SET #status = :next, #file = :file, expires_at = :expires \
                 REMOVE reason, completed_at, due_shard, due_at",
                unmoved.with(":expires", number(import_expiry(self.clock.now()))),
            ),
            _ => ("SET #status = :next, #file = :file", unmoved),
        }))
    }

    /// An import of its own, together with the newest event of its object. A copy
    /// of the event finds the import that the first one made.
    async fn record_new(&self, upload: &Upload) -> Result<Recorded, Failure> {
        let now = self.clock.now();
        let new = new_import(upload, now);
        let newest = ObjectItem {
            sequencer: upload.sequencer.clone(),
            import_id: new.id,
            expires_at: Some(import_expiry(now)),
        };
        let newer = Condition::new("attribute_not_exists(pk) OR sequencer < :sequencer")
            .with(":sequencer", text(&upload.sequencer));
        let actions = vec![
            self.table
                .put(&object_key(&new.bucket, &new.key), &newest, &newer)?,
            self.table
                .put(&import_key(new.id), &new, &Condition::absent())?,
        ];
        // A copy of the event is another transaction: it has another time.
        match self.table.transact(actions, &self.random.name()).await {
            Ok(()) => Ok(Recorded::Import(new.id)),
            Err(NotCommitted::Failed(failure)) => Err(failure),
            Err(NotCommitted::Cancelled(reasons)) => match reasons.first() {
                Some(reason) if condition_failed(reason) => {
                    let known: ObjectItem = decode(reason.item.clone().unwrap_or_default())?;
                    Ok(if known.import_id == new.id {
                        Recorded::Import(new.id)
                    } else {
                        Recorded::Stale
                    })
                }
                _ => Err(NotCommitted::Cancelled(reasons).into()),
            },
        }
    }

    /// Gives up waiting for a file, if its time is over.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub(crate) async fn expire(&self, id: ImportId) -> Result<(), Failure> {
        let now = self.clock.now();
        let reason = FailureReason::new(
            UPLOAD_EXPIRED,
            "no file was uploaded in time; make a new import",
        );
        let overdue = Condition::new("#status = :asked AND upload_until < :now")
            .with(":asked", ImportStatus::AwaitingUpload.into())
            .with(":now", number(now.as_millis()))
            .with(":failed", ImportStatus::Failed.into())
            .with(":reason", encode_value(&reason)?)
            .with(":expires", number(import_expiry(now)));
        let change = "SET #status = :failed, reason = :reason, completed_at = :now, \
             expires_at = :expires REMOVE due_shard, due_at";
        self.table
            .change_if(&import_key(id), change, &overdue)
            .await?;
        Ok(())
    }

    /// Takes the lease on an import that is to be planned.
    ///
    /// # Errors
    /// When the table cannot be reached, or the item cannot be understood.
    pub(crate) async fn claim(&self, id: ImportId) -> Result<Claim, Failure> {
        let now = self.clock.now();
        let owner = self.random.name();
        let until = now.after(LEASE);
        let free = Condition::new(
            "(#status = :queued OR #status = :planning) \
             AND (attribute_not_exists(lease_until) OR lease_until < :now)",
        )
        .with(":queued", ImportStatus::Queued.into())
        .with(":planning", ImportStatus::Planning.into())
        .with(":now", number(now.as_millis()))
        .with(":owner", text(&owner))
        .with(":until", number(until.as_millis()))
        .with(":due", text(until.to_string()))
        .with(":expires", number(import_expiry(now)));
        let change = "SET #status = :planning, lease_owner = :owner, lease_until = :until, \
             due_at = :due, started_at = if_not_exists(started_at, :now), \
             expires_at = if_not_exists(expires_at, :expires)";
        let claimed = self.table.change_if(&import_key(id), change, &free).await?;
        match claimed.or_leased_to(&owner) {
            Updated::Done(item) => {
                let import = decode(item)?;
                Ok(Claim::Claimed(Box::new(Plan { import, owner })))
            }
            Updated::Refused(_) => Ok(Claim::Taken),
        }
    }

    /// Keeps what every chunk is read by: the header and the options; and where
    /// the first one starts.
    ///
    /// # Errors
    /// When the lease was lost, or the table cannot be reached.
    pub(crate) async fn keep(
        &self,
        plan: &mut Plan,
        header: &Header,
        options: Options,
        lanes: u32,
    ) -> Result<(), NotPlanned> {
        let names = header.names().iter().map(text).collect();
        let ours = self
            .ours(plan)
            .with(":header", AttributeValue::L(names))
            .with(":options", encode_value(&options)?)
            .with(":lanes", number(lanes));
        let change = "SET header = :header, #options = :options, lanes = :lanes";
        self.change(plan, change, &ours).await
    }

    /// Writes a chunk, renews the lease, and says how far the plan has come: all
    /// of it or nothing, so that whoever goes on cuts on from there.
    ///
    /// # Errors
    /// When the lease was lost, or the table cannot be reached.
    pub(crate) async fn add_chunk(&self, plan: &mut Plan, cut: &Cut) -> Result<(), NotPlanned> {
        let now = self.clock.now();
        let until = now.after(LEASE);
        let before = plan.import.planned;
        let planned = Planned {
            chunks: cut.number + 1,
            rows: before.map_or(0, |before| before.rows) + cut.rows,
            position: cut.end,
            line: cut.last_line,
        };
        let ours = self
            .ours(plan)
            .with(":planned", encode_value(&planned)?)
            .with(":until", number(until.as_millis()))
            .with(":due", text(until.to_string()));
        let id = plan.import.id;
        let change = "SET planned = :planned, lease_until = :until, due_at = :due";
        let chunk = ChunkItem {
            expires_at: plan.import.expires_at,
            ..ChunkItem::new(id, cut.number, cut.start..cut.end, cut.first_line, cut.rows)
        };
        let actions = vec![
            self.table.change(&import_key(id), change, &ours)?,
            self.table
                .put(&chunk_key(id, cut.number), &chunk, &Condition::absent())?,
        ];
        match self.table.transact(actions, &self.random.name()).await {
            Ok(()) => {}
            Err(NotCommitted::Cancelled(reasons)) if reasons.iter().any(condition_failed) => {
                return Err(NotPlanned::LeaseLost);
            }
            Err(error) => return Err(NotPlanned::Failed(error.into())),
        }
        plan.import.planned = Some(planned);
        Ok(())
    }

    /// All chunks are known: the import runs, or is complete if there are none.
    ///
    /// # Errors
    /// When the lease was lost, or the table cannot be reached.
    pub(crate) async fn planned_whole(
        &self,
        plan: &mut Plan,
        totals: Totals,
    ) -> Result<(), NotPlanned> {
        let now = self.clock.now();
        let ours = self
            .ours(plan)
            .with(":chunks", number(totals.chunks))
            .with(":rows", number(totals.rows));
        let change = "SET #status = :next, chunks = :chunks, #rows = :rows,";
        let (change, ours) = if totals.chunks > 0 {
            (
                format!("{change} due_at = :due REMOVE lease_owner, lease_until"),
                ours.with(":next", ImportStatus::Running.into())
                    .with(":due", text(now.after(OVERDUE_AFTER).to_string())),
            )
        } else {
            (
                format!("{change} #counts = :counts, completed_at = :now {AT_REST}"),
                ours.with(":next", ImportStatus::Completed.into())
                    .with(":counts", encode_value(&Counts::default())?)
                    .with(":now", number(now.as_millis())),
            )
        };
        self.change(plan, &change, &ours).await
    }

    /// The file cannot be imported.
    ///
    /// # Errors
    /// When the lease was lost, or the table cannot be reached.
    pub(crate) async fn fail(
        &self,
        plan: &mut Plan,
        reason: &FailureReason,
    ) -> Result<(), NotPlanned> {
        let ours = self
            .ours(plan)
            .with(":failed", ImportStatus::Failed.into())
            .with(":reason", encode_value(reason)?)
            .with(":now", number(self.clock.now().as_millis()));
        let change =
            format!("SET #status = :failed, reason = :reason, completed_at = :now {AT_REST}");
        self.change(plan, &change, &ours).await
    }

    /// Gives the lease back, so that the next try need not wait for its end.
    pub(crate) async fn release(&self, plan: &mut Plan) {
        let ours = self.ours(plan);
        let change = "REMOVE lease_owner, lease_until";
        if let Err(error) = self.change(plan, change, &ours).await {
            tracing::warn!(%error, "the next try waits for the end of the lease");
        }
    }

    /// Nothing of it was begun: it is cancelled here and now.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub(crate) async fn cancelled(&self, id: ImportId) -> Result<(), Failure> {
        let cancelling = Condition::new("#status = :cancelling")
            .with(":cancelling", ImportStatus::Cancelling.into())
            .with(":cancelled", ImportStatus::Cancelled.into())
            .with(":counts", encode_value(&Counts::default())?)
            .with(":now", number(self.clock.now().as_millis()));
        let change =
            format!("SET #status = :cancelled, #counts = :counts, completed_at = :now {AT_REST}");
        self.table
            .change_if(&import_key(id), &change, &cancelling)
            .await?;
        Ok(())
    }

    /// The import is still ours to plan.
    fn ours(&self, plan: &Plan) -> Condition {
        Condition::new("lease_owner = :owner AND #status = :planning")
            .with(":owner", text(&plan.owner))
            .with(":planning", ImportStatus::Planning.into())
    }

    /// Changes an import that is still ours.
    async fn change(
        &self,
        plan: &mut Plan,
        change: &str,
        ours: &Condition,
    ) -> Result<(), NotPlanned> {
        let key = import_key(plan.import.id);
        match self.table.change_if(&key, change, ours).await? {
            Updated::Done(item) => {
                plan.import = decode(item)?;
                Ok(())
            }
            Updated::Refused(_) => Err(NotPlanned::LeaseLost),
        }
    }
}

/// What an import is at whose file is there.
const fn started(start: Start) -> ImportStatus {
    match start {
        Start::Automatic => ImportStatus::Queued,
        Start::Manual => ImportStatus::AwaitingStart,
    }
}

/// The item of an import that an upload makes.
fn new_import(upload: &Upload, now: Time) -> ImportItem {
    let object = upload.object.clone();
    ImportItem {
        file: Some(upload.version()),
        file_name: Some(upload.file_name()),
        started_by: upload.principal.clone(),
        status: ImportStatus::Queued,
        due_at: Some(now.after(LEASE).to_string()),
        ..ImportItem::new(upload.import_id(), object.bucket, object.key, now)
    }
}
