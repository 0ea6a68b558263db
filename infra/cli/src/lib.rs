//! `muster`: what operators run. It talks to the deployed HTTP API, so it needs no AWS
//! credentials and may do what its token may. Only `muster sources check` talks to
//! others: to the sources, as the function does, and to AWS for their secrets.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`arguments`] | what can be typed |
//! | [`verbs`] | what is done |
//! | [`dead_letters`] | the same, of dead letters |
//! | [`import`], [`imports`] | the same, of a file to import, and of imports there are |
//! | [`sources`] | the same, of the document that says which sources details have |
//! | [`upload`], [`follow`], [`report`] | a file on its way to S3, its import, the rows it refused |
//! | [`report_path`], [`sink`] | where those rows go, and that this does no harm |
//! | [`api`], [`http`] | the API, and the way there |
//! | [`machine`], [`token_cache`] | a token for it, and where it is kept |
//! | [`s3`], [`patience`] | what S3 refuses, and what is tried again |
//! | [`interruption`], [`cancellation`] | Ctrl-C, and what becomes of an upload that breaks off |
//! | [`console`], [`table`], [`progress`] | what is shown and asked, and what moves meanwhile |
//! | [`trouble`], [`ending`] | what is complained about, and the exit status |

pub mod api;
pub mod arguments;
pub mod cancellation;
pub mod console;
pub mod dead_letters;
pub mod ending;
pub mod follow;
pub mod http;
pub mod import;
pub mod imports;
pub mod interruption;
pub mod machine;
pub mod patience;
pub mod progress;
pub mod report;
pub mod report_path;
pub mod s3;
pub mod sink;
pub mod sources;
pub mod table;
pub mod token_cache;
pub mod trouble;
pub mod upload;
pub mod verbs;

#[cfg(test)]
mod tests;
