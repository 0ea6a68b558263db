//! The import worker: one chunk of a file to profiles, each row exactly once.
//!
//! ```text
//!  claim ─▶ ┌─ window: at most 1,000 rows ─┐ ─▶ done ─▶ next of the lane, or
//!           │ read, check, write, report,  │            all settled? ─▶ report ─▶ completed
//!           │ checkpoint                   │◀─┐
//!           └──────────────────────────────┘──┘
//! ```
//!
//! A worker may die anywhere. The next one starts at the last checkpoint and
//! meets rows that are written but not counted; it knows them by their id and
//! line, and counts them as what they became.
//!
//! An import that is stopped, or resumed, has its chunks nudged as well: the mails
//! of rows that were answered are called off, or on again.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`worker`], `unanswered` | what becomes of a nudge, and why it comes back |
//! | `chunks` | the chunk's item: leased, checkpointed, settled |
//! | `window` | rows read and checked, addresses met once |
//! | `row` | one record to one profile, or to what is wrong with it |
//! | `writer`, `update` | profiles in transactions of many rows, and of one that changes one that is there |
//! | `task`, `verdict` | how rows are written; what became of one that clashed |
//! | `first_row`, `undo`, `corrections` | of several rows with one address the first one counts, whichever chunk is faster |
//! | `turns` | much work piece by piece, so that nothing waits for all of it |
//! | `patience` | how often a transaction is tried again |
//! | `mails` | mails called off, and on again |
//! | [`report`], `assembly` | the refused rows, part by part, and put together to one file |
//! | [`completion`] | the last chunk ends the import |

mod assembly;
mod chunks;
pub mod completion;
mod corrections;
mod first_row;
mod mails;
mod patience;
pub mod report;
mod row;
pub mod settings;
mod task;
mod turns;
mod unanswered;
mod undo;
mod update;
mod verdict;
mod window;
pub mod worker;
mod writer;
