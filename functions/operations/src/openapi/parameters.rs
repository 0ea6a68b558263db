//! The parameters of requests.

use super::values::{QueueName, letter_id};
use muster_http::openapi::parameters::{limit, parameter};
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::Required;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Ref;

muster_http::parameters! {
    /// Which queue.
    QueueInPath: [name()],
    /// Which dead letter.
    LetterInPath: [id()],
    /// How many.
    Limit: [limit()],
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
