//! The simulation: every fault, on demand, from a seed.
//!
//! The functions' own handlers run in one process, over SDK clients whose HTTP
//! connector is ours. Time is tokio's paused clock, chance is seeded, so a run
//! is a function of its seed: the same seed gives the same calls in the same
//! order, and no real time passes.
//!
//! Nothing here imitates AWS where somebody else does it well: DynamoDB is
//! [`dynoxide`], S3 is [`s3s`] on a folder. SQS and SES are recorders, and the
//! queues deliver as badly as SQS is allowed to.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`endpoint`] | the connector: every call of every function comes by here |
//! | [`asked`], [`answer`] | a call, read off its request; what is said to it, also when it goes wrong |
//! | [`dynamodb`], [`s3`], [`ses`], [`queues`], [`sqs`] | who answers it |
//! | [`chains`] | which loops Lambda stops |
//! | [`crowd`] | a file of any size that is nowhere |
//! | [`faults`] | what goes wrong, at which call |
//! | [`log`] | the calls, in order |
//! | [`permissions`], [`leading_keys`] | what the role of each function allows |
//! | [`process`] | the functions, each in processes that can be killed |
//! | [`sources`] | sources of details that do well or badly, on a network in memory |
//! | [`socket`] | the same for the real binaries, killed with `SIGKILL` |
//! | [`apart`] | servers that benches ask, on a thread of their own |
//! | [`machine`] | a world of real processes |
//! | [`world`] | who runs when: deliveries, the schedule, what people do |
//! | [`story`], [`import_story`] | what people do in a run, and what must hold then |
//! | [`invariants`] | what must hold after any of them |
//! | [`run`] | one run, from its seed |
//! | [`budget`] | calls and capacity units of each action |
//! | [`flood`] | more mails due than can go |
//! | [`kills`] | real processes killed at random |
//! | [`volume`] | more rows than memory may hold, and AWS at its worst |
//! | [`bug`] | bugs planted on purpose: the instrument must find them |

// An instrument that cannot go on must say so at once; nobody can recover here.
#![allow(clippy::expect_used)]

pub mod answer;
pub mod apart;
pub mod asked;
pub mod budget;
pub mod bug;
pub mod chains;
pub mod crowd;
pub mod dynamodb;
pub mod endpoint;
pub mod faults;
pub mod flood;
pub mod import_story;
pub mod invariants;
pub mod kills;
pub mod leading_keys;
pub mod log;
pub mod machine;
pub mod multipart;
pub mod permissions;
pub mod process;
pub mod queues;
pub mod run;
pub mod s3;
pub mod ses;
pub mod socket;
pub mod sources;
pub mod sqs;
pub mod story;
pub mod volume;
pub mod world;
