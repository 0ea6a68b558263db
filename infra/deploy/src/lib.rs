//! `make deploy`: refuses what AWS would refuse half-way, then runs `sam deploy`.
//!
//! CloudFormation finds some mistakes only when it makes the resource, and rolls back
//! everything it made. Each is refused here by a sentence.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`samconfig`] | an environment of `samconfig.toml` |
//! | [`template`] | the parameters of `template.yaml`, and what each may be |
//! | [`plan`] | stack, region and parameters of one deployment; what is wrong with them |

pub mod plan;
pub mod samconfig;
pub mod template;
