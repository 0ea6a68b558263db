//! The API's own code over a table in memory: what needs a clock that can be
//! pushed forward, or a look at everything that is stored.

// In a test a panic is an answer, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod captcha;
mod expiry;
mod failures;
mod feedback;
mod hostile;
mod imports;
mod letters;
mod limits;
mod mails;
mod operations;
mod place;
mod profiles;
mod reasons;
mod remedies;
mod reminders;
mod rows;
mod stops;
mod strangers;
