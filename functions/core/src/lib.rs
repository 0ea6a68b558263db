//! The words every Muster function shares.
//!
//! There is no HTTP and no Lambda runtime in here, only what two or more
//! functions must agree on:
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`settings`], [`aws`] | the environment, read once; the SDK configuration made from it |
//! | [`time`], [`random`], [`ids`] | the only sources of time, chance and identity |
//! | [`hex`] | bytes as text |
//! | [`email`], [`person`], [`locale`], [`violation`] | what people type, parsed once; what is wrong with it |
//! | [`profile`], [`mail`], [`import`] | the items of the table and their states |
//! | [`overwritten`] | what a row of an import overwrote, for an earlier row to take its place |
//! | [`cached`] | what sources said of a person |
//! | [`options`], [`lanes`] | what an import does with people; which of its chunks are in the queue |
//! | [`due`] | what waits for the sweeper |
//! | [`pace`] | how fast mails go |
//! | [`token`] | the secret behind a confirmation link |
//! | [`request`] | what an `Idempotency-Key` leaves behind |
//! | [`erasure`] | a profile and all that belongs to it, removed |
//! | [`table`], [`failure`], [`causes`] | typed access to the table; what an AWS error means to the caller; what is behind an error |
//! | [`message`], [`batch`] | what travels through the queues, and how a batch of it is answered |
//! | [`upload`] | what the import queue asks for, of which some comes from S3 |
//! | [`report`], [`step`], [`undeliverable`] | what SES reports of a mail, where that moves it, and when it is the last one |
//! | [`object`] | an uploaded file, pinned to the version that was announced |
//! | [`records`], [`header`], [`formula`] | CSV cut into records at exact byte offsets; what its columns mean; cells that come to life |

pub mod aws;
pub mod batch;
pub mod cached;
pub mod causes;
pub mod due;
pub mod email;
pub mod erasure;
pub mod failure;
pub mod formula;
pub mod header;
pub mod hex;
pub mod ids;
pub mod import;
pub mod lanes;
pub mod locale;
pub mod mail;
pub mod message;
pub mod object;
pub mod options;
pub mod overwritten;
pub mod pace;
pub mod person;
pub mod profile;
pub mod random;
pub mod records;
pub mod report;
pub mod request;
pub mod settings;
pub mod step;
pub mod table;
pub mod time;
pub mod token;
pub mod undeliverable;
pub mod upload;
pub mod violation;
