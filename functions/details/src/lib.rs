//! A person, and what many sources know of them, asked at once.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`router`], [`services`], `handlers` | the route; what its handler works with; the handler |
//! | [`settings`] | the environment |
//! | [`config`] | which sources there are |
//! | [`sources`] | sources asked about a person |
//! | [`answer`] | one view out of many |
//! | [`openapi`] | the route described |

pub mod answer;
pub mod config;
mod handlers;
pub mod openapi;
pub mod router;
pub mod services;
pub mod settings;
pub mod sources;
