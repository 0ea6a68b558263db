//! A person, and what many sources know of them, asked at once.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`router`], [`details`], [`view`] | the route, and its answer |
//! | [`settings`], [`config`], [`secrets`] | the environment; which sources there are, read again every minute; their headers |
//! | [`document`], [`members`], [`template`] | what operators write of a source, and how that is read; its URL |
//! | [`gather`] | all at once, with one deadline |
//! | [`fetch`], [`decode`], [`trouble`] | one source asked about one person; what it says; why it says nothing |
//! | [`transport`], [`addresses`] | the way out, and where it does not lead |
//! | [`breaker`], [`flights`] | sources left alone that fail; the same asked once |
//! | [`cache`] | what sources said before |
//! | [`merged`] | one view out of many |
//! | [`openapi`] | the route described |

pub mod addresses;
pub mod breaker;
pub mod cache;
pub mod config;
pub mod decode;
pub mod details;
pub mod document;
pub mod fetch;
pub mod flights;
pub mod gather;
pub mod members;
pub mod merged;
pub mod openapi;
pub mod router;
pub mod secrets;
pub mod settings;
pub mod template;
pub mod transport;
pub mod trouble;
pub mod view;
