//! The local stack: an AWS emulator that runs our real `template.yaml` and our
//! real binaries, and what to do with it.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`place`] | where the stack lives: folder, port, repository |
//! | [`emulator`] | starts the emulator and stops it |
//! | `deployment` | `sam deploy`, and what came of it |
//! | `operator` | a token for the operators' routes |
//! | [`environment`] | `.local/env`: what others need to know of the stack |
//! | [`sources`] | what other systems know of a person |
//! | [`aws_settings`], `already_exists` | SDK settings for the emulator, and resources that exist already |
//! | [`client`] | the API and the inbox, for the demo and the system tests |
//! | [`up`], [`inbox`], [`demo`] | the commands |
//! | [`console`] | how it speaks |

mod already_exists;
pub mod aws_settings;
pub mod client;
pub mod console;
pub mod demo;
mod deployment;
pub mod emulator;
pub mod environment;
pub mod inbox;
mod operator;
pub mod place;
pub mod sources;
pub mod up;
