//! `/imports`: for operators.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::try_join_all;
use muster_core::failure::Failure;
use muster_core::ids::ImportId;
use muster_core::import::{
    CHUNK_PREFIX, ChunkItem, Confirm, Counts, FailureReason, IMPORT_LIST, ImportItem, ImportStatus,
    import_key,
};
use muster_core::table::{Table, decode, text};
use muster_core::violation::Violation;
use serde::Serialize;

use crate::caller::Caller;
use crate::problem::{FieldError, Kind, Problem};
use crate::router::Shared;

const DEFAULT_LIMIT: i32 = 20;
const MAX_LIMIT: i32 = 100;

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
    Path(id): Path<String>,
) -> Result<Json<ImportView>, Problem> {
    let item: Option<ImportItem> = match id.parse() {
        Ok(id) => services.table.get(&import_key(id)).await?,
        Err(_) => None,
    };
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
    let page = Page::parse(query.as_deref().unwrap_or_default())?;
    let (items, next) = newest(&services.table, &page).await?;
    let items = try_join_all(items.into_iter().map(|item| view(&services.table, item))).await?;
    Ok(Json(ImportList {
        items,
        next_cursor: next.map(|sort| URL_SAFE_NO_PAD.encode(sort)),
    }))
}

/// Which page of the list.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    limit: i32,
    /// Sort key of the last import of the page before.
    after: Option<String>,
}

impl Page {
    fn parse(query: &str) -> Result<Self, Problem> {
        let mut page = Self {
            limit: DEFAULT_LIMIT,
            after: None,
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let violation = match &*name {
                "limit" => match value.parse() {
                    Ok(limit) if (1..=MAX_LIMIT).contains(&limit) => {
                        page.limit = limit;
                        continue;
                    }
                    _ => Violation::new("invalid_limit", format!("a number from 1 to {MAX_LIMIT}")),
                },
                "cursor" => match cursor(&value) {
                    Some(after) => {
                        page.after = Some(after);
                        continue;
                    }
                    None => Violation::new("invalid_cursor", "a next_cursor of an earlier answer"),
                },
                _ => continue,
            };
            return Err(Problem::invalid(vec![FieldError::new(name, violation)]));
        }
        Ok(page)
    }
}

fn cursor(text: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let sort = String::from_utf8(bytes).ok()?;
    // `<created_at>#<id>`, as the index has it.
    let (_, id) = sort.split_once('#')?;
    id.parse::<ImportId>().ok()?;
    Some(sort)
}

/// One page of imports, and where the next one starts.
async fn newest(table: &Table, page: &Page) -> Result<(Vec<ImportItem>, Option<String>), Failure> {
    let mut query = table
        .client()
        .query()
        .table_name(table.name())
        .index_name("listing")
        .expression_attribute_names("#list", "list")
        .expression_attribute_values(":list", text(IMPORT_LIST))
        .scan_index_forward(false)
        // One more than asked for tells whether there is another page.
        .limit(page.limit + 1);
    query = match &page.after {
        Some(after) => query
            .key_condition_expression("#list = :list AND list_sort < :after")
            .expression_attribute_values(":after", text(after)),
        None => query.key_condition_expression("#list = :list"),
    };
    let output = query
        .send()
        .await
        .map_err(|error| Failure::of("Query", error))?;
    let mut items = output
        .items
        .unwrap_or_default()
        .into_iter()
        .map(decode::<ImportItem>)
        .collect::<Result<Vec<_>, _>>()?;
    let limit = usize::try_from(page.limit).unwrap_or_default();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items
        .last()
        .filter(|_| more)
        .map(|item| item.list_sort.clone());
    Ok((items, next))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_twenty_newest_unless_asked_otherwise() {
        assert_eq!(
            Page::parse("").unwrap(),
            Page {
                limit: 20,
                after: None
            }
        );
        let sort = "2026-11-24T08:00:00.000Z#019aafb0-0000-7000-8000-000000000000";
        let query = format!("limit=5&cursor={}", URL_SAFE_NO_PAD.encode(sort));
        assert_eq!(
            Page::parse(&query).unwrap(),
            Page {
                limit: 5,
                after: Some(sort.to_owned())
            }
        );
    }

    #[test]
    fn a_bad_page_names_its_parameter() {
        for query in [
            "limit=0",
            "limit=101",
            "limit=x",
            "limit=-1",
            "cursor=!",
            "cursor=AAAA",
            "cursor=",
        ] {
            assert_eq!(
                Page::parse(query).unwrap_err().kind(),
                Kind::Invalid,
                "{query}"
            );
        }
    }
}
