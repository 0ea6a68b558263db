//! The route of the details as the OpenAPI document has it. The API's document takes
//! it in.

use super::refusals::{NotFound, SourceFailed};
use super::values::{SourceProblemCode, SourceStatus};
use crate::handlers;
use utoipa::OpenApi;

/// The route of the details.
#[derive(OpenApi)]
#[openapi(
    paths(handlers::read),
    components(
        schemas(SourceStatus, SourceProblemCode),
        responses(NotFound, SourceFailed)
    )
)]
pub struct Document;
