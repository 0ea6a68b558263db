//! The HTTP API for people and for operators. What it shares with other functions that
//! answer HTTP is in `muster-http`.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`router`], [`services`] | the routes; what their handlers work with |
//! | `signup`, `confirmation` | for people |
//! | `profiles`, `imports` | for operators |
//! | `health` | whether the API runs |
//! | `cross_site`, `edge` | requests that are refused before they reach a handler |
//! | `problems`, [`pagination`], `idempotency`, `queue` | what several handlers share |
//! | [`openapi`] | the document of the API |

mod confirmation;
mod cross_site;
mod edge;
mod health;
mod idempotency;
mod imports;
pub mod openapi;
pub mod pagination;
mod problems;
mod profiles;
mod queue;
pub mod router;
pub mod services;
pub mod settings;
mod signup;
