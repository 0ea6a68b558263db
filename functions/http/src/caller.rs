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
    /// The subject of the token: the person, or the client of a machine's token.
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
    // Cognito's access tokens have both. A person's `client_id` is the application
    // they signed in with, which all people share; a machine's equals its `sub`.
    ["sub", "client_id"]
        .into_iter()
        .filter_map(|claim| claims.get(claim))
        .find(|name| !name.is_empty())
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
    use axum::http::Request;
    use serde_json::{Value, json};

    /// The caller of a request with these claims, as API Gateway passes them on:
    /// every claim is a text.
    async fn caller(claims: Value) -> Option<String> {
        let context = json!({
            "accountId": "123456789012",
            "apiId": "a",
            "authorizer": { "jwt": { "claims": claims, "scopes": null } },
            "domainName": "a.execute-api.eu-central-1.amazonaws.com",
            "http": { "method": "GET", "path": "/profiles", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test" },
            "requestId": "request-1",
            "routeKey": "GET /profiles",
            "stage": "$default",
            "time": "27/Nov/2026:08:00:00 +0000",
            "timeEpoch": 1_795_766_400_000_i64,
        });
        let context = serde_json::from_value(context).unwrap();
        let request = Request::builder().extension(RequestContext::ApiGatewayV2(context));
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        Caller::from_request_parts(&mut parts, &())
            .await
            .ok()
            .map(|caller| caller.name)
    }

    #[tokio::test]
    async fn people_of_one_client_are_told_apart() {
        let person = |sub: &str| {
            json!({
                "auth_time": "1795766400",
                "client_id": "7lhb4example0console",
                "exp": "1795770000",
                "iat": "1795766400",
                "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Example",
                "jti": "5d0f2b6e-7c1f-4c7e-9d0a-000000000001",
                "origin_jti": "5d0f2b6e-7c1f-4c7e-9d0a-000000000002",
                "scope": "openid profiles/read profiles/write",
                "sub": sub,
                "token_use": "access",
                "username": sub,
                "version": "2",
            })
        };
        let ada = "a3e4c8d2-0051-70aa-1b2c-000000000001";
        let grace = "b3e4c8d2-0051-70aa-1b2c-000000000002";
        assert_eq!(caller(person(ada)).await.as_deref(), Some(ada));
        assert_eq!(caller(person(grace)).await.as_deref(), Some(grace));
    }

    #[tokio::test]
    async fn a_machine_is_its_client() {
        let machine = json!({
            "auth_time": "1795766400",
            "client_id": "2jf9example0machine",
            "exp": "1795770000",
            "iat": "1795766400",
            "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Example",
            "jti": "5d0f2b6e-7c1f-4c7e-9d0a-000000000003",
            "scope": "profiles/read",
            "sub": "2jf9example0machine",
            "token_use": "access",
            "version": "2",
        });
        assert_eq!(
            caller(machine).await.as_deref(),
            Some("2jf9example0machine")
        );
        // An issuer whose machine tokens have no subject.
        let other = json!({ "client_id": "backend", "scope": "profiles/read" });
        assert_eq!(caller(other).await.as_deref(), Some("backend"));
    }

    #[tokio::test]
    async fn a_token_that_names_no_caller_is_refused() {
        assert_eq!(caller(json!({ "scope": "profiles/read" })).await, None);
        let empty = json!({ "sub": "", "client_id": "" });
        assert_eq!(caller(empty).await, None);
    }

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
