//! `/not-me`: the page behind the other link in a sign-up's mail, for whoever
//! never signed up.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;

use crate::body::form_field;
use crate::confirm::token_in;
use crate::page::{Disowning, Message, Page};
use crate::problem::Problem;
use crate::router::Shared;

/// `GET /not-me?token=`: a page with a button. Changes nothing.
///
/// # Errors
/// 5xx when the table cannot be read.
pub async fn show(State(services): Shared, RawQuery(query): RawQuery) -> Result<Page, Problem> {
    let Some(token) = token_in(query.as_deref().unwrap_or_default().as_bytes()) else {
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
pub async fn disown(
    State(services): Shared,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Page, Problem> {
    let token = form_field(&headers, &body, "token")?.and_then(|text| text.parse().ok());
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
