//! What the OpenAPI document says of every function alike.
//!
//! | module | what it describes |
//! | --- | --- |
//! | [`values`] | ids and times |
//! | [`people`] | addresses, names, …, and states of profiles |
//! | [`parameters`] | how long a list is to be |
//! | [`refusals`] | what comes instead of what was asked for |

pub mod parameters;
pub mod people;
pub mod refusals;
pub mod values;
