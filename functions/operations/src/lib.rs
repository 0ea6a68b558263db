//! The operators' side of the queues: how full they are, what they gave up and
//! why, and how it is tried again or thrown away.
//!
//! A dead letter carries no error: SQS keeps what was sent, not what came of it.
//! So the reason is read off the table, which is the truth.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`router`] | the routes |
//! | [`settings`] | the environment, and the queues, one entry each |
//! | [`queues`] | `GET /queues` |
//! | [`dead_letters`], [`remedies`] | the routes below: to look, and to do something about it |
//! | [`letters`], [`clearing`] | dead letters in SQS: looked at, and cleared away |
//! | [`selection`] | which of them |
//! | [`reason`] | what the table knows of one |
//! | [`redaction`] | what is shown of one to whom |
//! | [`openapi`] | the routes described |

pub mod clearing;
pub mod dead_letters;
pub mod letters;
pub mod openapi;
pub mod queues;
pub mod reason;
pub mod redaction;
pub mod remedies;
pub mod router;
pub mod selection;
pub mod settings;
