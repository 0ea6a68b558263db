//! `muster`: what operators run. It talks to the deployed HTTP API and to nothing
//! else, so it needs no AWS credentials and may do what its token may.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`arguments`] | what can be typed |
//! | [`verbs`] | what is done |
//! | [`dead_letters`] | the same, of dead letters |
//! | [`api`], [`machine`], [`http`] | the API, a token for it, and the way there |
//! | [`console`], [`table`], [`trouble`] | what is shown, asked and complained about |

pub mod api;
pub mod arguments;
pub mod console;
pub mod dead_letters;
pub mod http;
pub mod machine;
pub mod table;
pub mod trouble;
pub mod verbs;

#[cfg(test)]
mod tests;
