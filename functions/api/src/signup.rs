//! `POST /signup`

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use muster_core::profile::Source;
use serde_json::{Value, json};

use crate::applicant::Applicant;
use crate::problem::Problem;
use crate::registry::NotStored;
use crate::router::Shared;

/// Takes a sign-up. The answer is the same whether or not the address is
/// known: who has a profile is nobody else's business.
pub async fn sign_up(
    State(services): Shared,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let applicant = Applicant::parse(&headers, &body)?;
    match services
        .registry
        .store(applicant, Source::Signup, "signup".to_owned())
        .await
    {
        Ok(_) | Err(NotStored::Taken) => {
            Ok((StatusCode::ACCEPTED, Json(json!({ "status": "accepted" }))))
        }
        Err(NotStored::Failed(failure)) => Err(failure.into()),
    }
}
