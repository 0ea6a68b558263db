//! What shows that a person asks, where a deployment has a captcha.
//!
//! | request | shows |
//! | --- | --- |
//! | sign-up, resend as JSON | the token of a solved captcha |
//! | resend by the form of a page behind a link | that link, or the token of a solved captcha |
//!
//! The pages behind links have no captcha: nothing of another host may run in them
//! ([`crate::confirmation::pages`]). Who has a link has it from a mail, and the link speaks for the
//! address of that mail and for no other.

use std::net::IpAddr;

use muster_core::mail::item::{MailItem, mail_key};
use muster_core::mail::link_token::Token;
use muster_core::people::email::Email;
use muster_core::platform::failure::Failure;
use muster_core::platform::table::Table;
use muster_http::problem::Problem;

use crate::signup::captcha::Captcha;

/// What a request brings.
#[derive(Debug)]
pub enum Proof {
    /// The token of a captcha, or none.
    Captcha(Option<String>),
    /// The token of a mail's link.
    Link(Token),
}

/// What it is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// The deployment has no captcha and asks for nothing.
    NotAsked,
    /// A captcha was solved.
    Captcha,
    /// The link was sent to the address that the request is about.
    OwnLink,
    /// The link was sent to another address. The request gets the answer of all
    /// others, and no mail goes.
    OthersLink,
}

/// Checks proofs.
pub struct Proofs {
    captcha: Option<Captcha>,
    table: Table,
}

impl Proofs {
    /// Proofs by that captcha, and by links of the mails in that table.
    pub const fn new(captcha: Option<Captcha>, table: Table) -> Self {
        Self { captcha, table }
    }

    /// What a proof is worth for a request about that address.
    ///
    /// # Errors
    /// 422 if it is missing or worth nothing, 5xx if that cannot be found out.
    pub async fn check(
        &self,
        proof: &Proof,
        email: &Email,
        from: Option<IpAddr>,
    ) -> Result<Worth, Problem> {
        let Some(captcha) = &self.captcha else {
            return Ok(Worth::NotAsked);
        };
        let token = match proof {
            Proof::Captcha(token) => token.as_deref(),
            Proof::Link(token) => match self.mail_with(token).await? {
                Some(mail) if mail.email_key == email.key() => return Ok(Worth::OwnLink),
                Some(_) => return Ok(Worth::OthersLink),
                None => None,
            },
        };
        captcha.verify(token, from).await?;
        Ok(Worth::Captcha)
    }

    /// The mail whose link carries a token, however old, as long as it is stored.
    async fn mail_with(&self, token: &Token) -> Result<Option<MailItem>, Failure> {
        let key = mail_key(token.profile, token.mail);
        let mail: Option<MailItem> = self.table.get(&key).await?;
        Ok(mail.filter(|mail| {
            token.matches(&mail.token_hashes) | token.matches(&mail.used_token_hashes)
        }))
    }
}
