//! The operators' side of the queues: how full they are, what they gave up and
//! why, and how it is tried again or thrown away.
//!
//! A dead letter carries no error: SQS keeps what was sent, not what came of it.
//! So the reason is read off the table, which is the truth.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`router`], [`services`] | the routes; what their handlers work with |
//! | [`settings`] | the environment, and the queues, one entry each |
//! | `queues` | `GET /queues` |
//! | `dead_letters` | dead letters: listed, read, explained |
//! | `queue_actions` | dead letters: redriven and purged |
//! | `problems` | error answers that several handlers share |
//! | [`openapi`] | the routes described |

mod dead_letters;
pub mod openapi;
mod problems;
mod queue_actions;
mod queues;
pub mod router;
pub mod services;
pub mod settings;
