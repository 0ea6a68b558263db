//! The values that bodies, parameters and answers are made of.

use crate::dead_letters::reason_code::Code;
use crate::dead_letters::selection::MAX_ID_CHARS;
use crate::settings::{Entry, QUEUES};
use muster_http::openapi::values::{choice, string};
use muster_http::query::MAX_LIMIT;
use serde_json::json;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type,
};

muster_http::values! {
    /// [`crate::settings::QUEUES`]
    QueueName: choice(QUEUES.map(|Entry(name, content, ..)| (name, content.in_words()))),
    /// [`crate::dead_letters::reason_code::Code`]
    ReasonCode: choice(Code::ALL.map(|code| (code.as_str(), code.in_words()))),
    /// [`crate::dead_letters::selection::Selection`]
    SelectionBody: selection(),
}

/// The id of a dead letter.
pub(crate) fn letter_id() -> ObjectBuilder {
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
