//! What goes out when something is wrong: RFC 9457 problem details.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use muster_core::people::validation::Violation;
use muster_core::platform::failure::Failure;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The type of a problem: RFC 9457.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The kinds of problem: part of the public contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The body is no JSON, or the request makes no sense.
    Malformed,
    /// The caller may not do this.
    Forbidden,
    /// No such thing.
    NotFound,
    /// Not with this method.
    MethodNotAllowed,
    /// Somebody was first.
    Conflict,
    /// The body is too long.
    TooLarge,
    /// The body is of a type that is not read here.
    UnsupportedMediaType,
    /// Fields that break a rule.
    Invalid,
    /// The `Idempotency-Key` was used for something else.
    KeyReused,
    /// Not the version that `If-Match` names.
    PreconditionFailed,
    /// `If-Match` is missing.
    PreconditionRequired,
    /// More than one may ask for.
    TooManyRequests,
    /// Ours to mend.
    Internal,
    /// Somebody whom we had to ask did not do their part.
    BadGateway,
    /// Later.
    Unavailable,
}

impl Kind {
    const fn describe(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Malformed => (
                StatusCode::BAD_REQUEST,
                "malformed-request",
                "Malformed request",
            ),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Forbidden"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Method not allowed",
            ),
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "Conflict"),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "Request too large",
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "Unsupported media type",
            ),
            Self::Invalid => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-fields",
                "Invalid fields",
            ),
            Self::KeyReused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "Idempotency-Key reused",
            ),
            Self::PreconditionFailed => (
                StatusCode::PRECONDITION_FAILED,
                "precondition-failed",
                "Precondition failed",
            ),
            Self::PreconditionRequired => (
                StatusCode::PRECONDITION_REQUIRED,
                "precondition-required",
                "Precondition required",
            ),
            Self::TooManyRequests => (
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-requests",
                "Too many requests",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Internal error",
            ),
            Self::BadGateway => (StatusCode::BAD_GATEWAY, "source-failed", "A source failed"),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Unavailable",
            ),
        }
    }
}

/// One field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// Which rule, for programs: a code stays what it is.
    #[schema(examples("invalid_email"))]
    pub code: &'static str,
    /// The rule in words. Never says what was sent.
    #[schema(examples("not an e-mail address of the form name@example.com"))]
    pub detail: String,
}

/// Where in a request something stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// JSON pointer (RFC 6901) into the body.
    Pointer(String),
    /// A query parameter.
    Parameter(String),
}

impl FieldError {
    /// A violation in the body, and where.
    pub fn at(pointer: impl Into<String>, violation: Violation) -> Self {
        Self::new(Place::Pointer(pointer.into()), violation)
    }

    /// A violation in a query parameter.
    pub fn parameter(name: impl Into<String>, violation: Violation) -> Self {
        Self::new(Place::Parameter(name.into()), violation)
    }

    fn new(place: Place, violation: Violation) -> Self {
        Self {
            place,
            code: violation.code,
            detail: violation.detail,
        }
    }
}

/// An answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    request_id: Option<String>,
    members: Members,
}

/// What a problem says beyond what every problem says: RFC 9457 section 3.2.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
struct Members(BTreeMap<&'static str, Value>);

/// It may be personal data: in a log there are only the names.
impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Problem {
    /// A problem of that kind; `detail` is for the caller's eyes.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: (kind == Kind::Unavailable).then_some(Duration::from_secs(1)),
            request_id: None,
            members: Members::default(),
        }
    }

    /// Fields that break rules, all of them.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self {
            errors,
            ..Self::new(Kind::Invalid, "some fields break a rule; errors names each")
        }
    }

    /// Something is wrong with us; what, is nobody's business.
    pub fn internal() -> Self {
        Self::new(Kind::Internal, "something is wrong on our side")
    }

    /// The same, to be tried again after that long.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// The same, with the name by which we find the request in our logs.
    #[must_use]
    pub fn of_request(self, id: String) -> Self {
        Self {
            request_id: Some(id),
            ..self
        }
    }

    /// The same, with another member: of no name that is here already.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Value) -> Self {
        self.members.0.insert(name, value);
        self
    }

    /// Which kind.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What the caller is told.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The fields that break rules.
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// What goes over the wire.
    pub fn wire(&self) -> Wire<'_> {
        let (status, slug, title) = self.kind.describe();
        Wire {
            r#type: format!("urn:muster:problem:{slug}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
            request_id: self.request_id.as_deref(),
            members: &self.members,
        }
    }
}

/// Problem details (RFC 9457): what is wrong, for programs and for people.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Wire<'a> {
    /// Which kind of problem; `urn:muster:problem:` and a name that stays what
    /// it is.
    #[schema(format = "uri", examples("urn:muster:problem:not-found"))]
    r#type: String,
    /// The kind in words.
    title: &'static str,
    /// The status of the answer once more.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong this time.
    detail: &'a str,
    /// Every field or parameter that breaks a rule.
    #[schema(min_items = 1)]
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
    /// With 5xx: what to name when asking the people who run the service.
    #[schema(value_type = String, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[schema(ignore)]
    #[serde(flatten)]
    members: &'a Members,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, _, _) = self.kind.describe();
        let mut response = (status, axum::Json(self.wire())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, wait.as_secs().max(1).into());
        }
        // For whoever knows the request's name: see the router.
        response.extensions_mut().insert(self);
        response
    }
}

/// AWS did not do its part. The log gets the cause, the caller does not.
impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        tracing::error!(error = %failure, "a request failed");
        if failure.is_transient() {
            Self::new(
                Kind::Unavailable,
                "the service cannot do this right now; try again",
            )
        } else {
            Self::internal()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_log_has_the_names_of_members_only() {
        let problem =
            Problem::new(Kind::BadGateway, "x").with("profile", json!({ "name": "Ada Lovelace" }));
        let log = format!("{problem:?}");
        assert!(log.contains("profile") && !log.contains("Ada"), "{log}");
    }
}
