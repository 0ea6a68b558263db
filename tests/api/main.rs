//! The API's own code over a table in memory: what needs a clock that can be
//! pushed forward, or a look at everything that is stored.

// In a test a panic is an answer, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cached;
mod captcha;
mod cross_site;
mod details;
mod edge;
mod erasures;
mod expiry;
mod failures;
mod feedback;
mod handover;
mod hostile;
mod imported_signups;
mod imports;
mod kept;
mod leases;
mod letters;
mod limits;
mod links;
mod lists;
mod lost_replies;
mod mails;
mod operations;
mod outside;
mod permissions;
mod place;
mod profiles;
mod reasons;
mod remedies;
mod reminders;
mod repeats;
mod reports;
mod resolver;
mod rows;
mod signups;
mod sources;
mod stops;
mod strangers;
mod sweeps;
mod takeover;
mod undeliverable;
