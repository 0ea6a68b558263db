//! `/imports`: for operators.

use axum::Json;
use axum::extract::{RawQuery, State};
use futures_util::future::try_join_all;
use muster_core::failure::Failure;
use muster_core::ids::ImportId;
use muster_core::import::{
    CHUNK_PREFIX, ChunkItem, Counts, FailureReason, IMPORT_LIST, ImportItem, ImportStatus,
    import_key,
};
use muster_core::options::Confirm;
use muster_core::table::Table;
use muster_http::caller::Caller;
use muster_http::openapi::refusals::{Always, InvalidParameters, WithoutToken};
use muster_http::path::Id;
use muster_http::problem::{Kind, Problem};
use muster_http::query::Parameters;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::listing::{self, Page};
use crate::openapi::parameters::{InPath, Paging};
use crate::openapi::refusals::NotFound;
use crate::openapi::values;
use crate::router::Shared;

/// An import.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Import, examples(example))]
pub struct ImportView {
    #[schema(value_type = values::Id)]
    id: ImportId,
    #[schema(value_type = values::ImportState)]
    status: ImportStatus,
    /// Why it failed, if it did.
    #[schema(required)]
    reason: Option<ReasonView>,
    /// The file.
    object: ObjectView,
    #[schema(value_type = values::ImportConfirm)]
    confirm: Confirm,
    rows: RowsView,
    chunks: ChunksView,
    /// The file that has the rows that were refused, if there are any.
    #[schema(required)]
    report: Option<ObjectView>,
    #[schema(value_type = values::Time)]
    created_at: String,
    /// When it was over, if it is.
    #[schema(value_type = Option<values::Time>, required)]
    completed_at: Option<String>,
}

fn example() -> Value {
    let id = "019aafb0-0000-5000-8000-000000000000";
    json!({
        "id": id,
        "status": "completed_with_errors",
        "reason": null,
        "object": { "bucket": "muster-uploads", "key": "uploads/people.csv" },
        "confirm": "skip",
        "rows": { "total": 20000, "created": 19990, "updated": 0, "skipped": 7, "failed": 3 },
        "chunks": { "total": 1, "done": 1 },
        "report": { "bucket": "muster-uploads", "key": format!("reports/{id}/errors.csv") },
        "created_at": "2026-11-24T08:00:00.000Z",
        "completed_at": "2026-11-24T08:00:41.250Z",
    })
}

/// Why an import failed as a whole.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportReason)]
struct ReasonView {
    /// For programs: a code stays what it is.
    #[schema(examples("no_email_column"))]
    code: String,
    /// For people.
    detail: String,
}

impl From<FailureReason> for ReasonView {
    fn from(FailureReason { code, detail }: FailureReason) -> Self {
        Self { code, detail }
    }
}

/// An object in S3.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = S3Object)]
struct ObjectView {
    bucket: String,
    key: String,
}

/// Rows, by what became of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportRows)]
struct RowsView {
    /// Known once the whole file has been looked through.
    #[schema(required)]
    total: Option<u64>,
    /// Became a profile.
    created: u64,
    /// Changed a profile.
    updated: u64,
    /// Had an address that another row or profile has already.
    skipped: u64,
    /// Were refused; the report says why.
    failed: u64,
}

impl RowsView {
    const fn new(total: Option<u64>, counts: Counts) -> Self {
        Self {
            total,
            created: counts.created,
            updated: counts.updated,
            skipped: counts.skipped,
            failed: counts.failed,
        }
    }
}

/// The pieces that a file is imported in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportChunks)]
struct ChunksView {
    /// Known once the whole file has been looked through.
    #[schema(required)]
    total: Option<u32>,
    /// All of whose rows are answered.
    done: usize,
}

/// A page of imports, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({ "items": [example()], "next_cursor": null })))]
pub struct ImportList {
    items: Vec<ImportView>,
    /// `cursor` of the next page; `null` if this is the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// `GET /imports/{id}`
///
/// # Errors
/// 404 if there is none.
#[utoipa::path(
    get,
    path = "/imports/{id}",
    operation_id = "readImport",
    tag = "imports",
    summary = "Follow an import",
    description = "Status and counts of one import, as they are now.",
    security(("operator" = ["imports/read"])),
    params(InPath),
    responses(
        (status = 200, description = "The import.", body = ImportView),
        Always,
        WithoutToken,
        (status = 404, response = NotFound),
    ),
)]
pub async fn read(
    _: Caller,
    State(services): Shared,
    Id(id): Id<ImportId>,
) -> Result<Json<ImportView>, Problem> {
    let item: Option<ImportItem> = services.table.get(&import_key(id)).await?;
    let item = item.ok_or_else(|| Problem::new(Kind::NotFound, "there is no such import"))?;
    Ok(Json(view(&services.table, item).await?))
}

/// `GET /imports?limit=&cursor=`: newest first.
///
/// # Errors
/// 422 for a limit or cursor that is none.
#[utoipa::path(
    get,
    path = "/imports",
    operation_id = "listImports",
    tag = "imports",
    summary = "List imports",
    description = "Newest first. An import starts by itself when a CSV file is put under \
        `uploads/` in the deployment's bucket.",
    security(("operator" = ["imports/read"])),
    params(Paging),
    responses(
        (status = 200, description = "A page of imports.", body = ImportList),
        Always,
        WithoutToken,
        (status = 422, response = InvalidParameters),
    ),
)]
pub async fn list(
    _: Caller,
    State(services): Shared,
    RawQuery(query): RawQuery,
) -> Result<Json<ImportList>, Problem> {
    let mut parameters = Parameters::parse(query.as_deref());
    let page = Page::take(&mut parameters);
    parameters.finish()?;
    let table = &services.table;
    let lists = [IMPORT_LIST.to_owned()];
    let found = listing::find(table, lists, &page, |_: &ImportItem| true).await?;
    let items = found.items.into_iter().map(|item| view(table, item));
    Ok(Json(ImportList {
        items: try_join_all(items).await?,
        next_cursor: found.next_cursor,
    }))
}

/// Counts live on the chunks while an import runs, on the import when it is
/// over.
async fn view(table: &Table, item: ImportItem) -> Result<ImportView, Failure> {
    let (counts, done) = match (item.counts, item.chunks) {
        (Some(counts), Some(chunks)) => (counts, chunks as usize),
        _ => {
            let chunks: Vec<ChunkItem> = table.list(&import_key(item.id).pk, CHUNK_PREFIX).await?;
            let done = chunks.iter().filter(|chunk| chunk.done).count();
            (chunks.iter().map(|chunk| chunk.counts).sum(), done)
        }
    };
    Ok(ImportView {
        id: item.id,
        status: item.status,
        reason: item.reason.map(ReasonView::from),
        report: item.report_key.map(|key| ObjectView {
            bucket: item.bucket.clone(),
            key,
        }),
        object: ObjectView {
            bucket: item.bucket,
            key: item.key,
        },
        confirm: item.options.confirm,
        rows: RowsView::new(item.rows, counts),
        chunks: ChunksView {
            total: item.chunks,
            done,
        },
        created_at: item.created_at.to_string(),
        completed_at: item.completed_at.map(|time| time.to_string()),
    })
}
