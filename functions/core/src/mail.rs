//! Mails, from the transaction that asks for one to what SES reports of it.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`item`] | a mail's item and its states |
//! | [`signup_data`] | what a sign-up says, kept with its mail until the link confirms it |
//! | [`link_token`] | the secret in a mail's link |
//! | [`nudge`] | the message that tells a mailer of a mail |
//! | [`send_rate`] | how fast mails go |
//! | [`ses_event`], [`status_transition`] | what SES reports of a mail; where that moves it |

pub mod item;
pub mod link_token;
pub mod nudge;
pub mod send_rate;
pub mod ses_event;
pub mod signup_data;
pub mod status_transition;
