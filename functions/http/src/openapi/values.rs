//! The values that the answers of every function are made of.

use serde_json::json;
use utoipa::openapi::KnownFormat;
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};

/// Types that stand for a schema, each with the function that describes it.
#[macro_export]
macro_rules! values {
    ($($(#[$doc:meta])* $name:ident: $schema:expr,)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $name;

            impl ::utoipa::PartialSchema for $name {
                fn schema() -> ::utoipa::openapi::RefOr<::utoipa::openapi::Schema> {
                    $schema.into()
                }
            }

            impl ::utoipa::ToSchema for $name {}
        )*
    };
}

values! {
    /// [`muster_core::platform::ids`]
    Id: id(),
    /// [`muster_core::platform::time::Time`]
    Time: time(),
}

/// A text.
pub fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn id() -> ObjectBuilder {
    string()
        .format(Some(SchemaFormat::Custom("uuid".to_owned())))
        .examples([json!("019aafb0-0000-7000-8000-000000000000")])
        .description(Some(
            "A UUID, with hyphens and in lower case: no other spelling names the same thing.",
        ))
}

fn time() -> ObjectBuilder {
    string()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .examples([json!("2026-11-24T08:00:00.000Z")])
        .description(Some(
            "RFC 3339, in UTC, always with milliseconds: the texts sort as the moments do.",
        ))
}

/// One of these, each with what it means.
pub fn choice<const N: usize>(choices: [(&'static str, &str); N]) -> ObjectBuilder {
    let lines = choices.map(|(name, meaning)| format!("- `{name}`: {meaning}"));
    string()
        .enum_values(Some(choices.map(|(name, _)| name)))
        .description(Some(lines.join("\n")))
}
