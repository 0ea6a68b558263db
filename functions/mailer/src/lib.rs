//! The mailer: what becomes of a nudge.
//!
//! A message says only which mail *may* have to be sent; the mail's item says
//! whether. [`mailer`] decides, [`mails`] is the item's side of it (claim,
//! sent, postponed, abandoned), `ses` the sending, `letter` the words,
//! `letterhead` what they are written on, `moment` the time in them.

mod letter;
mod letterhead;
pub mod mailer;
pub mod mails;
mod moment;
mod ses;
pub mod settings;
