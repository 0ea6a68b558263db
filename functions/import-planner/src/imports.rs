//! The import's item: recorded once, leased while it is planned, and then
//! either running or failed.

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use muster_core::failure::Failure;
use muster_core::header::Header;
use muster_core::ids::ImportId;
use muster_core::import::{
    CHUNK_PREFIX, ChunkItem, Confirm, Counts, FailureReason, IMPORT_LIST, ImportItem, ImportStatus,
    OVERDUE_AFTER, ObjectItem, chunk_key, due_shard, import_key, object_key,
};
use muster_core::random::Random;
use muster_core::table::{
    Condition, Item, NotCommitted, Table, Updated, condition_failed, decode, encode_value, number,
    run, text,
};
use muster_core::time::{Clock, Time};
use muster_core::upload::Upload;

use crate::cutter::{Cut, Totals};

/// How long nobody else may plan an import, renewed with every chunk: long
/// enough to read 8 MiB, short enough that a planner that died is followed
/// soon.
pub const LEASE: Duration = Duration::from_secs(120);

/// The imports in the table.
pub struct Imports {
    table: Table,
    clock: Clock,
    random: Random,
}

/// What an upload turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Recorded {
    /// An import: new, or the one that an earlier copy of the event made.
    Import(ImportId),
    /// Overtaken by a newer version of the object.
    Stale,
}

/// Whether an import is ours to plan.
#[derive(Debug)]
pub enum Claim {
    /// It is, until the lease is over.
    Claimed(Box<Plan>),
    /// Somebody else is at it.
    Leased,
    /// It is planned already, or failed.
    Settled,
}

/// An import that is ours to plan.
#[derive(Debug)]
pub struct Plan {
    /// The import.
    pub import: ImportItem,
    owner: String,
}

/// A plan that is no longer ours.
#[derive(Debug, thiserror::Error)]
pub enum NotPlanned {
    /// The lease was over and somebody else took it.
    #[error("the lease was lost")]
    LeaseLost,
    /// AWS did not do its part.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Imports {
    /// Imports in that table.
    pub const fn new(table: Table, clock: Clock, random: Random) -> Self {
        Self {
            table,
            clock,
            random,
        }
    }

    /// Records an upload as an import, together with the newest event of its
    /// object. A copy of the event finds the import that the first one made.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn record(&self, new: ImportItem) -> Result<Recorded, Failure> {
        let newest = ObjectItem {
            sequencer: new.sequencer.clone(),
            import_id: new.id,
        };
        let newer = Condition::new("attribute_not_exists(pk) OR sequencer < :sequencer")
            .with(":sequencer", text(&new.sequencer));
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

    /// Takes the lease on an import that is to be planned.
    ///
    /// # Errors
    /// When the table cannot be reached, or the item cannot be understood.
    pub async fn claim(&self, id: ImportId) -> Result<Claim, Failure> {
        let now = self.clock.now();
        let owner = self.random.name();
        let update = self
            .table
            .update(&import_key(id))
            .condition_expression(
                "(#status = :queued OR #status = :planning) \
                 AND (attribute_not_exists(lease_until) OR lease_until < :now)",
            )
            .update_expression(
                "SET #status = :planning, lease_owner = :owner, lease_until = :until, due_at = :due",
            )
            .set_expression_attribute_values(Some(self.lease(now, &owner)))
            .expression_attribute_values(":queued", text(ImportStatus::Queued.as_str()))
            .expression_attribute_values(":now", number(now.as_millis()))
            .return_values(ReturnValue::AllNew);
        match run(update).await? {
            Updated::Done(item) => {
                let import = decode(item)?;
                Ok(Claim::Claimed(Box::new(Plan { import, owner })))
            }
            Updated::Refused(found) => {
                let import: Option<ImportItem> = found.map(decode).transpose()?;
                Ok(match import.map(|import| import.status) {
                    Some(ImportStatus::Queued | ImportStatus::Planning) => Claim::Leased,
                    _ => Claim::Settled,
                })
            }
        }
    }

    /// Keeps what every chunk is read by: the header and the options.
    ///
    /// # Errors
    /// When the lease was lost, or the table cannot be reached.
    pub async fn keep(
        &self,
        plan: &Plan,
        header: &Header,
        confirm: Confirm,
    ) -> Result<(), NotPlanned> {
        let names = header.names().iter().map(text).collect();
        let update = self
            .planned(plan)
            .update_expression("SET header = :header, confirm = :confirm")
            .expression_attribute_values(":header", AttributeValue::L(names))
            .expression_attribute_values(":confirm", text(confirm.as_str()));
        still_ours(update).await
    }

    /// Renews the lease and writes a chunk, unless an earlier try did.
    ///
    /// # Errors
    /// When the lease was lost, or the table cannot be reached.
    pub async fn add_chunk(&self, plan: &Plan, cut: &Cut) -> Result<(), NotPlanned> {
        let now = self.clock.now();
        let renewal = self
            .planned(plan)
            .update_expression(
                "SET #status = :planning, lease_owner = :owner, lease_until = :until, due_at = :due",
            )
            .set_expression_attribute_values(Some(self.lease(now, &plan.owner)));
        still_ours(renewal).await?;
        let chunk = chunk_item(plan.import.id, cut, now);
        self.table
            .put_if_absent(&chunk_key(plan.import.id, cut.number), &chunk)
            .await?;
        Ok(())
    }

