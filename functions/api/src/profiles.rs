//! Operators create, read, change and erase profiles.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `handlers`, `mails`, `undeliverable` | the routes |
//! | `create`, `update`, `resend`, `reactivate` | what happens in the table, one transaction each |
//! | `etag` | `ETag` and `If-Match` |

pub(crate) mod create;
pub(crate) mod etag;
pub(crate) mod handlers;
pub(crate) mod mails;
pub(crate) mod reactivate;
pub(crate) mod resend;
pub(crate) mod undeliverable;
pub(crate) mod update;
