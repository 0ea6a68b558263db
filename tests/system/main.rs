//! The deployed stack, from the outside: real template, real binaries, real
//! queues. `make test` starts it, and says where it is in `MUSTER_ENV_FILE`.

// In a test a panic is an answer, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod details;
mod feedback;
mod hundred_thousand;
mod imports;
mod jobs;
mod nudges;
mod operators;
mod outage;
mod profiles;
mod queues;
mod signup;
mod stack;
