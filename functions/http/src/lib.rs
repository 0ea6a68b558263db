//! What every function that answers HTTP shares, so that a caller cannot tell
//! which of them answered.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`frame`] | what is around the routes: unknown paths, wrong methods, panics |
//! | [`gateway`] | what it hands over, read in one way |
//! | [`caller`], [`path`], [`query`], [`body`], [`json`] | who asks, and for what |
//! | [`problem`] | what goes out when something is wrong |
//! | [`length`] | how much of Lambda's limit that takes |
//! | [`profile`] | a profile, as it goes out |
//! | [`openapi`] | all of this described |
//! | [`secrets`] | secrets of Secrets Manager |
//! | [`tls`] | how others are spoken to |

pub mod body;
pub mod caller;
pub mod frame;
pub mod gateway;
pub mod json;
pub mod length;
pub mod openapi;
pub mod path;
pub mod problem;
pub mod profile;
pub mod query;
pub mod secrets;
pub mod tls;
