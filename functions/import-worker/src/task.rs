//! How the rows of an import are written.

use muster_core::platform::time::Time;
use muster_imports::import::ImportItem;

/// How the rows of an import are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task<'a> {
    /// Of which import.
    pub import: &'a ImportItem,
    /// Of which of its chunks.
    pub chunk: u32,
    /// The column of the addresses, which is what is wrong with most rows that
    /// are refused here.
    pub email: &'a str,
    /// Until when: the end of the lease, behind which somebody else may be at it.
    pub until: Time,
}
