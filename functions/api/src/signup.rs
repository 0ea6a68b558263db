//! `/signup`: for everybody. The answers are the same whether or not an address
//! is known: who has a profile is nobody else's business.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use muster_core::email::Email;
use serde::Serialize;

use crate::applicant::Applicant;
use crate::body::{Fields, JSON, form_field, is};
use crate::caller::Origin;
use crate::page::{Message, Page};
use crate::problem::Problem;
use crate::router::Shared;

/// The request was taken. What comes of it, only the address's owner is told.
#[derive(Debug, Serialize)]
pub struct Accepted {
    status: AcceptedStatus,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum AcceptedStatus {
    Accepted,
}

/// `POST /signup`
///
/// # Errors
/// 4xx for what is wrong with the body, 429 and 503 for too many.
pub async fn sign_up(
    State(services): Shared,
    Origin(from): Origin,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let applicant = Applicant::parse(&headers, &body)?;
    services.signups.sign_up(&applicant, from).await?;
    Ok(accepted())
}

/// `POST /signup/resend`, as JSON or by a page's form.
///
/// # Errors
/// As for [`sign_up`].
pub async fn resend(
    State(services): Shared,
    Origin(from): Origin,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    if is(JSON, &headers) {
        let mut fields = Fields::parse(&headers, &body)?;
        let email = fields.required("email", Email::parse);
        fields.finish()?;
        if let Some(email) = email {
            services.signups.resend(&email, from).await?;
        }
        return Ok(accepted().into_response());
    }
    let typed = form_field(&headers, &body, "email")?.unwrap_or_default();
    let Ok(email) = Email::parse(&typed) else {
        return Ok(Page::from(Message::NoAddress).into_response());
    };
    services.signups.resend(&email, from).await?;
    Ok(Page::from(Message::Resent).into_response())
}

fn accepted() -> (StatusCode, Json<Accepted>) {
    let status = AcceptedStatus::Accepted;
    (StatusCode::ACCEPTED, Json(Accepted { status }))
}
