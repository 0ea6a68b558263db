//! The HTTP API.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`router`] | the routes, and what they share |
//! | [`signup`], [`profiles`], [`imports`], [`confirm`] | one resource each |
//! | [`registry`] | a profile with its lock and its mail stored in one transaction, the nudge beside it |
//! | [`confirmations`] | a link's token turned into a confirmed profile |
//! | [`caller`] | who asks, as the gateway's authorizer says |
//! | [`applicant`] | who is to be stored |
//! | [`body`], [`problem`] | what comes in as JSON, what goes out when it is wrong |
//! | [`page`] | what a person's browser shows |

pub mod applicant;
pub mod body;
pub mod caller;
pub mod confirm;
pub mod confirmations;
pub mod imports;
pub mod page;
pub mod problem;
pub mod profiles;
pub mod registry;
pub mod router;
pub mod settings;
pub mod signup;
