//! `GET /queues/{name}/dead-letters` and below: what the queues gave up.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, RawQuery, State};
use axum::http::request::Parts;
use futures_util::future::try_join_all;
use muster_core::platform::failure::Failure;
use muster_http::caller::Caller;
use muster_http::openapi::refusals::{Always, InvalidParameters, WithoutToken};
use muster_http::openapi::values;
use muster_http::problem::{Kind, Problem};
use muster_http::query::Parameters;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::dead_letters::messages::Letter;
use crate::dead_letters::reason::{self, Reason};
use crate::dead_letters::redaction::{redacted, sees_all};
use crate::openapi::parameters::{LetterInPath, Limit, QueueInPath};
use crate::openapi::refusals::{NoSuchLetter, NoSuchQueue};
use crate::problems::{no_such_letter, no_such_queue};
use crate::services::{Services, Shared};
use crate::settings::Queue;

/// A message that was tried too often.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter, examples(example))]
pub(crate) struct LetterView {
    /// Its id in SQS: the same for as long as it is a dead letter.
    id: String,
    /// When it was sent to the queue that gave it up.
    #[schema(value_type = values::Time)]
    sent_at: String,
    /// How many seconds ago that was.
    age_s: i64,
    /// How often it was handed out: to the function that failed, and to
    /// operators who looked at it since.
    receive_count: u32,
    /// What it says: JSON if it is JSON, else a string.
    body: Value,
    reason: Reason,
    /// Whether `body` and `reason` leave out what may be personal. All of it is
    /// shown with the scope `profiles/read`; of the queue `import` with
    /// `imports/read`.
    redacted: bool,
}

fn example() -> Value {
    json!({
        "id": "5f0c7a52-6f7e-4b60-9d0c-3a6a0f4e2b11",
        "sent_at": "2026-11-24T08:00:00.000Z",
        "age_s": 5400,
        "receive_count": 6,
        "body": { "profile_id": "019aafb0-0000-7000-8000-000000000000", "mail": 1 },
        "reason": Reason::example(),
        "redacted": false,
    })
}

/// Dead letters, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterList, examples(json!({ "items": [example()], "more": false, "next_cursor": null })))]
pub(crate) struct LetterList {
    items: Vec<LetterView>,
    /// Whether there may be more of them.
    more: bool,
    /// Always `null`: SQS has no pages. What is cleared away makes room for more.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// The `{name}` of a path, and the `{id}` if it has one.
#[derive(Debug)]
pub(crate) struct Place {
    /// The queue.
    pub queue: Queue,
    /// The id, or nothing.
    pub id: String,
}

impl FromRequestParts<Arc<Services>> for Place {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, Problem> {
        let path = Path::<HashMap<String, String>>::from_request_parts(parts, services).await;
        let Path(mut names) = path.map_err(|_| no_such_queue())?;
        let name = names.remove("name").unwrap_or_default();
        let queue = services.queues.iter().find(|queue| queue.name == name);
        Ok(Self {
            queue: queue.ok_or_else(no_such_queue)?.clone(),
            id: names.remove("id").unwrap_or_default(),
        })
    }
}

/// `GET /queues/{name}/dead-letters?limit=`
///
/// # Errors
/// 404 for a queue that is none, 422 for a limit that is none.
#[utoipa::path(
    get,
    path = "/queues/{name}/dead-letters",
    operation_id = "listDeadLetters",
    tag = "operations",
    summary = "List dead letters",
    description = "What a queue gave up, the oldest of those that were seen first, each with what \
        the table knows of why. Looking uses nothing up, but while somebody looks, others see \
        fewer letters. If the list is not full, the answer takes a second longer.",
    security(("operator" = ["operations/read"])),
    params(QueueInPath, Limit),
    responses(
        (status = 200, description = "Dead letters.", body = LetterList),
        Always,
        WithoutToken,
        (status = 404, response = NoSuchQueue),
        (status = 422, response = InvalidParameters),
    ),
)]
pub(crate) async fn list(
    caller: Caller,
    State(services): Shared,
    Place { queue, .. }: Place,
    RawQuery(query): RawQuery,
) -> Result<Json<LetterList>, Problem> {
    let mut parameters = Parameters::parse(query.as_deref());
    let limit = parameters.limit();
    parameters.finish()?;
    let seen = services.letters.look(&queue, limit).await?;
    let views = seen.letters.into_iter();
    let all = sees_all(&caller, queue.content);
    let views = views.map(|letter| view(&services, &queue, letter, all));
    Ok(Json(LetterList {
        items: try_join_all(views).await?,
        more: !seen.whole,
        next_cursor: None,
    }))
}

/// `GET /queues/{name}/dead-letters/{id}`
///
/// # Errors
/// 404 if there is none, 503 if there are too many to be sure.
#[utoipa::path(
    get,
    path = "/queues/{name}/dead-letters/{id}",
    operation_id = "readDeadLetter",
    tag = "operations",
    summary = "Read a dead letter",
    description = "One letter, looked for among all of the queue. 404 also while somebody else \
        looks at it, for at most a minute.",
    security(("operator" = ["operations/read"])),
    params(QueueInPath, LetterInPath),
    responses(
        (status = 200, description = "The dead letter.", body = LetterView),
        Always,
        WithoutToken,
        (status = 404, response = NoSuchLetter),
    ),
)]
pub(crate) async fn read(
    caller: Caller,
    State(services): Shared,
    Place { queue, id }: Place,
) -> Result<Json<LetterView>, Problem> {
    let mut seen = services.letters.find(&queue, &id).await?;
    let Some(letter) = seen.letters.pop() else {
        return Err(if seen.whole {
            no_such_letter()
        } else {
            Problem::new(
                Kind::Unavailable,
                "there are so many dead letters that it was not found in time; try again",
            )
        });
    };
    let all = sees_all(&caller, queue.content);
    Ok(Json(view(&services, &queue, letter, all).await?))
}

/// A letter, with all of it or without what may be personal.
async fn view(
    services: &Services,
    queue: &Queue,
    letter: Letter,
    all: bool,
) -> Result<LetterView, Failure> {
    let now = services.clock.now();
    let reason = reason::find(&services.table, queue.content, &letter.body, now).await?;
    let body = serde_json::from_str(&letter.body).unwrap_or(Value::String(letter.body));
    Ok(LetterView {
        sent_at: letter.sent_at.to_string(),
        age_s: (now.as_millis() - letter.sent_at.as_millis()).max(0) / 1000,
        receive_count: letter.receives,
        body: if all { body } else { redacted(body) },
        id: letter.id,
        reason: reason.told(all),
        redacted: !all,
    })
}
