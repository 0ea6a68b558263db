//! The HTTP API.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`router`] | the routes, and what they share |
//! | [`signup`], [`confirm`], [`disown`] | for people: sign up, confirm, or say that it was somebody else |
//! | [`profiles`], [`imports`] | for operators |
//! | [`signups`], [`confirmations`], [`registry`], [`changes`] | what happens in the table, one transaction each |
//! | [`rates`], [`captcha`] | limits against abuse |
//! | [`nudges`] | to the mailer |
//! | [`listing`] | lists, newest first |
//! | [`gateway`] | what it hands over, read in one way |
//! | [`caller`], [`path`], [`query`], [`body`], [`json`], [`applicant`], [`language`] | who asks, for what, and in which language |
//! | [`precondition`], [`idempotency`] | `If-Match` and `Idempotency-Key` |
//! | [`page`], [`problem`] | what goes out: to a browser, and when it is wrong |
//! | [`openapi`] | all of it described, for programs and for newcomers |

pub mod applicant;
pub mod body;
pub mod caller;
pub mod captcha;
pub mod changes;
pub mod confirm;
pub mod confirmations;
pub mod disown;
pub mod gateway;
pub mod idempotency;
pub mod imports;
pub mod json;
pub mod language;
pub mod listing;
pub mod nudges;
pub mod openapi;
pub mod page;
pub mod path;
pub mod precondition;
pub mod problem;
pub mod profiles;
pub mod query;
pub mod rates;
pub mod registry;
pub mod router;
pub mod settings;
pub mod signup;
pub mod signups;
