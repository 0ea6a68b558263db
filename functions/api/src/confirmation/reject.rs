//! `/not-me`: the page behind the other link in a sign-up's mail, for whoever
//! never signed up.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use muster_http::openapi::refusals::{Always, BadBody};
use muster_http::problem::Problem;

use crate::confirmation::form::form_field;
use crate::confirmation::link;
use crate::confirmation::pages::{Disowning, Message, Page};
use crate::openapi::bodies::LinkTokenForm;
use crate::openapi::parameters;
use crate::openapi::refusals::FromElsewhere;
use crate::services::Shared;

/// `GET /not-me?token=`: a page with a button. Changes nothing.
///
/// # Errors
/// 5xx when the table cannot be read.
#[utoipa::path(
    get,
    path = "/not-me",
    operation_id = "showDisowning",
    tag = "people",
    summary = "The page behind a mail's other link",
    description = "For whoever never signed up: a page with a button. Changes nothing.",
    params(parameters::LinkToken),
    responses(
        (status = 200, description = "A page with the button.", body = String, content_type = "text/html"),
        (status = 404, description = "A page that says that there is no sign-up to remove.", body = String, content_type = "text/html"),
        (status = 403, response = FromElsewhere),
        Always,
    ),
)]
pub(crate) async fn show(
    State(services): Shared,
    RawQuery(query): RawQuery,
) -> Result<Page, Problem> {
    let Some(token) = link::token_in(query.as_deref().unwrap_or_default()) else {
        return Ok(Message::NothingToDisown.into());
    };
    Ok(if services.confirmations.can_be_disowned(&token).await? {
        Disowning { token }.into()
    } else {
        Message::NothingToDisown.into()
    })
}

/// `POST /not-me`: removes the sign-up.
///
/// # Errors
/// 415 for what is no form; 5xx when the table cannot be reached.
#[utoipa::path(
    post,
    path = "/not-me",
    operation_id = "disown",
    tag = "people",
    summary = "Remove a sign-up that was not mine",
    description = "Removes the sign-up that the token's mail was sent for: one that is not \
        confirmed and would expire, by a link that still works. The link of a mail about a new \
        address removes nothing. If the address is signed up again, it gets no more mail that day.",
    request_body(content = LinkTokenForm, content_type = "application/x-www-form-urlencoded", description = "The token, as the page's form sends it."),
    responses(
        (status = 200, description = "A page that says that the sign-up is removed.", body = String, content_type = "text/html"),
        (status = 404, description = "A page that says that there is no sign-up to remove.", body = String, content_type = "text/html"),
        (status = 403, response = FromElsewhere),
        Always,
        BadBody,
    ),
)]
pub(crate) async fn disown(
    State(services): Shared,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Page, Problem> {
    let token = form_field(&headers, &body, "token")?.and_then(|text| link::token(&text));
    let disowned = match &token {
        Some(token) => services.confirmations.disown(token).await?,
        None => false,
    };
    Ok(if disowned {
        Message::Disowned.into()
    } else {
        Message::NothingToDisown.into()
    })
}
