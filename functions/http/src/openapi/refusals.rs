//! What comes instead of what was asked for: the same from every route.
//!
//! Some of it never reaches us. The gateway answers for itself when a token is
//! missing or wrong, when there is too much to do or when we do not answer, and
//! it knows no problem details: `{"message": "…"}`.

use std::collections::BTreeMap;

use muster_core::people::validation::Violation;
use serde_json::json;
use utoipa::openapi::RefOr;
use utoipa::openapi::content::{Content, ContentBuilder};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Ref, Type};
use utoipa::{IntoResponses, ToResponse, ToSchema};

use crate::body::{JSON, MAX_BODY_BYTES};
use crate::problem::{FieldError, Kind, PROBLEM_JSON, Problem};
use crate::query::MAX_LIMIT;

/// What the gateway says when it answers for itself.
#[derive(Debug, ToSchema)]
pub struct GatewayMessage {
    /// A word or two.
    #[schema(examples("Unauthorized"))]
    pub message: String,
}

/// Types that stand for a refusal, each with the response that describes it.
#[macro_export]
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident: $response:expr,)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $name;

            impl<'r> ::utoipa::ToResponse<'r> for $name {
                fn response() -> (
                    &'r str,
                    ::utoipa::openapi::RefOr<::utoipa::openapi::response::Response>,
                ) {
                    (stringify!($name), $response.build().into())
                }
            }
        )*
    };
}

/// Types that stand for refusals that go together.
macro_rules! sets {
    ($($(#[$doc:meta])* $name:ident: [$($status:literal = $refusal:ident),*],)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $name;

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    [$(($status, $refusal::response().0)),*]
                        .into_iter()
                        .map(|(status, name)| {
                            (status.to_owned(), Ref::from_response_name(name).into())
                        })
                        .collect()
                }
            }
        )*
    };
}

sets! {
    /// From any route.
    Always: ["429" = Throttled, "500" = InternalError, "503" = Unavailable],
    /// From a route that needs a token.
    WithoutToken: ["401" = Unauthorized, "403" = Forbidden],
    /// From a route that reads a body.
    BadBody: ["413" = TooLarge, "415" = UnsupportedMediaType],
}

refusals! {
    /// 400
    BadRequest: problem(
        &Problem::new(Kind::Malformed, "the body is not JSON: expected value at line 1 column 12"),
        "The body is not JSON (`detail` says where), or a header makes no sense.",
    ),
    /// 401
    Unauthorized: gateway(
        "Unauthorized",
        "There is no token, it has expired, or it is none of this API's. The gateway says so.",
    )
    .header("WWW-Authenticate", header("What is wrong with the token.")),
    /// 403
    Forbidden: either(
        &Problem::new(Kind::Forbidden, "this needs a token"),
        "Forbidden",
        "The token lacks the scope. The gateway says so; the problem is a second lock on the door.",
    ),
    /// 405
    MethodNotAllowed: problem(
        &Problem::new(
            Kind::MethodNotAllowed,
            "PUT cannot be done here; the Allow header says what can",
        ),
        "The path has no such method.",
    )
    .header("Allow", header("The methods that the path has, with commas between.")),
    /// 413
    TooLarge: either(
        &Problem::new(Kind::TooLarge, format!("a body has at most {MAX_BODY_BYTES} bytes")),
        "Request Entity Too Large",
        &format!(
            "The body has more than {MAX_BODY_BYTES} bytes. If it has more than 10 MB, the \
             gateway says so."
        ),
    ),
    /// 415
    UnsupportedMediaType: problem(
        &Problem::new(Kind::UnsupportedMediaType, "send the body as application/json"),
        "The body's `Content-Type` is missing, or is none that is read here.",
    ),
    /// 422
    Invalid: problem(&invalid_field(), INVALID),
    /// 422, without a body
    InvalidParameters: problem(
        &invalid_parameter(),
        "Parameters of the query break a rule or are unknown. `errors` names all of them.",
    ),
    /// 429, by the gateway alone
    Throttled: gateway(
        "Too Many Requests",
        "The API takes no more requests at the moment. The gateway says so: try again, slower.",
    ),
    /// 500
    InternalError: either(
        &Problem::internal().of_request(REQUEST.to_owned()),
        "Internal Server Error",
        "Something is wrong on the server's side, and trying again does not help.",
    ),
    /// 503
    Unavailable: either(
        &Problem::new(
            Kind::Unavailable,
            "the service cannot do this right now; try again",
        )
        .of_request(REQUEST.to_owned()),
        "Service Unavailable",
        "Not at the moment. It may have been done all the same.",
    )
    .header("Retry-After", retry_after()),
}

/// What a 422 means.
pub const INVALID: &str = "Fields of the body break a rule. `errors` names all of them.";
const REQUEST: &str = "cTTwFQ6yBTdykBE=";

/// A 422.
pub fn invalid_field() -> Problem {
    let violation = Violation::new(
        "invalid_email",
        "not an e-mail address of the form name@example.com",
    );
    Problem::invalid(vec![FieldError::at("/email", violation)])
}

fn invalid_parameter() -> Problem {
    let violation = Violation::new("invalid_limit", format!("a number from 1 to {MAX_LIMIT}"));
    Problem::invalid(vec![FieldError::parameter("limit", violation)])
}

/// A refusal of ours.
pub fn problem(example: &Problem, description: &str) -> ResponseBuilder {
    let content = problem_content().example(Some(json!(example.wire())));
    ResponseBuilder::new()
        .description(description)
        .content(PROBLEM_JSON, content.build())
}

/// A refusal of ours that has several reasons, each with its name.
pub fn with_problems<const N: usize>(
    examples: [(&str, Problem); N],
    description: &str,
) -> ResponseBuilder {
    let examples = examples.map(|(name, problem)| {
        let example = ExampleBuilder::new().value(Some(json!(problem.wire())));
        (name, example.build())
    });
    let content = problem_content().examples_from_iter(examples);
    ResponseBuilder::new()
        .description(description)
        .content(PROBLEM_JSON, content.build())
}

fn problem_content() -> ContentBuilder {
    ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")))
}

fn gateway(message: &str, description: &str) -> ResponseBuilder {
    ResponseBuilder::new()
        .description(description)
        .content(JSON, message_content(message))
}

/// A refusal by us, or by the gateway.
pub fn either(example: &Problem, message: &str, description: &str) -> ResponseBuilder {
    problem(example, description).content(JSON, message_content(message))
}

fn message_content(message: &str) -> Content {
    ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(GatewayMessage::name())))
        .example(Some(json!({ "message": message })))
        .build()
}

fn header(description: &str) -> Header {
    HeaderBuilder::new().description(Some(description)).build()
}

/// The header of what may work later.
pub fn retry_after() -> Header {
    let seconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1));
    HeaderBuilder::new()
        .schema(seconds)
        .description(Some(
            "After how many seconds to try again. With every problem; the gateway sends none.",
        ))
        .build()
}
