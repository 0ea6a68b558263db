//! What the OpenAPI document says of the queues beside the handlers and the wire types.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `values` | the values that bodies, parameters and answers are made of |
//! | `parameters` | paths and queries |
//! | `refusals` | error answers |
//! | [`document`] | all of it put together |

pub mod document;
pub(crate) mod parameters;
pub(crate) mod refusals;
pub(crate) mod values;
