//! What a person's browser shows: one small page that needs no script.

use std::fmt;

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use muster_core::mail::link_token::Token;
use muster_core::people::undeliverable::Cause;
use muster_core::platform::time::Time;
use muster_http::problem::Problem;

use crate::confirmation::service::Standing;

/// Nothing is loaded from anywhere, nobody may frame the page, and its form
/// goes to us alone. The one style sheet is in the page; its hash would have
/// to follow every edit of the template, so inline styles are allowed.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A page and its status.
#[derive(Debug)]
pub(crate) struct Page {
    status: StatusCode,
    html: Result<String, askama::Error>,
}

/// "Is this address yours?", with a button.
#[derive(Template)]
#[template(path = "question.html")]
pub(crate) struct Question {
    /// What the button sends.
    pub token: Token,
    /// The name that is confirmed: it tells a person's own sign-up from a stranger's.
    pub name: Option<String>,
    /// The address that is confirmed.
    pub email: String,
}

/// Personal data: a question in a log is whose link it is.
impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// "Did you not sign up?", with a button.
#[derive(Debug, Template)]
#[template(path = "disowning.html")]
pub(crate) struct Disowning {
    /// What the button sends.
    pub token: Token,
}

/// "Shall mail go to your address again?", with a button.
#[derive(Debug, Template)]
#[template(path = "resuming.html")]
pub(crate) struct Resuming {
    /// What the button sends.
    token: Token,
    text: String,
}

impl Resuming {
    /// The page for an address that mail does not go to any more.
    pub(crate) fn new(token: Token, cause: Cause, since: Time) -> Self {
        let text = since.to_string();
        let day = text.split('T').next().unwrap_or_default();
        let text = match cause {
            Cause::Bounced => format!(
                "A mail that we sent there came back on {day}. If your mailbox takes mail again, we send it again:"
            ),
            Cause::Complained => format!(
                "A mail that we sent there was reported as spam on {day}. If that was a mistake, we send mail again:"
            ),
            Cause::Suppressed => format!(
                "A mail could not be sent there on {day}, as an earlier one came back or was reported as spam. If your mailbox takes mail again, we send it again:"
            ),
        };
        Self { token, text }
    }
}

/// What there is to say when there is nothing to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    /// Done.
    Confirmed,
    /// Was done before.
    AlreadyConfirmed,
    /// Mail goes to the address again.
    Resumed,
    /// The same, and it is still to be confirmed.
    ResumedUnconfirmed,
    /// It confirmed the address, which was changed since, and changed back.
    ConfirmedBefore,
    /// The profile has another address by now.
    UsedUp,
    /// Came too late.
    Expired,
    /// Is no link of ours.
    Unknown,
    /// The sign-up is removed.
    Disowned,
    /// There is no sign-up to remove.
    NothingToDisown,
    /// A mail is on its way, if there is anything to confirm.
    Resent,
    /// What was typed is no address.
    NoAddress,
    /// Neither a link nor a captcha shows that a person asks.
    NotResent,
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    title: &'static str,
    text: &'static str,
    /// Where the form for a new mail goes, if one is offered.
    resend: Option<&'static str>,
    /// What the form sends beside the address: the link that led to the page.
    link: Option<&'a Token>,
}

impl From<Standing> for Message {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Used => Self::AlreadyConfirmed,
            Standing::ConfirmedBefore => Self::ConfirmedBefore,
            Standing::UsedUp => Self::UsedUp,
            Standing::Expired => Self::Expired,
            Standing::Fresh | Standing::Unreachable { .. } | Standing::Unknown => Self::Unknown,
        }
    }
}

