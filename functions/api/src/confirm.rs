//! `/confirm`: the page behind the link, and its button.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use muster_core::token::Token;
use serde_json::json;

use crate::body::{Fields, is_json};
use crate::confirmations::{Outcome, Standing};
use crate::page::{Message, Page, Question};
use crate::problem::{Kind, Problem};
use crate::router::Shared;

/// `GET /confirm?token=`: a page with a button. Changes nothing, however
/// often it is fetched.
///
/// # Errors
/// 5xx when the table cannot be read.
pub async fn show(State(services): Shared, RawQuery(query): RawQuery) -> Result<Page, Problem> {
    let Some(token) = form_token(query.as_deref().unwrap_or_default().as_bytes()) else {
        return Ok(Message::Unknown.into());
    };
    Ok(match services.confirmations.standing(&token).await? {
        Standing::Fresh => Question { token }.into(),
        other => Message::from(other).into(),
    })
}

/// `POST /confirm`, by the page's form or as JSON.
///
/// # Errors
/// For JSON: 404 for a token that confirms nothing, 4xx for a bad body; 5xx
/// when the table cannot be reached.
pub async fn confirm(
    State(services): Shared,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    if is_json(&headers) {
        let token = json_token(&headers, &body)?;
        let outcome = match &token {
            Some(token) => services.confirmations.confirm(token).await?,
            None => Outcome::Refused(Standing::Unknown),
        };
        return json_answer(outcome);
    }
    let outcome = match form_token(&body) {
        Some(token) => services.confirmations.confirm(&token).await?,
        None => Outcome::Refused(Standing::Unknown),
    };
    let message = match outcome {
        Outcome::Confirmed => Message::Confirmed,
        Outcome::Refused(standing) => standing.into(),
    };
    Ok(Page::from(message).into_response())
}

fn json_answer(outcome: Outcome) -> Result<Response, Problem> {
    let status = match outcome {
        Outcome::Confirmed => "confirmed",
        Outcome::Refused(Standing::Used) => "already_confirmed",
        Outcome::Refused(Standing::Expired) => {
            return Err(Problem::new(Kind::NotFound, "the token has expired"));
        }
        Outcome::Refused(Standing::Fresh | Standing::Unknown) => {
            return Err(Problem::new(Kind::NotFound, "the token confirms nothing"));
        }
    };
    Ok(Json(json!({ "status": status })).into_response())
}

fn form_token(encoded: &[u8]) -> Option<Token> {
    form_urlencoded::parse(encoded)
        .find(|(name, _)| name == "token")
        .and_then(|(_, value)| value.parse().ok())
}

fn json_token(headers: &HeaderMap, body: &Bytes) -> Result<Option<Token>, Problem> {
    let mut fields = Fields::parse(headers, body)?;
    let token = fields.required("token", |text| Ok(text.parse().ok()));
    fields.finish()?;
    Ok(token.flatten())
}
