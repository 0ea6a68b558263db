//! The `listing` index, newest first: several of its partitions merged into
//! one list, page by page.
//!
//! ```text
//!  partition 1   ■ ■ ■ ■ │ not read yet          ■ read, and wanted
//!  partition 2   ■ □ □ □ □ □ │ not read yet      □ read, and expired
//!  partition 3   ■ ■ │ not read yet
//!                    ▲ frontier: everything newer has been read everywhere
//! ```
//!
//! An item may go out when it is newer than the frontier. Each partition is read
//! in steps that grow, and only as far as its items are wanted; DynamoDB leaves
//! out what has expired. A page that has run out of time or size ends early, with
//! the cursor of where it stopped. The index lags behind the table a little.

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::try_join_all;
use muster_core::people::validation::Violation;
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ProfileId;
use muster_core::platform::table::{Item, Table, decode, number, text};
use muster_core::platform::time::Clock;
use muster_http::length::{MAX_ANSWER_BYTES, answer_length};
use muster_http::query::Parameters;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Items that a partition gives beyond its share, so that an uneven spread
/// does not cost another step.
const MARGIN: usize = 4;
/// The longest step. DynamoDB ends one after 1 MB in any case.
const LONGEST_STEP: usize = 1000;

/// How long a page may take: a fifth of the function's time-out.
const TIME: Duration = Duration::from_secs(2);
/// Bytes of the items of a page, in the answer. The rest of it needs few.
const MAX_BYTES: usize = MAX_ANSWER_BYTES - 10_000;

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
            after: parameters.optional("cursor", Self::position),
        }
    }

    /// The sort key that a cursor stands for.
    ///
    /// # Errors
    /// `invalid_cursor` for what no page has given out.
    pub fn position(cursor: &str) -> Result<String, Violation> {
        URL_SAFE_NO_PAD
            .decode(cursor)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .filter(|sort| is_sort_key(sort))
            .ok_or_else(|| Violation::new("invalid_cursor", "a next_cursor of an earlier answer"))
    }
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

/// Pages of the index.
#[derive(Clone, Copy)]
pub struct Listing<'a> {
    /// The table with the index.
    pub table: &'a Table,
    /// The time.
    pub clock: &'a Clock,
}

impl Listing<'_> {
    /// One page of what is in these partitions and, as `shown` says, is wanted. It
    /// has fewer items than its limit if it is the last one, or if more would take
    /// too long or be too much for one answer; then it has a cursor.
    ///
    /// # Errors
    /// When the index cannot be read, or an item cannot be understood.
    pub async fn page<T: DeserializeOwned, V: Serialize>(
        self,
        lists: impl IntoIterator<Item = String>,
        page: &Page,
        shown: impl Fn(T) -> Option<V>,
    ) -> Result<Found<V>, Failure> {
        let until = self.clock.now().after(TIME);
        let mut merge = Merge::new(lists, page);
        let mut taken = Taken::new(page.limit);
        loop {
            while let Some((sort, item)) = merge.next() {
                let Some(view) = shown(decode(item)?) else {
                    continue;
                };
                if !taken.add(sort, view)? {
                    return Ok(taken.and_more());
                }
            }
            let Some(frontier) = merge.frontier() else {
                return Ok(taken.found(None));
            };
            match frontier {
                Some(frontier) if until <= self.clock.now() => {
                    return Ok(taken.found(Some(frontier)));
                }
                _ => merge.read(self).await?,
            }
        }
    }
}

/// The items of a page, as far as there is room for them.
struct Taken<V> {
    items: Vec<V>,
    limit: usize,
    bytes: usize,
    last: Option<String>,
}

impl<V: Serialize> Taken<V> {
    const fn new(limit: usize) -> Self {
        Self {
            items: Vec::new(),
            limit,
            bytes: 0,
            last: None,
        }
    }

