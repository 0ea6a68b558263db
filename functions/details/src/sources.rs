//! Sources asked about a person.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`fan_out`] | all at once, with one deadline |
//! | `fetch`, `decode`, [`source_error`] | one source asked; what it says; why it says nothing |
//! | [`transport`], [`addresses`] | the way out, and where it does not lead |
//! | [`circuit_breaker`], `single_flight` | sources left alone that fail; the same asked once |
//! | `cache` | what sources said before |

pub mod addresses;
pub(crate) mod cache;
pub mod circuit_breaker;
pub(crate) mod decode;
pub mod fan_out;
pub(crate) mod fetch;
pub(crate) mod single_flight;
pub mod source_error;
pub mod transport;
