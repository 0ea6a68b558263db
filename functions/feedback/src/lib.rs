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
//! | [`feedback`] | what becomes of an event: [`muster_core::mail::ses_event`] reads it, [`muster_core::mail::status_transition`] says where it moves its mail |

pub mod feedback;
pub mod settings;
