//! What the OpenAPI document says of the details beside the handler and the wire types.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `values` | the values that answers are made of |
//! | `parameters` | path and query |
//! | `refusals` | error answers |
//! | [`document`] | all of it put together |

pub mod document;
pub(crate) mod parameters;
pub(crate) mod refusals;
pub(crate) mod values;