    /// Adds an item; says whether there was room. There is for the first.
    fn add(&mut self, sort: String, view: V) -> Result<bool, Failure> {
        let bytes = answer_length(&view).map_err(|error| Failure::unreadable("measure", error))?;
        let is_full = self.items.len() == self.limit || self.bytes + bytes > MAX_BYTES;
        if is_full && !self.items.is_empty() {
            return Ok(false);
        }
        self.items.push(view);
        self.bytes += bytes;
        self.last = Some(sort);
        Ok(true)
    }

    /// The page, where more items follow the last one.
    fn and_more(mut self) -> Found<V> {
        let last = self.last.take();
        self.found(last)
    }

    fn found(self, after: Option<String>) -> Found<V> {
        Found {
            items: self.items,
            next_cursor: after.map(|sort| URL_SAFE_NO_PAD.encode(sort)),
        }
    }
}

/// Partitions of the index, read side by side.
struct Merge {
    shards: Vec<Shard>,
}

impl Merge {
    fn new(lists: impl IntoIterator<Item = String>, page: &Page) -> Self {
        let lists: Vec<_> = lists.into_iter().collect();
        let step = (page.limit + 1).div_ceil(lists.len().max(1)) + MARGIN;
        let shard = |list| Shard {
            list,
            after: page.after.clone(),
            items: VecDeque::new(),
            at_end: false,
            step,
        };
        Self {
            shards: lists.into_iter().map(shard).collect(),
        }
    }

    /// The newest item, if no partition may still have a newer one.
    fn next(&mut self) -> Option<(String, Item)> {
        let frontier = self.frontier();
        let newest = self
            .shards
            .iter_mut()
            .max_by(|a, b| a.head().cmp(&b.head()))?;
        let is_next = match frontier {
            None => true,
            Some(None) => false,
            Some(Some(frontier)) => newest.head() > Some(frontier.as_str()),
        };
        if is_next {
            newest.items.pop_front()
        } else {
            None
        }
    }

    /// Where the partition that must be read next has been read to; `Some(None)` if it
    /// has not been read from its start. None if all that is left has been read.
    fn frontier(&self) -> Option<Option<String>> {
        let behind = self.shards.iter().filter(|shard| shard.is_behind());
        // Nothing read is the newest frontier there is.
        behind
            .map(|shard| shard.after.clone())
            .max_by_key(|after| (after.is_none(), after.clone()))
    }

    /// Reads on where nothing is left of what was read.
    async fn read(&mut self, listing: Listing<'_>) -> Result<(), Failure> {
        let behind = self.shards.iter_mut().filter(|shard| shard.is_behind());
        try_join_all(behind.map(|shard| shard.read(listing))).await?;
        Ok(())
    }
}

/// One partition of the index, as far as it has been read.
struct Shard {
    list: String,
    /// The last key that was read, if any was.
    after: Option<String>,
    items: VecDeque<(String, Item)>,
    at_end: bool,
    step: usize,
}

impl Shard {
    fn head(&self) -> Option<&str> {
        self.items.front().map(|(sort, _)| sort.as_str())
    }

    fn is_behind(&self) -> bool {
        self.items.is_empty() && !self.at_end
    }

    async fn read(&mut self, Listing { table, clock }: Listing<'_>) -> Result<(), Failure> {
        let query = table
            .client()
            .query()
            .table_name(table.name())
            .index_name("listing")
            .expression_attribute_names("#list", "list")
            .expression_attribute_values(":list", text(&self.list))
            .filter_expression("attribute_not_exists(expires_at) OR expires_at > :seconds")
            .expression_attribute_values(":seconds", number(clock.now().as_seconds()))
            .scan_index_forward(false)
            .limit(i32::try_from(self.step).unwrap_or(i32::MAX));
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
        match output.last_evaluated_key.as_ref().and_then(sort_of) {
            Some(last) => self.after = Some(last),
            None => self.at_end = true,
        }
        let items = output.items.unwrap_or_default().into_iter();
        self.items
            .extend(items.filter_map(|item| Some((sort_of(&item)?, item))));
        self.step = (self.step * 2).min(LONGEST_STEP);
        Ok(())
    }
}

/// Where in its partition of the index an item is.
fn sort_of(item: &Item) -> Option<String> {
    item.get("list_sort")?.as_s().ok().cloned()
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
