//! The import planner: an upload becomes an import, its file becomes chunks.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`planner`] | what becomes of an event |
//! | `imports` | the import's item: recorded once, leased, planned or failed |
//! | [`cutter`] | where a file can be cut |

pub mod cutter;
mod imports;
pub mod planner;
pub mod settings;
