//! What the planner, the workers and the operators' API must agree on about imports.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`import`], [`chunk`] | the items of an import and of the chunks that its file is cut into |
//! | [`failure_reason`] | why an import failed as a whole |
//! | [`options`] | what an import does with people |
//! | [`object`] | the uploaded file, pinned to the version that was announced |
//! | [`s3_event`], [`nudges`] | messages of the import queue and the chunk queue |
//! | [`lanes`] | which chunks of an import are in the queue |
//! | [`csv`] | a file cut into records; what its columns mean; formulas made harmless |

pub mod chunk;
pub mod csv;
pub mod failure_reason;
pub mod import;
pub mod lanes;
pub mod nudges;
pub mod object;
pub mod options;
pub mod s3_event;
