//! `/signup`: for everybody. The answers are the same whether or not an address
//! is known: who has a profile is nobody else's business.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use muster_core::mail::link_token::Token;
use muster_core::people::email::Email;
use muster_http::body::{Fields, JSON, is};
use muster_http::caller::Origin;
use muster_http::openapi::refusals::{Always, BadBody, BadRequest, Invalid};
use muster_http::problem::{Kind, Problem, Wire};
use serde::Serialize;
use utoipa::ToSchema;

use crate::confirmation::form::form_field;
use crate::confirmation::pages::{Message, Page};
use crate::openapi::bodies::{Resend, ResendForm, SignUp};
use crate::openapi::refusals::{FromElsewhere, TooManyRequests};
use crate::services::Shared;
use crate::signup::accept_language;
use crate::signup::applicant::Applicant;
use crate::signup::captcha;
use crate::signup::captcha_proof::Proof;

/// The request was taken. What comes of it, only the address's owner is told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({ "status": "accepted" })))]
pub(crate) struct Accepted {
    status: AcceptedStatus,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum AcceptedStatus {
    Accepted,
}

/// `POST /signup`
///
/// # Errors
/// 4xx for what is wrong with the body, 429 and 503 for too many.
#[utoipa::path(
    post,
    path = "/signup",
    operation_id = "signUp",
    tag = "people",
    summary = "Sign up",
    description = "Stores a profile that is `pending` and sends its address a mail with a link. If \
        nobody follows it, the profile is gone after seven days.\n\n\
        The mails are in the language of `locale`. If there is none, the header `Accept-Language` \
        is asked for the first language that mails can be in, English or German.\n\n\
        The answer is the same whether or not the address is known, and so is the time it takes: \
        who has a profile is nobody else's business. The owner of a known address is told by \
        mail, at most every three minutes and five times a day.",
    request_body(content = SignUp, description = "Who signs up."),
    responses(
        (status = 202, description = "Taken. What comes of it, only the address's owner is told.", body = Accepted),
        Always,
        BadBody,
        (status = 400, response = BadRequest),
        (status = 403, response = FromElsewhere),
        (status = 422, response = Invalid),
        (status = 429, response = TooManyRequests),
    ),
)]
pub(crate) async fn sign_up(
    State(services): Shared,
    Origin(from): Origin,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let mut fields = Fields::parse(&headers, &body)?;
    let applicant = Applicant::take(&mut fields);
    let token = fields.optional("captcha", captcha::token);
    fields.finish()?;
    let mut applicant = applicant.ok_or_else(|| Problem::invalid(Vec::new()))?;
    applicant.locale = applicant
        .locale
        .or_else(|| accept_language::preferred(&headers));
    let proof = Proof::Captcha(token);
    services.signups.sign_up(&applicant, &proof, from).await?;
    Ok(accepted())
}

/// `POST /signup/resend`, as JSON or by a page's form.
///
/// # Errors
/// As for [`sign_up`].
#[utoipa::path(
    post,
    path = "/signup/resend",
    operation_id = "resendConfirmation",
    tag = "people",
    summary = "Have the mail sent again",
    description = "Sends another mail with a fresh link, if there is anything to confirm for the \
        address and the last mail was more than three minutes ago. The answer tells none of it.\n\n\
        If the deployment has a captcha, it must be solved for this, too. Only the pages behind \
        mails' links need none: their form carries the link's token, which speaks for the address \
        that the link was sent to.",
    request_body(
        description = "Which address; as JSON, or as the pages' form sends it.",
        content((Resend = "application/json"), (ResendForm = "application/x-www-form-urlencoded")),
    ),
    responses(
        (
            status = 202,
            description = "Taken. For a form: a page that says so.",
            content((Accepted = "application/json"), (String = "text/html")),
        ),
        Always,
        BadBody,
        (status = 400, response = BadRequest),
        (status = 403, response = FromElsewhere),
        (
            status = 422,
            description = "For JSON: fields of the body break a rule. For a form: a page that \
                asks for the address again, or says to sign up again.",
            content((Wire = "application/problem+json"), (String = "text/html")),
        ),
        (status = 429, response = TooManyRequests),
    ),
)]
pub(crate) async fn resend(
    State(services): Shared,
    Origin(from): Origin,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    if is(JSON, &headers) {
        let mut fields = Fields::parse(&headers, &body)?;
        let email = fields.required("email", Email::parse);
        let token = fields.optional("captcha", captcha::token);
        fields.finish()?;
        if let Some(email) = email {
            let proof = Proof::Captcha(token);
            services.signups.resend(&email, &proof, from).await?;
        }
        return Ok(accepted().into_response());
    }
    let field = |name| form_field(&headers, &body, name);
    let link: Option<Token> = field("token")?.and_then(|text| text.parse().ok());
    let typed = field("email")?.unwrap_or_default();
    let Ok(email) = Email::parse(&typed) else {
        return Ok(Page::behind(link.as_ref(), Message::NoAddress).into_response());
    };
    let proof = match link {
        Some(link) => Proof::Link(link),
        None => Proof::Captcha(field("captcha")?.and_then(|text| captcha::token(&text).ok())),
    };
    match services.signups.resend(&email, &proof, from).await {
        Ok(()) => Ok(Page::from(Message::Resent).into_response()),
        Err(problem) if problem.kind() == Kind::Invalid => {
            Ok(Page::from(Message::NotResent).into_response())
        }
        Err(problem) => Err(problem),
    }
}

fn accepted() -> (StatusCode, Json<Accepted>) {
    let status = AcceptedStatus::Accepted;
    (StatusCode::ACCEPTED, Json(Accepted { status }))
}
