//! `/profiles/{id}/mails` and `/profiles/{id}/resend`: for operators whose
//! people say that no mail came.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use muster_core::mail::item::{MailItem, MailKind, MailStatus};
use muster_core::people::profile_with_mails::Dossier;
use muster_core::people::undeliverable::{Cause, Undeliverable};
use muster_core::platform::ids::ProfileId;
use muster_http::caller::Caller;
use muster_http::openapi::people;
use muster_http::openapi::refusals::{Always, WithoutToken};
use muster_http::path::Id;
use muster_http::problem::{Kind, Problem};
use muster_http::profile::absent;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::openapi::parameters::InPath;
use crate::openapi::refusals::{NotFound, NothingToConfirm};
use crate::openapi::values;
use crate::problems::nothing_to_confirm;
use crate::profiles::resend::NotResent;
use crate::services::Shared;

/// A mail.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Mail, examples(example))]
struct MailView {
    /// Which of the profile's mails: 0 is the reminder, the others count up.
    number: u32,
    #[schema(value_type = values::MailKind)]
    kind: MailKind,
    #[schema(value_type = values::MailStatus)]
    status: MailStatus,
    /// Where it goes: the profile's address when the mail was written.
    #[schema(value_type = people::EmailAddress)]
    to: String,
    /// How often it was handed to SES; what SES turned away for the moment does
    /// not count.
    attempts: u32,
    /// Why it is `bounced` or `abandoned`, or has not got further yet.
    #[schema(required)]
    reason: Option<String>,
    #[schema(value_type = values::Time)]
    created_at: String,
    /// Before when it does not go; `null` if it goes at once.
    #[schema(value_type = Option<values::Time>, required)]
    not_before: Option<String>,
    /// When SES took it.
    #[schema(value_type = Option<values::Time>, required)]
    sent_at: Option<String>,
    /// What SES calls it.
    #[schema(required)]
    ses_message_id: Option<String>,
}

impl From<MailItem> for MailView {
    fn from(item: MailItem) -> Self {
        Self {
            number: item.number,
            kind: item.kind,
            status: item.status,
            to: item.to,
            attempts: item.attempts,
            reason: item.reason,
            created_at: item.created_at.to_string(),
            not_before: item.not_before.map(|time| time.to_string()),
            sent_at: item.sent_at.map(|time| time.to_string()),
            ses_message_id: item.ses_message_id,
        }
    }
}

fn example() -> Value {
    json!({
        "number": 1,
        "kind": "confirm",
        "status": "bounced",
        "to": "ada@example.com",
        "attempts": 1,
        "reason": "Permanent/General: smtp; 550 5.1.1 user unknown",
        "created_at": "2026-11-24T08:00:00.000Z",
        "not_before": null,
        "sent_at": "2026-11-24T08:00:01.300Z",
        "ses_message_id": "0107019aafb01234-5b1e2f3a-7c4d-4e8f-9a0b-1c2d3e4f5a6b-000000",
    })
}

/// The mails of a profile, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({ "items": [example()], "next_cursor": null })))]
pub(crate) struct MailList {
    items: Vec<MailView>,
    /// Always `null`: they are all here.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// `GET /profiles/{id}/mails`
///
/// # Errors
/// 404 if there is no such profile.
#[utoipa::path(
    get,
    path = "/profiles/{id}/mails",
    operation_id = "listMails",
    tag = "profiles",
    summary = "List the mails of a profile",
    description = "What was sent, or is to be, and what became of it. Newest first.",
    security(("operator" = ["profiles/read"])),
    params(InPath),
    responses(
        (status = 200, description = "All of them.", body = MailList),
        Always,
        WithoutToken,
        (status = 404, response = NotFound),
    ),
)]
pub(crate) async fn list(
    _: Caller,
    State(services): Shared,
    Id(id): Id<ProfileId>,
) -> Result<Json<MailList>, Problem> {
    let dossier = Dossier::read(&services.table, id).await?;
    dossier.present(services.clock.now()).ok_or_else(absent)?;
    let mut mails = dossier.mails;
    mails.sort_by_key(|mail| std::cmp::Reverse((mail.created_at, mail.number)));
    Ok(Json(MailList {
        items: mails.into_iter().map(MailView::from).collect(),
        next_cursor: None,
    }))
}

/// `POST /profiles/{id}/resend`
///
/// # Errors
/// 404 if there is no such profile, 409 if there is nothing to confirm or nothing
/// goes to the address.
#[utoipa::path(
    post,
    path = "/profiles/{id}/resend",
    operation_id = "resendMail",
    tag = "profiles",
    summary = "Have another confirmation mail sent",
    description = "Writes another mail with a fresh link, whenever the last one was sent. If one \
        is still on its way, that is the answer, and no other is written: asking twice sends one.",
    security(("operator" = ["profiles/write"])),
    params(InPath),
    responses(
        (status = 202, description = "The mail. It leaves in the background.", body = MailView),
        Always,
        WithoutToken,
        (status = 404, response = NotFound),
        (status = 409, response = NothingToConfirm),
    ),
)]
pub(crate) async fn resend(
    caller: Caller,
    State(services): Shared,
    Id(id): Id<ProfileId>,
) -> Result<Response, Problem> {
    match services.resends.resend(id).await {
        Ok(mail) => {
            tracing::info!(profile_id = %id, mail = mail.number, by = caller.name, "mail asked for");
            Ok((StatusCode::ACCEPTED, Json(MailView::from(mail))).into_response())
        }
        Err(NotResent::Absent) => Err(absent()),
        Err(NotResent::Confirmed) => Err(nothing_to_confirm()),
        Err(NotResent::Undeliverable(why)) => Err(nothing_arrives(&why)),
        Err(NotResent::Failed(failure)) => Err(failure.into()),
    }
}

/// The address is not to be written to.
fn nothing_arrives(why: &Undeliverable) -> Problem {
    let what = match why.cause {
        Cause::Bounced => "a mail to the profile's address came back for good",
        Cause::Complained => "a mail to the profile's address was reported as spam",
        Cause::Suppressed => "SES did not deliver a mail, as its suppression list has the address",
    };
    let (since, reason) = (why.since, &why.reason);
    Problem::new(
        Kind::Conflict,
        format!(
            "{what} ({since}: {reason}); PATCH gives the profile another address, \
             DELETE /profiles/{{id}}/undeliverable has mail go to this one again"
        ),
    )
}
