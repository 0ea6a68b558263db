//! The parameters of the request.

use muster_http::openapi::parameters::parameter;
use muster_http::openapi::values::{Id, string};
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::Required;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Ref;

muster_http::parameters! {
    /// Whose.
    InPath: [id()],
    /// Of whom.
    SourceNames: [names()],
}

fn id() -> ParameterBuilder {
    let schema = Ref::from_schema_name(Id::name());
    let example = json!("019aafb0-0000-7000-8000-000000000000");
    parameter("id", ParameterIn::Path, schema, example).required(Required::True)
}

fn names() -> ParameterBuilder {
    let name = "[a-z][a-z0-9_-]{0,31}";
    let schema = string().pattern(Some(format!("^{name}(?:,{name})*$")));
    parameter("sources", ParameterIn::Query, schema, json!("crm,billing")).description(Some(
        "The sources to ask, with commas between; all, if missing.",
    ))
}
