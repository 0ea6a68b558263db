//! Who asks, as the gateway's authorizer says.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::Extensions;
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

/// Whether the gateway accepted a token of the request's.
pub fn has_token(extensions: &Extensions) -> bool {
    extensions.get::<RequestContext>().and_then(named).is_some()
}

/// Where a request comes from: as the gateway saw it, unless something in front of it
/// that is trusted said so before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin(pub Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        if let Some(told) = parts.extensions.get::<Self>() {
            return Ok(*told);
        }
        let address = parts
            .extensions
            .get::<RequestContext>()
            .and_then(|context| match context {
                RequestContext::ApiGatewayV2(context) => context.http.source_ip.as_deref(),
                _ => None,
            });
        Ok(Self(address.and_then(|text| text.parse().ok())))
    }
}

/// The name that the gateway gave a request, which its logs have too.
pub fn request_id(extensions: &Extensions) -> Option<String> {
    match extensions.get::<RequestContext>()? {
        RequestContext::ApiGatewayV2(context) => context.request_id.clone(),
        _ => None,
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
