//! How full the queues are.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `handlers` | `GET /queues` |
//! | `attributes` | what SQS says of a queue |

pub(crate) mod attributes;
pub(crate) mod handlers;
