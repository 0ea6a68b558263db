//! `GET /queues`: how full they are.

use aws_sdk_sqs::types::QueueAttributeName::{
    ApproximateNumberOfMessages as Visible, ApproximateNumberOfMessagesDelayed as Delayed,
    ApproximateNumberOfMessagesNotVisible as InFlight, MessageRetentionPeriod, VisibilityTimeout,
};
use axum::Json;
use axum::extract::State;
use futures_util::future::{try_join, try_join_all};
use muster_core::platform::failure::Failure;
use muster_http::caller::Caller;
use muster_http::openapi::refusals::{Always, WithoutToken};
use muster_http::problem::Problem;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::openapi::values::QueueName;
use crate::queues::attributes::Attributes;
use crate::services::Shared;
use crate::settings::Queue;

/// A queue. SQS counts at several places and adds up later: what it says is
/// right within a minute.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queue, examples(example))]
pub(crate) struct QueueView {
    #[schema(value_type = QueueName)]
    name: &'static str,
    /// What it carries, in words.
    carries: &'static str,
    messages: MessagesView,
    /// Messages that were given up, whether or not somebody looks at them now.
    dead_letters: usize,
    /// How often a message is tried before it is given up.
    max_receive_count: usize,
    /// After how many seconds a message is tried again if nobody answers for it.
    visibility_timeout_s: usize,
    /// After how many seconds a message is dropped, handled or not.
    retention_s: usize,
    /// After how many seconds a dead letter is dropped, counted from when the
    /// message was sent.
    dead_letter_retention_s: usize,
}

/// Messages, by what they wait for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueueMessages)]
struct MessagesView {
    /// For a function that has time.
    visible: usize,
    /// For the function that has them to be done.
    in_flight: usize,
    /// For their time.
    delayed: usize,
}

fn example() -> Value {
    json!({
        "name": "mail",
        "carries": "nudges to the mailer: whose mail to send",
        "messages": { "visible": 3, "in_flight": 5, "delayed": 0 },
        "dead_letters": 1,
        "max_receive_count": 5,
        "visibility_timeout_s": 180,
        "retention_s": 345_600,
        "dead_letter_retention_s": 1_209_600,
    })
}

/// All queues.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({ "items": [example()], "next_cursor": null })))]
pub(crate) struct QueueList {
    items: Vec<QueueView>,
    /// Always `null`: this is all of them.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// `GET /queues`
///
/// # Errors
/// When SQS does not do its part.
#[utoipa::path(
    get,
    path = "/queues",
    operation_id = "listQueues",
    tag = "operations",
    summary = "List the queues",
    description = "Every queue: how full it is, and what it gave up. How long the oldest message \
        has been waiting SQS tells CloudWatch alone, as the metric \
        `ApproximateAgeOfOldestMessage`.",
    security(("operator" = ["operations/read"])),
    responses(
        (status = 200, description = "The queues.", body = QueueList),
        Always,
        WithoutToken,
    ),
)]
pub(crate) async fn list(_: Caller, State(services): Shared) -> Result<Json<QueueList>, Problem> {
    let queues = services.queues.iter();
    let views = queues.map(|queue| view(&services.sqs, queue));
    Ok(Json(QueueList {
        items: try_join_all(views).await?,
        next_cursor: None,
    }))
}

async fn view(sqs: &aws_sdk_sqs::Client, queue: &Queue) -> Result<QueueView, Failure> {
    let (live, dead) = try_join(
        Attributes::get(sqs, &queue.url),
        Attributes::get(sqs, &queue.dead_letters_url),
    )
    .await?;
    Ok(QueueView {
        name: queue.name,
        carries: queue.content.in_words(),
        messages: MessagesView {
            visible: live.number(&Visible),
            in_flight: live.number(&InFlight),
            delayed: live.number(&Delayed),
        },
        dead_letters: dead.messages(),
        max_receive_count: live.max_receive_count(),
        visibility_timeout_s: live.number(&VisibilityTimeout),
        retention_s: live.number(&MessageRetentionPeriod),
        dead_letter_retention_s: dead.number(&MessageRetentionPeriod),
    })
}
