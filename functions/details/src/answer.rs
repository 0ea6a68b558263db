//! The answer.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`view`] | the profile, what each source says, and one view of it all |
//! | `merged` | for each field, the value of the highest-ranked source |

pub(crate) mod merged;
pub mod view;
