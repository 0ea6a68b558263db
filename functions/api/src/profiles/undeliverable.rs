//! `/profiles/{id}/undeliverable`: for operators who know better.

use axum::extract::State;
use axum::http::StatusCode;
use muster_core::platform::ids::ProfileId;
use muster_http::caller::Caller;
use muster_http::openapi::refusals::{Always, WithoutToken};
use muster_http::path::Id;
use muster_http::problem::Problem;
use muster_http::profile::absent;

use crate::openapi::parameters::InPath;
use crate::openapi::refusals::NotFound;
use crate::profiles::reactivate::NotReactivated;
use crate::services::Shared;

/// `DELETE /profiles/{id}/undeliverable`
///
/// # Errors
/// 404 if there is no such profile, 5xx when SES or the table cannot be reached.
#[utoipa::path(
    delete,
    path = "/profiles/{id}/undeliverable",
    operation_id = "reactivateAddress",
    tag = "profiles",
    summary = "Have mail go to an address again",
    description = "Takes the profile's address off the list of those that get no mail, here and \
        in the suppression list of the SES account (other applications of the account share it). \
        The status stays. Nothing is sent by this: `POST /profiles/{id}/resend` does that. If the \
        next mail comes back or is reported as spam, the profile is `undeliverable` again.\n\n\
        Do so if the mailbox works again, or if its owner wants mail after all; to write to people \
        who complained costs the account its reputation. The owner can do the same with the link \
        of any mail that was sent to the address.",
    security(("operator" = ["profiles/write"])),
    params(InPath),
    responses(
        (status = 204, description = "Mail goes to the address, now or as before."),
        Always,
        WithoutToken,
        (status = 404, response = NotFound),
    ),
)]
pub(crate) async fn remove(
    caller: Caller,
    State(services): Shared,
    Id(id): Id<ProfileId>,
) -> Result<StatusCode, Problem> {
    match services.reactivations.reactivate(id, &caller.name).await {
        Ok(()) => {
            tracing::info!(profile_id = %id, by = caller.name, "mail goes to the address again");
            Ok(StatusCode::NO_CONTENT)
        }
        Err(NotReactivated::Absent) => Err(absent()),
        Err(NotReactivated::Failed(failure)) => Err(failure.into()),
    }
}
