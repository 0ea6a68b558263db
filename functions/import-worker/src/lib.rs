//! The import worker: one chunk of a file to profiles, each row exactly once.
//!
//! ```text
//!  claim ─▶ ┌─ window: at most 1,000 rows ─┐ ─▶ done ─▶ all chunks done? ─▶ report ─▶ completed
//!           │ read, check, write, report,  │
//!           │ checkpoint                   │◀─┐
//!           └──────────────────────────────┘──┘
//! ```
//!
//! A worker may die anywhere. The next one starts at the last checkpoint and
//! meets rows that are written but not counted; it knows them by their id and
//! line, and counts them as created.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`worker`] | what becomes of a nudge |
//! | [`chunks`] | the chunk's item: leased, checkpointed, done |
//! | [`window`] | rows read and checked, addresses met once |
//! | [`row`] | one record to one profile, or to what is wrong with it |
//! | [`writer`] | profiles in transactions of many rows |
//! | [`report`] | the refused rows, part by part and as one file |
//! | [`completion`] | the last chunk completes the import |

pub mod chunks;
pub mod completion;
pub mod report;
pub mod row;
pub mod settings;
pub mod window;
pub mod worker;
pub mod writer;
