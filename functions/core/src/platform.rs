//! What the functions stand on.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`settings`], [`aws`] | the environment, read once; the SDK configuration made from it |
//! | [`time`], [`random`], [`ids`] | the only sources of time, chance and identity |
//! | [`table`] | typed access to the table |
//! | [`due`] | the index of what waits for the sweeper |
//! | [`queue`], [`batch`] | messages sent; a batch of them answered |
//! | [`failure`], [`causes`] | what an AWS error means to the caller; the chain of causes behind an error |
//! | [`hex`] | bytes as text |

pub mod aws;
pub mod batch;
pub mod causes;
pub mod due;
pub mod failure;
pub mod hex;
pub mod ids;
pub mod queue;
pub mod random;
pub mod settings;
pub mod table;
pub mod time;
