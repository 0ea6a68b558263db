//! The parameters of requests.

use muster_core::people::idempotency::LIFETIME;
use muster_core::people::profile::LISTED;
use muster_core::people::profile::ProfileStatus;
use muster_http::openapi::parameters::{limit, parameter};
use muster_http::openapi::people::EmailAddress;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::Required;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Ref, Type};

use super::values::Id;
use crate::idempotency;
use muster_core::people::profile::UNDELIVERABLE;

muster_http::parameters! {
    /// Which profile or import.
    InPath: [id()],
    /// Which page of a list.
    Paging: [limit(), cursor()],
    /// Which profiles.
    Filter: [email(), status()],
    /// Which version is meant; whoever changes one must say it.
    ExpectedVersion: [if_match(Required::True)],
    /// Which version is meant, if it matters.
    ExpectedVersionIfAny: [if_match(Required::False)],
    /// Which request it is.
    IdempotencyKey: [idempotency_key()],
    /// What a link of a mail carries.
    LinkToken: [token()],
}

fn reference<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}

fn id() -> ParameterBuilder {
    let example = json!("019aafb0-0000-7000-8000-000000000000");
    parameter("id", ParameterIn::Path, reference::<Id>(), example).required(Required::True)
}

fn cursor() -> ParameterBuilder {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[A-Za-z0-9_-]{82}$"));
    let example =
        json!("MjAyNi0xMS0yNFQwODowMDowMC4wMDBaIzAxOWFhZmIwLTAwMDAtNzAwMC04MDAwLTAwMDAwMDAwMDAwMA");
    parameter("cursor", ParameterIn::Query, schema, example).description(Some(
        "`next_cursor` of the page before. Not to be made, taken apart or kept: anything else is \
         refused with 422.",
    ))
}

fn email() -> ParameterBuilder {
    let example = json!("ada@example.com");
    let schema = reference::<EmailAddress>();
    parameter("email", ParameterIn::Query, schema, example).description(Some(
        "The profile with this address, in whatever case it is typed: a list of at most one. It \
         is found as soon as it is there.",
    ))
}

fn status() -> ParameterBuilder {
    let names = LISTED.map(ProfileStatus::as_str).into_iter();
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(names.chain([UNDELIVERABLE])));
    parameter("status", ParameterIn::Query, schema, json!("confirmed")).description(Some(
        "Only profiles of this status; with `undeliverable`, only profiles that no mail goes to, \
         of either status.",
    ))
}

/// A star, or entity tags with commas between: RFC 9110 sections 8.8.3 and 13.1.1.
fn if_match(required: Required) -> ParameterBuilder {
    let tag = r#"(?:W/)?"[!#-~\u0080-\u00ff]*""#;
    let list = format!(r"[ \t,]*{tag}(?:[ \t]*,[ \t,]*{tag})*[ \t,]*");
    let star = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["*"]));
    let tags = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(format!("^{list}$")));
    let schema = OneOfBuilder::new().item(star).item(tags);
    parameter("If-Match", ParameterIn::Header, schema, json!("\"1\""))
        .required(required)
        .description(Some(
            "The `ETag` of the version that is meant; if the profile is another version by now, \
             412. `*` means whichever there is.",
        ))
}

fn idempotency_key() -> ParameterBuilder {
    let hours = LIFETIME.as_secs() / 3600;
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(idempotency::MAX_CHARS))
        .pattern(Some(r"^[!-~](?:[\t -~]*[!-~])?$"));
    let example = json!("5f0c7a52-6f7e-4b60-9d0c-3a6a0f4e2b11");
    parameter("Idempotency-Key", ParameterIn::Header, schema, example).description(Some(format!(
        "Any text of the caller's own, a random UUID for example. For {hours} hours the same \
         request with the same key makes nothing new and is answered with what the first one made, \
         so that a request whose answer was lost can be sent again. The same key with another body is \
         refused with 422."
    )))
}

fn token() -> ParameterBuilder {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    parameter("token", ParameterIn::Query, schema, json!(TOKEN))
        .description(Some("What the link in the mail carries."))
}

/// What a link's token looks like.
pub const TOKEN: &str =
    "019aafb0-0000-7000-8000-000000000000.1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
