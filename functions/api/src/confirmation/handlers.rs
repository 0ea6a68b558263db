//! `/confirm`: the page behind the link, and its button.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use muster_core::mail::link_token::Token;
use muster_http::body::{Fields, JSON, is};
use muster_http::openapi::refusals::{Always, BadBody, BadRequest, Invalid};
use muster_http::problem::{Kind, Problem, Wire};
use serde::Serialize;
use utoipa::ToSchema;

use crate::confirmation::form::form_field;
use crate::confirmation::link;
use crate::confirmation::pages::{Message, Page, Question, Resuming};
use crate::confirmation::service::{Outcome, Shown, Standing};
use crate::openapi::bodies::{LinkToken, LinkTokenForm};
use crate::openapi::parameters;
use crate::openapi::refusals::FromElsewhere;
use crate::services::Shared;

/// What confirming led to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({ "status": "confirmed" })))]
pub(crate) struct Confirmed {
    /// `already_confirmed` if the token did its work before, `mail_resumed` if
    /// mail goes to the address again by it, and nothing else has changed.
    #[schema(inline)]
    status: ConfirmedStatus,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ConfirmedStatus {
    Confirmed,
    AlreadyConfirmed,
    MailResumed,
}

/// `GET /confirm?token=`: a page with a button. Changes nothing, however
/// often it is fetched.
///
/// # Errors
/// 5xx when the table cannot be read.
#[utoipa::path(
    get,
    path = "/confirm",
    operation_id = "showConfirmation",
    tag = "people",
    summary = "The page behind a mail's link",
    description = "A page with a button, and with the name and the address that it confirms: \
        anybody may have signed the address up. Changes nothing, however often it is fetched: \
        programs that look into mail follow links, too.",
    params(parameters::LinkToken),
    responses(
        (status = 200, description = "A page with the button, one that says that the address is confirmed already, or one whose button has mail go there again.", body = String, content_type = "text/html"),
        (status = 404, description = "A page that says that the link does not work.", body = String, content_type = "text/html"),
        (status = 410, description = "A page that says that the link has expired or is used up.", body = String, content_type = "text/html"),
        (status = 403, response = FromElsewhere),
        Always,
    ),
)]
pub(crate) async fn show(
    State(services): Shared,
    RawQuery(query): RawQuery,
) -> Result<Page, Problem> {
    let Some(token) = link::token_in(query.as_deref().unwrap_or_default()) else {
        return Ok(Message::Unknown.into());
    };
    Ok(match services.confirmations.show(&token).await? {
        Shown::Question { name, email } => Question { token, name, email }.into(),
        Shown::Refused(Standing::Unreachable { cause, since }) => {
            Resuming::new(token, cause, since).into()
        }
        Shown::Refused(standing) => Page::behind(Some(&token), standing.into()),
    })
}

/// `POST /confirm`, by the page's form or as JSON.
///
/// # Errors
/// For JSON: 404 for a token that confirms nothing, 4xx for a bad body; 5xx
/// when the table cannot be reached.
#[utoipa::path(
    post,
    path = "/confirm",
    operation_id = "confirm",
    tag = "people",
    summary = "Confirm an address",
    description = "Confirms the address that the token was sent to, with the name, language and \
        attributes of the sign-up that its mail was sent for; those of other sign-ups are dropped. \
        Doing it twice does no harm. If no mail goes to the address any more, it does again, also \
        if the token is too old to confirm. A form is answered with a page, JSON with JSON.",
    request_body(
        description = "The token; as JSON, or as the page's form sends it.",
        content((LinkToken = "application/json"), (LinkTokenForm = "application/x-www-form-urlencoded")),
    ),
    responses(
        (
            status = 200,
            description = "Confirmed, now or before; or mail goes to the address again.",
            content((Confirmed = "application/json"), (String = "text/html")),
        ),
        (
            status = 404,
            description = "The token confirms nothing. For JSON also: it has expired, or is used up.",
            content((Wire = "application/problem+json"), (String = "text/html")),
        ),
        (status = 410, description = "For a form: a page that says that the link has expired or is used up.", body = String, content_type = "text/html"),
        Always,
        BadBody,
        (status = 400, response = BadRequest),
        (status = 403, response = FromElsewhere),
        (status = 422, response = Invalid),
    ),
)]
pub(crate) async fn confirm(
    State(services): Shared,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let json = is(JSON, &headers);
    let token = if json {
        json_token(&headers, &body)?
    } else {
        form_field(&headers, &body, "token")?.and_then(|text| link::token(&text))
    };
    let outcome = match &token {
        Some(token) => services.confirmations.confirm(token).await?,
        None => Outcome::Refused(Standing::Unknown),
    };
    if json {
        return Ok(Json(answer(outcome)?).into_response());
    }
    let message = match outcome {
        Outcome::Confirmed => Message::Confirmed,
        Outcome::Resumed { confirmed: true } => Message::Resumed,
        Outcome::Resumed { confirmed: false } => Message::ResumedUnconfirmed,
        Outcome::Refused(standing) => standing.into(),
    };
    Ok(Page::behind(token.as_ref(), message).into_response())
}

fn answer(outcome: Outcome) -> Result<Confirmed, Problem> {
    let gone = |detail| Err(Problem::new(Kind::NotFound, detail));
    let status = match outcome {
        Outcome::Confirmed => ConfirmedStatus::Confirmed,
        Outcome::Resumed { .. } => ConfirmedStatus::MailResumed,
        Outcome::Refused(Standing::Used) => ConfirmedStatus::AlreadyConfirmed,
        Outcome::Refused(Standing::ConfirmedBefore) => {
            return gone(
                "the address was changed since, and back; the newest mail's token confirms it",
            );
        }
        Outcome::Refused(Standing::Expired) => return gone("the token has expired"),
        Outcome::Refused(Standing::UsedUp) => {
            return gone("the profile has another address by now");
        }
        Outcome::Refused(Standing::Fresh | Standing::Unreachable { .. } | Standing::Unknown) => {
            return gone("the token confirms nothing");
        }
    };
    Ok(Confirmed { status })
}

fn json_token(headers: &HeaderMap, body: &Bytes) -> Result<Option<Token>, Problem> {
    let mut fields = Fields::parse(headers, body)?;
    let token = fields.required("token", |text| Ok(link::token(text)));
    fields.finish()?;
    Ok(token.flatten())
}
