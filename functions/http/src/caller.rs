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
    /// What the token allows, as its claim says.
    scopes: String,
}

impl Caller {
    /// Whether the token has a scope. Whether a route may be asked at all, the
    /// gateway has checked; this is for what is shown there.
    pub fn has_scope(&self, scope: &str) -> bool {
        // A claim that is a list reaches us as "[a b]".
        let scopes = self.scopes.split([' ', ',', '[', ']', '"']);
        scopes.into_iter().any(|found| found == scope)
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<RequestContext>()
            .and_then(|context| {
                Some(Self {
                    name: named(context)?,
                    scopes: scopes(context).unwrap_or_default(),
                })
            })
            .ok_or_else(|| Problem::new(Kind::Forbidden, "this needs a token"))
    }
}

/// Where a request comes from, as the gateway saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin(pub Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
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

/// Where the gateway looks for scopes itself.
fn scopes(context: &RequestContext) -> Option<String> {
    let RequestContext::ApiGatewayV2(context) = context else {
        return None;
    };
    let claims = &context.authorizer.as_ref()?.jwt.as_ref()?.claims;
    let found = ["scope", "scp"].into_iter();
    found.filter_map(|claim| claims.get(claim)).next().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_in_any_shape_that_the_gateway_has() {
        for scopes in [
            "a/read profiles/read",
            "[profiles/read a/read]",
            "[\"profiles/read\"]",
        ] {
            let caller = Caller {
                name: "machine".to_owned(),
                scopes: scopes.to_owned(),
            };
            assert!(caller.has_scope("profiles/read"), "{scopes}");
            assert!(!caller.has_scope("profiles"), "{scopes}");
            assert!(!caller.has_scope("read"), "{scopes}");
        }
    }
}
