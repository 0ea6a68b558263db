//! What a row of an import overwrote of a profile.
//!
//! Of several rows with one address the first one counts, but a chunk further down
//! the file may be imported sooner. The profile keeps what the row of that chunk
//! overwrote, so that the earlier row can take its place as if it had come first.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::people::locale::Locale;
use crate::platform::ids::ImportId;

/// The values of a profile before a row changed it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Overwritten {
    /// The import of the row.
    pub import: ImportId,
    /// Its line.
    pub line: u64,
    /// The profile's version since that change. A profile of another version was
    /// changed again, and keeps that change.
    pub version: u64,
    /// The name before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The language before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// The attributes that the row changed, with their value before; null if the
    /// row added them.
    #[serde(default)]
    pub attributes: BTreeMap<String, Option<String>>,
}

/// Personal data: of what was overwritten, a log has only by which row.
impl fmt::Debug for Overwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overwritten")
            .field("import", &self.import)
            .field("line", &self.line)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
