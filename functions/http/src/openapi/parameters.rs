//! The parameters that requests to every function have.

use serde_json::{Value, json};
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, Required};

use crate::query::{DEFAULT_LIMIT, MAX_LIMIT};

/// Types that stand for parameters, each with the functions that describe them.
#[macro_export]
macro_rules! parameters {
    ($($(#[$doc:meta])* $name:ident: [$($parameter:expr),*],)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $name;

            impl ::utoipa::IntoParams for $name {
                fn into_params(
                    _: impl Fn() -> Option<::utoipa::openapi::path::ParameterIn>,
                ) -> Vec<::utoipa::openapi::path::Parameter> {
                    vec![$($parameter.build()),*]
                }
            }
        )*
    };
}

/// A parameter that need not be there.
pub fn parameter(
    name: &str,
    place: ParameterIn,
    schema: impl Into<RefOr<Schema>>,
    example: Value,
) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .schema(Some(schema))
        .example(Some(example))
}

/// How many items a list is to have.
pub fn limit() -> ParameterBuilder {
    let schema = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(MAX_LIMIT))
        .default(Some(json!(DEFAULT_LIMIT)));
    parameter("limit", ParameterIn::Query, schema, json!(DEFAULT_LIMIT))
        .description(Some("The most items that the answer is to have."))
}
