//! What a person's browser shows: one small page that needs no script.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use muster_core::token::Token;

use crate::confirmations::Standing;
use crate::problem::{Kind, Problem};

/// Nothing is loaded from anywhere, nobody may frame the page, and its form
/// goes to us alone. The one style sheet is in the page; its hash would have
/// to follow every edit of the template, so inline styles are allowed.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A page and its status.
#[derive(Debug)]
pub struct Page {
    status: StatusCode,
    html: Result<String, askama::Error>,
}

/// "Is this address yours?", with a button.
#[derive(Debug, Template)]
#[template(path = "question.html")]
pub struct Question {
    /// What the button sends.
    pub token: Token,
}

/// What there is to say when there is nothing to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Done.
    Confirmed,
    /// Was done before.
    AlreadyConfirmed,
    /// Came too late.
    Expired,
    /// Is no link of ours.
    Unknown,
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage {
    title: &'static str,
    text: &'static str,
}

impl From<Standing> for Message {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Used => Self::AlreadyConfirmed,
            Standing::Expired => Self::Expired,
            Standing::Fresh | Standing::Unknown => Self::Unknown,
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
            Self::Expired => (
                StatusCode::GONE,
                "This link has expired",
                "Sign up again with the same address, and a new link is on its way.",
            ),
            Self::Unknown => (
                StatusCode::NOT_FOUND,
                "This link does not work",
                "Check that the whole link was copied from the mail. If it was, sign up again with the same address.",
            ),
        }
    }
}

impl From<Message> for Page {
    fn from(message: Message) -> Self {
        let (status, title, text) = message.words();
        Self {
            status,
            html: MessagePage { title, text }.render(),
        }
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

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let Ok(html) = self.html else {
            return Problem::new(Kind::Internal, "something is wrong on our side").into_response();
        };
        let mut response = (self.status, Html(html)).into_response();
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CACHE_CONTROL, "no-store"),
            // The address of the page holds the token.
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
