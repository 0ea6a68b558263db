//! What the OpenAPI document says beside the handlers and the wire types.
//!
//! | module | what it describes |
//! | --- | --- |
//! | [`values`] | captchas, and states of mails and imports: core's types know no OpenAPI |
//! | [`bodies`] | bodies without a type of their own |
//! | [`parameters`] | paths, queries, headers |
//! | [`refusals`] | error answers |
//! | [`links`] | the requests that can follow an answer |
//! | [`document`] | all of it put together, and served |

pub mod bodies;
pub mod document;
pub mod links;
pub mod parameters;
pub mod refusals;
pub mod values;
