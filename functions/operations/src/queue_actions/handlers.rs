//! `POST /queues/{name}/dead-letters/redrive` and `/purge`: what can be done about
//! dead letters.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use muster_core::platform::failure::Failure;
use muster_http::caller::Caller;
use muster_http::openapi::refusals::{Always, BadBody, BadRequest, WithoutToken};
use muster_http::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use crate::dead_letters::handlers::Place;
use crate::dead_letters::selection::Selection;
use crate::openapi::parameters::QueueInPath;
use crate::openapi::refusals::{InvalidSelection, NoSuchQueue};
use crate::openapi::values::SelectionBody;
use crate::queue_actions::redrive::{Cleared, Fate};
use crate::services::{Services, Shared};
use crate::settings::Queue;

/// What was tried again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({ "redriven": 2, "remaining": 0, "not_found": [] })))]
pub(crate) struct Redriven {
    /// Letters that were sent to the queue again.
    redriven: usize,
    /// Letters that were meant and are still there, because time ran out or SQS
    /// did not do its part: ask again. Of `all` it is a rough number, and never 0
    /// by mistake.
    remaining: usize,
    /// Ids of which there was no letter to be seen.
    not_found: Vec<String>,
}

/// What was thrown away.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({ "purged": 2, "remaining": 0, "not_found": [] })))]
pub(crate) struct Purged {
    /// Letters that are gone for good.
    purged: usize,
    /// Letters that were meant and are still there, because time ran out or SQS
    /// did not do its part: ask again. Of `all` it is a rough number, and never 0
    /// by mistake.
    remaining: usize,
    /// Ids of which there was no letter to be seen.
    not_found: Vec<String>,
}

/// `POST /queues/{name}/dead-letters/redrive`
///
/// # Errors
/// 404 for a queue that is none; 422 for a body that does not say which.
#[utoipa::path(
    post,
    path = "/queues/{name}/dead-letters/redrive",
    operation_id = "redriveDeadLetters",
    tag = "operations",
    summary = "Try dead letters again",
    description = "Sends dead letters to the queue that gave them up, as new messages with the \
        same body. Each is sent before it is deleted, so none is lost, whatever fails; one may \
        go twice, which does no harm: a message only says where in the table there is something \
        to do.",
    security(("operator" = ["operations/write"])),
    params(QueueInPath),
    request_body(content = SelectionBody, description = "Which letters."),
    responses(
        (status = 200, description = "What was done.", body = Redriven),
        (status = 400, response = BadRequest),
        Always,
        WithoutToken,
        BadBody,
        (status = 404, response = NoSuchQueue),
        (status = 422, response = InvalidSelection),
    ),
)]
pub(crate) async fn redrive(
    caller: Caller,
    State(services): Shared,
    Place { queue, .. }: Place,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Redriven>, Problem> {
    let which = Selection::read(&headers, &body)?;
    let cleared = clear(&services, &queue, &which, Fate::Redrive, &caller).await?;
    Ok(Json(Redriven {
        redriven: cleared.count,
        remaining: cleared.remaining,
        not_found: cleared.not_found,
    }))
}

/// `POST /queues/{name}/dead-letters/purge`
///
/// # Errors
/// 404 for a queue that is none; 422 for a body that does not say which.
#[utoipa::path(
    post,
    path = "/queues/{name}/dead-letters/purge",
    operation_id = "purgeDeadLetters",
    tag = "operations",
    summary = "Throw dead letters away",
    description = "Deletes dead letters for good. What they ask for stays in the table, and what \
        is unfinished there the sweeper still finds; but of what SES reports, and of an upload that \
        was not recorded as an import, nothing else knows. All of them go only if the body says so: an empty one is \
        refused.",
    security(("operator" = ["operations/write"])),
    params(QueueInPath),
    request_body(content = SelectionBody, description = "Which letters."),
    responses(
        (status = 200, description = "What was done.", body = Purged),
        (status = 400, response = BadRequest),
        Always,
        WithoutToken,
        BadBody,
        (status = 404, response = NoSuchQueue),
        (status = 422, response = InvalidSelection),
    ),
)]
pub(crate) async fn purge(
    caller: Caller,
    State(services): Shared,
    Place { queue, .. }: Place,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Purged>, Problem> {
    let which = Selection::read(&headers, &body)?;
    let cleared = clear(&services, &queue, &which, Fate::Purge, &caller).await?;
    Ok(Json(Purged {
        purged: cleared.count,
        remaining: cleared.remaining,
        not_found: cleared.not_found,
    }))
}

async fn clear(
    services: &Services,
    queue: &Queue,
    which: &Selection,
    fate: Fate,
    by: &Caller,
) -> Result<Cleared, Failure> {
    let cleared = services.letters.clear(queue, which, fate).await?;
    let (queue, fate, by) = (queue.name, fate.as_str(), &*by.name);
    tracing::info!(
        queue,
        fate,
        by,
        count = cleared.count,
        "dead letters cleared away"
    );
    Ok(cleared)
}
