//! The OpenAPI document of this function, put together from what the handlers and the
//! wire types say of themselves; and the document of all functions, served.

use axum::http::header;
use axum::response::IntoResponse;
use muster_http::body::JSON;
use muster_http::openapi::{people, refusals as always};
use muster_http::problem::Wire;
use serde_json::json;
use utoipa::openapi::Required;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::links::{self, operation};
use super::{refusals as no, values};
use crate::confirmation::{handlers as confirmation, reject};
use crate::health;
use crate::imports::handlers as imports;
use crate::profiles::{handlers as profiles, mails, undeliverable};
use crate::signup::handlers as signup;

/// The document of all functions: a test holds it to what they say.
const DOCUMENT: &str = include_str!("../../openapi.json");

/// As long as a deployment may take to be seen.
const FOR_FIVE_MINUTES: &str = "public, max-age=300";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Muster",
        description = include_str!("introduction.md"),
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = ".", description = "Where this document is.")),
    tags(
        (name = "people", description = "For everybody: sign up, confirm, or say that it was somebody else."),
        (name = "profiles", description = "For operators: the people's profiles."),
        (name = "imports", description = "For operators: CSV files, and what becomes of them."),
        (name = "service", description = "The service itself."),
    ),
    paths(
        health::read,
        serve,
        signup::sign_up,
        signup::resend,
        confirmation::show,
        confirmation::confirm,
        reject::show,
        reject::disown,
        profiles::find,
        profiles::create,
        profiles::read,
        profiles::change,
        profiles::erase,
        mails::list,
        mails::resend,
        undeliverable::remove,
        imports::list,
        imports::create,
        imports::read,
        imports::start,
        imports::cancel,
        imports::resume,
        imports::errors,
    ),
    components(
        schemas(
            Wire, always::GatewayMessage, values::Id, people::EmailAddress, people::ProfileStatus,
        ),
        responses(
            always::BadRequest, no::BadHeader, always::Unauthorized, always::Forbidden,
            no::FromElsewhere,
            no::NotFound, no::NoReport, always::MethodNotAllowed, no::Conflict, no::NothingToConfirm,
            no::NotNow, no::PreconditionFailed, always::TooLarge, always::UnsupportedMediaType,
            always::Invalid, no::InvalidOrReused, no::NotFailed, always::InvalidParameters, no::PreconditionRequired, always::Throttled,
            no::TooManyRequests, always::InternalError, always::Unavailable,
        ),
    ),
    modifiers(&Rest),
)]
struct Document;

/// What the attributes above cannot say.
struct Rest;

impl Modify for Rest {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("operator", operator());
        links::add(document);
        // utoipa would have `null` be such a body.
        let body =
            operation(document, "resumeImport").and_then(|found| found.request_body.as_mut());
        if let Some(body) = body {
            body.required = Some(Required::False);
        }
    }
}

/// Where tokens are to be had differs from deployment to deployment, so this is
/// no `oauth2` scheme, which would have to name an address. The scopes are what
/// OpenAPI 3.1 calls the roles of a scheme.
fn operator() -> SecurityScheme {
    let oauth2 = json!({
        "flows": ["clientCredentials", "authorizationCode"],
        "scopes": {
            "profiles/read": "Read profiles",
            "profiles/write": "Create, change and erase profiles",
            "imports/read": "Follow imports",
            "imports/write": "Make, start, stop and resume imports",
            "operations/read": "Watch the queues and their dead letters",
            "operations/write": "Redrive and purge dead letters",
        },
    });
    let mut scheme = Http::new(HttpAuthScheme::Bearer);
    scheme.bearer_format = Some("JWT".to_owned());
    scheme.description = Some(include_str!("operator.md").trim_end().to_owned());
    scheme.extensions = Some(Extensions::from_iter([("x-oauth2", oauth2)]));
    SecurityScheme::Http(scheme)
}

/// `GET /openapi.json`
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "readDocument",
    tag = "service",
    summary = "This document",
    description = "Generated from the code that answers.",
    responses(
        (
            status = 200,
            description = "OpenAPI 3.1.",
            body = Object,
            content_type = "application/json",
            headers(("Cache-Control" = String, description = "It may be kept for a while.")),
        ),
        (status = 403, response = no::FromElsewhere),
        always::Always,
    ),
)]
pub async fn serve() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, JSON),
        (header::CACHE_CONTROL, FOR_FIVE_MINUTES),
    ];
    (headers, DOCUMENT)
}

/// This function's part of the document.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_file_is_what_the_code_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
        let mut whole = document();
        whole.merge(muster_operations::openapi::document::Document::openapi());
        whole.merge(muster_details::openapi::document::Document::openapi());
        let generated = whole.to_pretty_json().unwrap() + "\n";
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &generated).unwrap();
        }
        let file = std::fs::read_to_string(&path).unwrap();
        assert!(
            file == generated,
            "functions/api/openapi.json is not what the code says. If the code is right: \
             UPDATE_GOLDEN=1 cargo test -p muster-api openapi"
        );
    }
}
