//! The route of the details as the OpenAPI document has it. The API's document takes
//! it in.

use muster_http::openapi::parameters::parameter;
use muster_http::openapi::refusals::problem;
use muster_http::openapi::values::{Id, choice, string};
use muster_http::profile::absent;
use serde_json::json;
use utoipa::openapi::Required;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Ref;
use utoipa::{OpenApi, ToSchema};

use crate::details;
use crate::trouble::CODES;
use crate::view::{STATUSES, source_failed_example};

/// The route of the details.
#[derive(OpenApi)]
#[openapi(
    paths(details::read),
    components(
        schemas(SourceStatus, SourceProblemCode),
        responses(NotFound, SourceFailed)
    )
)]
pub struct Document;

muster_http::values! {
    /// [`crate::gather::Outcome`]
    SourceStatus: choice(STATUSES),
    /// [`crate::trouble::Trouble`]
    SourceProblemCode: choice(CODES),
}

muster_http::parameters! {
    /// Whose.
    InPath: [id()],
    /// Of whom.
    SourceNames: [names()],
}

muster_http::refusals! {
    /// 404
    NotFound: problem(&absent(), "There is no such profile."),
    /// 502
    SourceFailed: problem(
        &source_failed_example(),
        "A source failed that is required. The problem has what there is all the same: \
         `profile`, `sources` and `merged`, as the answer would.",
    ),
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