    /// All chunks are known: the import runs, or is complete if there are none.
    ///
    /// # Errors
    /// When the lease was lost, or the table cannot be reached.
    pub async fn planned_whole(&self, plan: &Plan, totals: Totals) -> Result<(), NotPlanned> {
        let now = self.clock.now();
        let update = self
            .planned(plan)
            .expression_attribute_values(":chunks", number(totals.chunks))
            .expression_attribute_values(":rows", number(totals.rows));
        let update = if totals.chunks > 0 {
            update
                .update_expression(
                    "SET #status = :next, chunks = :chunks, #rows = :rows, due_at = :due REMOVE lease_owner, lease_until",
                )
                .expression_attribute_values(":due", text(now.after(OVERDUE_AFTER).to_string()))
                .expression_attribute_values(":next", text(ImportStatus::Running.as_str()))
        } else {
            update
                .update_expression(
                    "SET #status = :next, chunks = :chunks, #rows = :rows, #counts = :counts, \
                         completed_at = :now REMOVE lease_owner, lease_until, due_shard, due_at",
                )
                .expression_attribute_names("#counts", "counts")
                .expression_attribute_values(":next", text(ImportStatus::Completed.as_str()))
                .expression_attribute_values(":counts", encode_value(&Counts::default())?)
                .expression_attribute_values(":now", number(now.as_millis()))
        };
        still_ours(update.expression_attribute_names("#rows", "rows")).await
    }

    /// The file cannot be imported.
    ///
    /// # Errors
    /// When the lease was lost, or the table cannot be reached.
    pub async fn fail(&self, plan: &Plan, reason: &FailureReason) -> Result<(), NotPlanned> {
        let update = self
            .planned(plan)
            .update_expression(
                "SET #status = :failed, reason = :reason, completed_at = :now \
                 REMOVE lease_owner, lease_until, due_shard, due_at",
            )
            .expression_attribute_values(":failed", text(ImportStatus::Failed.as_str()))
            .expression_attribute_values(":reason", encode_value(reason)?)
            .expression_attribute_values(":now", number(self.clock.now().as_millis()));
        still_ours(update).await
    }

    /// Gives the lease back, so that the next try need not wait for its end.
    pub async fn release(&self, plan: &Plan) {
        let update = self
            .planned(plan)
            .update_expression("REMOVE lease_owner, lease_until");
        if let Err(error) = still_ours(update).await {
            tracing::warn!(%error, "the next try waits for the end of the lease");
        }
    }

    /// Whether every chunk is done already.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn all_done(&self, id: ImportId) -> Result<bool, Failure> {
        let chunks: Vec<ChunkItem> = self.table.list(&import_key(id).pk, CHUNK_PREFIX).await?;
        Ok(chunks.iter().all(|chunk| chunk.done))
    }

    /// An update of an import that is still ours to plan.
    fn planned(&self, plan: &Plan) -> UpdateItemFluentBuilder {
        self.table
            .update(&import_key(plan.import.id))
            .condition_expression("lease_owner = :owner AND #status = :planning")
            .expression_attribute_values(":owner", text(&plan.owner))
            .expression_attribute_values(":planning", text(ImportStatus::Planning.as_str()))
    }

    fn lease(&self, now: Time, owner: &str) -> Item {
        let until = now.after(LEASE);
        Item::from([
            (":owner".to_owned(), text(owner)),
            (
                ":planning".to_owned(),
                text(ImportStatus::Planning.as_str()),
            ),
            (":until".to_owned(), number(until.as_millis())),
            (":due".to_owned(), text(until.to_string())),
        ])
    }
}

/// The item of an import that nobody has looked into yet.
pub fn new_import(upload: &Upload, now: Time) -> ImportItem {
    let object = &upload.object;
    let id = upload.import_id();
    ImportItem {
        id,
        bucket: object.bucket.clone(),
        key: object.key.clone(),
        etag: object.etag.clone(),
        size: upload.size,
        sequencer: upload.sequencer.clone(),
        confirm: Confirm::default(),
        status: ImportStatus::Queued,
        reason: None,
        header: Vec::new(),
        chunks: None,
        rows: None,
        counts: None,
        report_key: None,
        lease_owner: None,
        lease_until: None,
        created_at: now,
        completed_at: None,
        list: IMPORT_LIST.to_owned(),
        list_sort: format!("{now}#{id}"),
        due_shard: Some(due_shard(id)),
        due_at: Some(now.after(LEASE).to_string()),
    }
}

fn chunk_item(import_id: ImportId, cut: &Cut, now: Time) -> ChunkItem {
    ChunkItem {
        import_id,
        number: cut.number,
        start: cut.start,
        end: cut.end,
        first_line: cut.first_line,
        rows: cut.rows,
        done: false,
        checkpoints: 0,
        position: cut.start,
        line: cut.first_line,
        counts: Counts::default(),
        lease_owner: None,
        lease_until: None,
        due_shard: Some(due_shard(import_id)),
        due_at: Some(now.after(OVERDUE_AFTER).to_string()),
    }
}

async fn still_ours(update: UpdateItemFluentBuilder) -> Result<(), NotPlanned> {
    match run(update).await? {
        Updated::Done(_) => Ok(()),
        Updated::Refused(_) => Err(NotPlanned::LeaseLost),
    }
}
