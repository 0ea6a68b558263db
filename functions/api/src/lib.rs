//! The HTTP API: people and operators, profiles and imports. What it shares with
//! other functions that answer HTTP is muster-http's.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`router`] | the routes, and what they share |
//! | [`signup`], [`confirm`], [`disown`] | for people: sign up, confirm, or say that it was somebody else |
//! | [`link`] | their links, as mail programs and people change them |
//! | [`profiles`], [`mails`], [`undeliverable`], [`imports`] | for operators |
//! | [`signups`], [`confirmations`], [`registry`], [`changes`], [`resends`], [`reactivations`], [`importing`] | what happens in the table, one transaction each |
//! | [`import_view`], [`import_report`] | what is shown of an import, and of the rows that it refused |
//! | [`presigned_post`] | how its file gets to S3 |
//! | [`rates`], [`mailbox`], [`captcha`], [`proof`], [`cross_site`], [`edge`] | limits against abuse |
//! | [`nudges`] | to the mailer and to the planner |
//! | [`listing`] | lists, newest first |
//! | [`applicant`], [`form`], [`language`] | what is asked for, and in which language |
//! | [`precondition`], [`idempotency`] | `If-Match` and `Idempotency-Key` |
//! | [`page`] | what goes out to a browser |
//! | [`openapi`] | all of it described, for programs and for newcomers |

pub mod applicant;
pub mod captcha;
pub mod changes;
pub mod confirm;
pub mod confirmations;
pub mod cross_site;
pub mod disown;
pub mod edge;
pub mod form;
pub mod idempotency;
pub mod import_report;
pub mod import_view;
pub mod importing;
pub mod imports;
pub mod language;
pub mod link;
pub mod listing;
pub mod mailbox;
pub mod mails;
pub mod nudges;
pub mod openapi;
pub mod page;
pub mod precondition;
pub mod presigned_post;
pub mod profiles;
pub mod proof;
pub mod rates;
pub mod reactivations;
pub mod registry;
pub mod resends;
pub mod router;
pub mod settings;
pub mod signup;
pub mod signups;
pub mod undeliverable;
