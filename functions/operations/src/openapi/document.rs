//! The routes of the queues as the OpenAPI document has them. The API's document
//! takes them in.

use super::refusals::{InvalidSelection, NoSuchLetter, NoSuchQueue};
use super::values::{QueueName, ReasonCode, SelectionBody};
use crate::dead_letters::handlers as dead_letters;
use crate::queue_actions::handlers as queue_actions;
use crate::queues::handlers as queues;
use utoipa::OpenApi;

/// The routes of the queues.
#[derive(OpenApi)]
#[openapi(
    tags((name = "operations", description = "For operators: the queues and what they gave up.")),
    paths(
        queues::list,
        dead_letters::list,
        dead_letters::read,
        queue_actions::redrive,
        queue_actions::purge,
    ),
    components(
        schemas(QueueName, ReasonCode, SelectionBody),
        responses(NoSuchQueue, NoSuchLetter, InvalidSelection),
    ),
)]
pub struct Document;
