//! What SES reports of a mail: sent, delivered, delayed, bounced, rejected,
//! complained about.
//!
//! SES publishes its events to EventBridge, a rule sends those of our
//! configuration set to a queue, and this function takes them from there. They
//! come at least once, late, and in any order, so each only ever moves a mail
//! forward.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`event`] | an event, read off its message |
//! | [`step`] | where it moves a mail |
//! | [`feedback`] | and its profile, if nothing more is to go there |

pub mod event;
pub mod feedback;
pub mod settings;
pub mod step;
