//! `/imports`: for operators.

use axum::Json;
use axum::extract::{RawQuery, State};
use futures_util::future::try_join_all;
use muster_core::failure::Failure;
use muster_core::ids::ImportId;
use muster_core::import::{
    CHUNK_PREFIX, ChunkItem, Confirm, Counts, FailureReason, IMPORT_LIST, ImportItem, ImportStatus,
    import_key,
};
use muster_core::table::Table;
use serde::Serialize;

use crate::caller::Caller;
use crate::listing::{self, Page};
use crate::path::Id;
use crate::problem::{Kind, Problem};
use crate::query::Parameters;
use crate::router::Shared;

/// An import, as it is shown.
#[derive(Debug, Serialize)]
pub struct ImportView {
    id: ImportId,
    status: ImportStatus,
    reason: Option<FailureReason>,
    object: ObjectView,
    confirm: Confirm,
    rows: RowsView,
    chunks: ChunksView,
    report: Option<ObjectView>,
    created_at: String,
    completed_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct ObjectView {
    bucket: String,
    key: String,
}

/// `total` is known once the whole file has been looked through.
#[derive(Debug, Serialize)]
struct RowsView {
    total: Option<u64>,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Debug, Serialize)]
struct ChunksView {
    total: Option<u32>,
    done: usize,
}

/// A page of imports.
#[derive(Debug, Serialize)]
pub struct ImportList {
    items: Vec<ImportView>,
    next_cursor: Option<String>,
}

/// `GET /imports/{id}`
///
/// # Errors
/// 404 if there is none.
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
        reason: item.reason,
        report: item.report_key.map(|key| ObjectView {
            bucket: item.bucket.clone(),
            key,
        }),
        object: ObjectView {
            bucket: item.bucket,
            key: item.key,
        },
        confirm: item.confirm,
        rows: RowsView {
            total: item.rows,
            counts,
        },
        chunks: ChunksView {
            total: item.chunks,
            done,
        },
        created_at: item.created_at.to_string(),
        completed_at: item.completed_at.map(|time| time.to_string()),
    })
}
