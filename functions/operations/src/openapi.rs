//! The routes of the queues as the OpenAPI document has them. The API's document
//! takes them in.

use muster_core::violation::Violation;
use muster_http::openapi::parameters::{limit, parameter};
use muster_http::openapi::refusals::{INVALID, problem, with_problems};
use muster_http::openapi::values::{choice, string};
use muster_http::problem::{FieldError, Problem};
use muster_http::query::MAX_LIMIT;
use serde_json::json;
use utoipa::openapi::Required;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, Ref, Schema, Type,
};
use utoipa::{OpenApi, ToSchema};

use crate::dead_letters::{no_such_letter, no_such_queue};
use crate::reason::Code;
use crate::selection::MAX_ID_CHARS;
use crate::settings::{Entry, QUEUES};
use crate::{dead_letters, queues, remedies};

/// The routes of the queues.
#[derive(OpenApi)]
#[openapi(
    tags((name = "operations", description = "For operators: the queues and what they gave up.")),
    paths(
        queues::list,
        dead_letters::list,
        dead_letters::read,
        remedies::redrive,
        remedies::purge,
    ),
    components(
        schemas(QueueName, ReasonCode, SelectionBody),
        responses(NoSuchQueue, NoSuchLetter, InvalidSelection),
    ),
)]
pub struct Document;

muster_http::values! {
    /// [`crate::settings::QUEUES`]
    QueueName: choice(QUEUES.map(|Entry(name, content, ..)| (name, content.in_words()))),
    /// [`crate::reason::Code`]
    ReasonCode: choice(Code::ALL.map(|code| (code.as_str(), code.in_words()))),
    /// [`crate::selection::Selection`]
    SelectionBody: selection(),
}

muster_http::parameters! {
    /// Which queue.
    QueueInPath: [name()],
    /// Which dead letter.
    LetterInPath: [id()],
    /// How many.
    Limit: [limit()],
}

muster_http::refusals! {
    /// 404
    NoSuchQueue: problem(&no_such_queue(), "There is no such queue."),
    /// 404, of one letter
    NoSuchLetter: with_problems(
        [("queue", no_such_queue()), ("letter", no_such_letter())],
        "There is no such queue, or it has no such dead letter, or somebody is looking at it.",
    ),
    /// 422
    InvalidSelection: problem(&no_selection(), INVALID),
}

fn no_selection() -> Problem {
    let violation = Violation::new("missing", "send the ids, or all as true");
    Problem::invalid(vec![FieldError::at("/ids", violation)])
}

fn name() -> ParameterBuilder {
    let schema = Ref::from_schema_name(QueueName::name());
    parameter("name", ParameterIn::Path, schema, json!("mail")).required(Required::True)
}

fn id() -> ParameterBuilder {
    let example = json!("5f0c7a52-6f7e-4b60-9d0c-3a6a0f4e2b11");
    parameter("id", ParameterIn::Path, letter_id(), example)
        .required(Required::True)
        .description(Some("The id that the list has."))
}

fn letter_id() -> ObjectBuilder {
    string().min_length(Some(1)).max_length(Some(MAX_ID_CHARS))
}

/// All, or some: an object of one member, which is one of two.
fn selection() -> OneOfBuilder {
    let all = ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .enum_values(Some([true]))
        .description(Some("All dead letters of the queue."));
    let ids = ArrayBuilder::new()
        .items(letter_id())
        .min_items(Some(1))
        .max_items(Some(MAX_LIMIT))
        .description(Some("The dead letters with these ids."));
    OneOfBuilder::new()
        .item(only("all", all))
        .item(only("ids", ids))
        .examples([
            json!({ "ids": ["5f0c7a52-6f7e-4b60-9d0c-3a6a0f4e2b11"] }),
            json!({ "all": true }),
        ])
        .description(Some("Which dead letters are meant."))
}

fn only(name: &str, schema: impl Into<Schema>) -> ObjectBuilder {
    ObjectBuilder::new()
        .property(name, schema.into())
        .required(name)
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
}
