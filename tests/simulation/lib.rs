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
//! | [`template`], [`deployment`], [`environment`] | `template.yaml`, what it deploys, and what it tells the functions |
//! | [`state`] | what all processes of a run share |
//! | [`endpoint`] | the connector: every call of every function comes by here |
//! | [`asked`], [`answer`] | a call, read off its request; what is said to it, also when it goes wrong |
//! | [`dispatch`] | which service answers it |
//! | [`dynamodb`], [`s3`], [`multipart`], [`ses`], [`queues`], [`sqs`] | the services |
//! | [`chains`] | which loops Lambda stops |
//! | [`synthetic_csv`] | a CSV of any size, generated while it is read |
//! | [`faults`] | what goes wrong, at which call |
//! | [`log`] | the calls, in order |
//! | [`permissions`], [`leading_keys`] | what the role of each function allows |
//! | [`process`] | the functions, each in processes that can be killed |
//! | [`sources`] | sources of details that do well or badly, on a network in memory |
//! | [`socket`] | the same for the real binaries, killed with `SIGKILL` |
//! | [`bench_server`] | servers that benches ask, on a thread of their own |
//! | [`machine`] | a world of real processes |
//! | [`actions`], [`addresses`] | what people and operators can do, and who the people are |
//! | [`scenario`] | a scenario: actions in time, and rules for the end |
//! | [`people_scenarios`], [`people_csv`] | people who sign up, and the file among them |
//! | [`import_scenarios`], [`import_input`], [`import_rules`] | imports, what they are given, and what must hold then |
//! | [`invariants`] | what must hold after every scenario |
//! | [`world`] | who runs when: deliveries, the schedule, the actions |
//! | [`run`] | one run of a scenario, from its seed |
//! | [`budget`] | calls and capacity units of each action |
//! | [`flood`] | more mails due than can go |
//! | [`kills`] | real processes killed at random |
//! | [`volume`] | more rows than memory may hold, and AWS at its worst |
//! | [`bug`] | bugs planted on purpose: the instrument must find them |

// An instrument that cannot go on must say so at once; nobody can recover here.
#![allow(clippy::expect_used)]

pub mod actions;
pub mod addresses;
pub mod answer;
pub mod asked;
pub mod bench_server;
pub mod budget;
pub mod bug;
pub mod chains;
pub mod deployment;
pub mod dispatch;
pub mod dynamodb;
pub mod endpoint;
pub mod environment;
pub mod faults;
pub mod flood;
pub mod import_input;
pub mod import_rules;
pub mod import_scenarios;
pub mod invariants;
pub mod kills;
pub mod leading_keys;
pub mod log;
pub mod machine;
pub mod multipart;
pub mod people_csv;
pub mod people_scenarios;
pub mod permissions;
pub mod process;
pub mod queues;
pub mod run;
pub mod s3;
pub mod scenario;
pub mod ses;
pub mod socket;
pub mod sources;
pub mod sqs;
pub mod state;
pub mod synthetic_csv;
pub mod template;
pub mod volume;
pub mod world;
