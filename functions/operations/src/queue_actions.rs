//! Dead letters are redriven or purged.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `handlers` | the routes |
//! | `redrive` | letters received, sent again, deleted |

pub(crate) mod handlers;
pub(crate) mod redrive;
