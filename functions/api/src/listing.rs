//! The `listing` index, newest first: several of its partitions merged into
//! one list, page by page.
//!
//! Each partition is read in small steps, and only as far as its items are
//! wanted. The index lags behind the table a little.

use std::collections::VecDeque;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::try_join_all;
use muster_core::failure::Failure;
use muster_core::ids::ProfileId;
use muster_core::table::{Item, Table, decode, text};
use muster_core::violation::Violation;
use muster_http::query::Parameters;
use serde::de::DeserializeOwned;

/// Items that a partition gives beyond its share, so that an uneven spread
/// does not cost another step.
const MARGIN: usize = 4;

/// Which page.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// At most so many items.
    pub limit: usize,
    /// Sort key of the last item of the page before.
    pub after: Option<String>,
}

/// A page of items, and where the next one starts.
#[derive(Debug)]
pub struct Found<T> {
    /// The items.
    pub items: Vec<T>,
    /// The cursor of the next page, if there is one.
    pub next_cursor: Option<String>,
}

impl Page {
    /// Takes `limit` and `cursor`.
    pub fn take(parameters: &mut Parameters) -> Self {
        Self {
            limit: parameters.limit(),
            after: parameters.optional("cursor", cursor),
        }
    }
}

fn cursor(text: &str) -> Result<String, Violation> {
    URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|sort| is_sort_key(sort))
        .ok_or_else(|| Violation::new("invalid_cursor", "a next_cursor of an earlier answer"))
}

/// Whether it is `<created_at>#<id>`, as the index has it. DynamoDB refuses one
/// that is far longer, which would look like our mistake.
fn is_sort_key(text: &str) -> bool {
    text.split_once('#').is_some_and(|(time, id)| {
        let of_time = |c: u8| c.is_ascii_digit() || b"-T:.Z".contains(&c);
        // `2026-01-01T00:00:00.000Z`
        time.len() == 24 && time.bytes().all(of_time) && id.parse::<ProfileId>().is_ok()
    })
}

/// One page of what is in these partitions and is wanted.
///
/// # Errors
/// When the index cannot be read, or an item cannot be understood.
pub async fn find<T: DeserializeOwned>(
    table: &Table,
    lists: impl IntoIterator<Item = String>,
    page: &Page,
    wanted: impl Fn(&T) -> bool,
) -> Result<Found<T>, Failure> {
    let mut shards: Vec<_> = lists
        .into_iter()
        .map(|list| Shard::new(list, page.after.clone()))
        .collect();
    let step = (page.limit + 1).div_ceil(shards.len().max(1)) + MARGIN;
    let mut items = Vec::new();
    let mut last = None;
    loop {
        let empty = shards.iter_mut().filter(|shard| shard.is_empty());
        try_join_all(empty.map(|shard| shard.read(table, step))).await?;
        let newest = shards.iter_mut().max_by(|a, b| a.head().cmp(&b.head()));
        let Some((sort, item)) = newest.and_then(|shard| shard.items.pop_front()) else {
            break;
        };
        let item = decode(item)?;
        if !wanted(&item) {
            continue;
        }
        // One more than asked for tells that there is another page.
        if items.len() == page.limit {
            return Ok(Found {
                items,
                next_cursor: last.map(|sort: String| URL_SAFE_NO_PAD.encode(sort)),
            });
        }
        items.push(item);
        last = Some(sort);
    }
    Ok(Found {
        items,
        next_cursor: None,
    })
}

/// One partition of the index, as far as it has been read.
struct Shard {
    list: String,
    after: Option<String>,
    items: VecDeque<(String, Item)>,
    at_end: bool,
}

impl Shard {
    const fn new(list: String, after: Option<String>) -> Self {
        Self {
            list,
            after,
            items: VecDeque::new(),
            at_end: false,
        }
    }

    fn head(&self) -> Option<&str> {
        self.items.front().map(|(sort, _)| sort.as_str())
    }

    fn is_empty(&self) -> bool {
        self.items.is_empty() && !self.at_end
    }

    async fn read(&mut self, table: &Table, step: usize) -> Result<(), Failure> {
        let query = table
            .client()
            .query()
            .table_name(table.name())
            .index_name("listing")
            .expression_attribute_names("#list", "list")
            .expression_attribute_values(":list", text(&self.list))
            .scan_index_forward(false)
            .limit(i32::try_from(step).unwrap_or(i32::MAX));
        let query = match &self.after {
            Some(after) => query
                .key_condition_expression("#list = :list AND list_sort < :after")
                .expression_attribute_values(":after", text(after)),
            None => query.key_condition_expression("#list = :list"),
        };
        let output = query
            .send()
            .await
            .map_err(|error| Failure::of("Query", error))?;
        self.at_end = output.last_evaluated_key.is_none_or(|key| key.is_empty());
        for item in output.items.unwrap_or_default() {
            let sort = item
                .get("list_sort")
                .and_then(|sort| sort.as_s().ok())
                .cloned()
                .unwrap_or_default();
            self.after = Some(sort.clone());
            self.items.push_back((sort, item));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<Page, muster_http::problem::Problem> {
        let mut parameters = Parameters::parse(Some(query));
        let page = Page::take(&mut parameters);
        parameters.finish().map(|()| page)
    }

    #[test]
    fn a_page_is_the_twenty_newest_unless_asked_otherwise() {
        let newest = Page {
            limit: 20,
            after: None,
        };
        assert_eq!(page("").unwrap(), newest);
        let sort = "2026-11-24T08:00:00.000Z#019aafb0-0000-7000-8000-000000000000";
        let query = format!("limit=5&cursor={}", URL_SAFE_NO_PAD.encode(sort));
        let next = Page {
            limit: 5,
            after: Some(sort.to_owned()),
        };
        assert_eq!(page(&query).unwrap(), next);
    }

    #[test]
    fn a_bad_page_names_its_parameter() {
        for query in [
            "limit=0",
            "limit=101",
            "limit=x",
            "limit=-1",
            "limit=1&limit=2",
            "cursor=!",
            "cursor=AAAA",
            "cursor=",
        ] {
            assert!(page(query).is_err(), "{query}");
        }
    }
}
