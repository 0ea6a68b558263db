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
//! | [`worker`], [`unanswered`] | what becomes of a nudge, and why it comes back |
//! | [`chunks`] | the chunk's item: leased, checkpointed, settled |
//! | [`window`] | rows read and checked, addresses met once |
//! | [`row`] | one record to one profile, or to what is wrong with it |
//! | [`writer`], [`update`] | profiles in transactions of many rows, and of one that changes one that is there |
//! | [`first_row`], [`corrections`] | of several rows with one address the first one counts, whichever chunk is faster |
//! | [`turns`] | much work piece by piece, so that nothing waits for all of it |
//! | [`patience`] | how often a transaction is tried again |
//! | [`mails`] | mails called off, and on again |
//! | [`report`], [`assembly`] | the refused rows, part by part, and put together to one file |
//! | [`completion`] | the last chunk ends the import |

pub mod assembly;
pub mod chunks;
pub mod completion;
pub mod corrections;
pub mod first_row;
pub mod mails;
pub mod patience;
pub mod report;
pub mod row;
pub mod settings;
pub mod turns;
pub mod unanswered;
pub mod update;
pub mod window;
pub mod worker;
pub mod writer;
