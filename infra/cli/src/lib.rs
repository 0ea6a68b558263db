//! `muster`: what operators run. It talks to the deployed HTTP API, so it needs no AWS
//! credentials and may do what its token may. Only `muster sources check` talks to
//! others: to the sources, as the function does, and to AWS for their secrets.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`arguments`] | what can be typed |
//! | [`commands`] | runs the command that was typed |
//! | `dead_letters` | the same, of dead letters |
//! | `import`, `imports` | the same, of a file to import, and of imports there are |
//! | `sources` | the same, of the document that says which sources details have |
//! | `upload`, `follow`, `report` | a file on its way to S3, its import, the rows it refused |
//! | [`report_path`], `sink` | where those rows go, and that this does no harm |
//! | `api`, [`http`] | the API, and the way there |
//! | [`client_credentials`], `token_cache` | a token for it, and where it is kept |
//! | `s3`, `retry` | what S3 refuses, and what is tried again |
//! | [`interruption`], `on_interrupt` | Ctrl-C and SIGTERM, and what they do at the moment |
//! | `cancellation` | cancels an import whose upload broke off |
//! | [`console`], `table`, `list_view`, `progress` | what is shown and asked, and what moves meanwhile |
//! | [`trouble`], [`exit_status`] | what is complained about, and the exit status |

mod api;
pub mod arguments;
mod cancellation;
pub mod client_credentials;
pub mod commands;
pub mod console;
mod dead_letters;
pub mod exit_status;
mod follow;
pub mod http;
mod import;
mod imports;
pub mod interruption;
mod list_view;
mod on_interrupt;
mod progress;
mod report;
pub mod report_path;
mod retry;
mod s3;
mod sink;
mod sources;
mod table;
mod token_cache;
pub mod trouble;
mod upload;

#[cfg(test)]
mod tests;
