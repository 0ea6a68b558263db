//! The sweeper: every minute it finds what is due and nudges whoever is to do
//! it. A lost nudge, a worker that died, a mail that SES would not take at the
//! time, the mails that an import asked for: all of them are due sooner or
//! later, so none of them is lost.
//!
//! It decides nothing. It moves an item's due time forward by a conditional
//! write, then sends the nudge; whoever gets that looks at the item anew. So
//! two sweepers at once, or one that dies in between, do no harm: the item is
//! due again. Only what is left of an erasure it removes itself: that is too
//! rare to have a queue of its own.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `due` | the `due` index, read and moved forward |
//! | [`sweeper`] | one sweep |
//! | `feeder` | its mails, as fast as SES takes them |
//! | `queue` | nudges, ten at a time |

mod due;
mod feeder;
mod queue;
pub mod settings;
pub mod sweeper;