impl Message {
    const fn words(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Confirmed => (
                StatusCode::OK,
                "Thank you, your address is confirmed",
                "Your profile is ready. You can close this page.",
            ),
            Self::AlreadyConfirmed => (
                StatusCode::OK,
                "Your address is already confirmed",
                "Nothing more to do: your profile is ready. You can close this page.",
            ),
            Self::Resumed => (
                StatusCode::OK,
                "Mail goes to your address again",
                "Your address is confirmed, and your profile is ready. You can close this page.",
            ),
            Self::ResumedUnconfirmed => (
                StatusCode::OK,
                "Mail goes to your address again",
                "Your address is not confirmed yet. Have a new mail sent, and follow its link:",
            ),
            Self::ConfirmedBefore => (
                StatusCode::GONE,
                "This link is used up",
                "It confirmed this address before the profile had another one in between. If a newer mail asks you to confirm, use its link; or have a new mail sent:",
            ),
            Self::UsedUp => (
                StatusCode::GONE,
                "This link is used up",
                "The profile has another e-mail address by now. If a newer mail asks you to confirm, use its link; or have a new mail sent:",
            ),
            Self::Expired => (
                StatusCode::GONE,
                "This link has expired",
                "Have a new mail sent to the same address. If none comes, the sign-up has been removed meanwhile: sign up again.",
            ),
            Self::Unknown => (
                StatusCode::NOT_FOUND,
                "This link does not work",
                "Check that the whole link was copied from the mail. If it was, have a new mail sent:",
            ),
            Self::Disowned => (
                StatusCode::OK,
                "The sign-up is removed",
                "Your address is no longer stored, and no more mails come today, whoever asks for them. You can close this page.",
            ),
            Self::NothingToDisown => (
                StatusCode::NOT_FOUND,
                "There is no sign-up to remove",
                "It was removed already, the address has been confirmed since, or the link is too old. A sign-up that is not confirmed is removed after seven days. You can close this page.",
            ),
            Self::Resent => (
                StatusCode::ACCEPTED,
                "Look into your inbox",
                "If there is something to confirm for this address, a new mail is on its way. Several requests within a few minutes lead to one mail only. You can close this page.",
            ),
            Self::NoAddress => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "This is not an e-mail address",
                "An address has the form name@example.com. Please try again:",
            ),
            Self::NotResent => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "No mail was sent",
                "This link cannot ask for a new mail any more. Sign up again where you signed up before.",
            ),
        }
    }

    /// Where the form for a new mail goes from here. Relative: the address of
    /// the API may have a path.
    const fn resend(self) -> Option<&'static str> {
        match self {
            Self::ResumedUnconfirmed
            | Self::ConfirmedBefore
            | Self::UsedUp
            | Self::Expired
            | Self::Unknown => Some("signup/resend"),
            Self::NoAddress => Some("resend"),
            _ => None,
        }
    }
}

impl Page {
    /// A message about a link, whose form for a new mail shows where it comes from.
    pub(crate) fn behind(link: Option<&Token>, message: Message) -> Self {
        let (status, title, text) = message.words();
        let resend = message.resend();
        Self {
            status,
            html: MessagePage {
                title,
                text,
                resend,
                link,
            }
            .render(),
        }
    }
}

impl From<Message> for Page {
    fn from(message: Message) -> Self {
        Self::behind(None, message)
    }
}

impl From<Question> for Page {
    fn from(question: Question) -> Self {
        Self {
            status: StatusCode::OK,
            html: question.render(),
        }
    }
}

impl From<Resuming> for Page {
    fn from(resuming: Resuming) -> Self {
        Self {
            status: StatusCode::OK,
            html: resuming.render(),
        }
    }
}

impl From<Disowning> for Page {
    fn from(disowning: Disowning) -> Self {
        Self {
            status: StatusCode::OK,
            html: disowning.render(),
        }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let Ok(html) = self.html else {
            return Problem::internal().into_response();
        };
        let mut response = (self.status, Html(html)).into_response();
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CACHE_CONTROL, "no-store"),
            // The address of the page holds the token. Its own form may say it: without
            // a referrer browsers would hide the form's origin, too.
            (header::REFERRER_POLICY, "same-origin"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
