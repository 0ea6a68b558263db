//! Who asks, as the gateway's authorizer says.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use lambda_http::request::RequestContext;

use crate::problem::{Kind, Problem};

/// Somebody whose token the gateway accepted.
///
/// The gateway checks signature, issuer, audience, expiry and scope before
/// the function is asked. This is the second lock on the door: a route that
/// lost its authorizer in the template answers 403, not with people's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The client of a machine's token, the subject of a person's.
    pub name: String,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<RequestContext>()
            .and_then(named)
            .map(|name| Self { name })
            .ok_or_else(|| Problem::new(Kind::Forbidden, "this needs a token"))
    }
}

fn named(context: &RequestContext) -> Option<String> {
    let RequestContext::ApiGatewayV2(context) = context else {
        return None;
    };
    let claims = &context.authorizer.as_ref()?.jwt.as_ref()?.claims;
    ["client_id", "sub"]
        .into_iter()
        .find_map(|claim| claims.get(claim))
        .filter(|name| !name.is_empty())
        .cloned()
}
