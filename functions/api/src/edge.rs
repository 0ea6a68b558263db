//! CloudFront, or something like it, in front of the API: the only way to a web
//! application firewall, as HTTP APIs take none.
//!
//! What stands in front shows a secret with each request, and says from which network
//! address the viewer asks; without it, all people would share the limit of the edge
//! that they come by. A request without the secret has gone round the firewall, and is
//! refused unless the gateway has accepted an operator's token.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::problems::went_round;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use muster_core::platform::failure::Failure;
use muster_http::caller::{Origin, has_token};
use muster_http::problem::Problem;
use muster_http::secrets::{AGE_IN_DOUBT, KeptSecret, USUAL_AGE};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The header in which the edge shows its secret.
pub(crate) const SECRET_HEADER: HeaderName = HeaderName::from_static("x-origin-secret");
/// The one header that is known to have a port behind the address.
const CLOUDFRONT_VIEWER_ADDRESS: &str = "cloudfront-viewer-address";
/// A shorter secret could be guessed.
const SHORTEST_SECRET: usize = 32;

/// What stands in front.
#[derive(Clone)]
pub struct EdgeSettings {
    /// `MUSTER_VIEWER_ADDRESS_HEADER`: where it says from which address the viewer asks.
    pub address_header: HeaderName,
    /// `MUSTER_ORIGIN_SECRET_NAME`: the name of its secret in Secrets Manager.
    pub secret_name: String,
}

/// Knows the edge by its secret.
pub struct Edge {
    address_header: HeaderName,
    secret: KeptSecret,
}

impl Edge {
    /// An edge with that header and that secret.
    pub const fn new(address_header: HeaderName, secret: KeptSecret) -> Self {
        Self {
            address_header,
            secret,
        }
    }

    async fn admit(&self, request: &mut Request) -> Result<(), Problem> {
        if has_token(request.extensions()) {
            return Ok(());
        }
        if self.is_from_edge(request.headers()).await? {
            match self.viewer(request.headers()) {
                Some(address) => {
                    request.extensions_mut().insert(Origin(Some(address)));
                }
                None => tracing::error!(
                    header = %self.address_header,
                    "the edge does not say from which address the viewer asks"
                ),
            }
            return Ok(());
        }
        Err(went_round())
    }

    async fn is_from_edge(&self, headers: &HeaderMap) -> Result<bool, Failure> {
        let Some(shown) = headers.get(SECRET_HEADER) else {
            return Ok(false);
        };
        let known = self.secret.text(USUAL_AGE).await?;
        if is_one_of(&known, shown.as_bytes())? {
            return Ok(true);
        }
        // It may have been changed a moment ago.
        let known = self.secret.text(AGE_IN_DOUBT).await?;
        is_one_of(&known, shown.as_bytes())
    }

    /// The viewer's address, if the header is there once and holds one.
    fn viewer(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let mut values = headers.get_all(&self.address_header).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let text = value.to_str().ok()?.trim();
        if self.address_header == CLOUDFRONT_VIEWER_ADDRESS {
            return without_port(text);
        }
        let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
        text.parse().ok().or_else(with_port)
    }
}

/// Lets a request pass that comes by the edge, or has a token; with the viewer's
/// address as its origin.
pub(crate) async fn only_by_edge(
    State(edge): State<Arc<Edge>>,
    mut request: Request,
    next: Next,
) -> Response {
    match edge.admit(&mut request).await {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Whether a text is one of the secrets that stand in a secret with white space between:
/// while it is changed, the old one and the new one.
fn is_one_of(known: &str, shown: &[u8]) -> Result<bool, Failure> {
    let shown = Sha256::digest(shown);
    let mut found = false;
    for secret in known.split_whitespace() {
        if secret.len() < SHORTEST_SECRET {
            let detail = format!("the origin secret has less than {SHORTEST_SECRET} characters");
            return Err(Failure::unreadable("GetSecretValue", detail));
        }
        let known = Sha256::digest(secret);
        found |= bool::from(known.as_slice().ct_eq(shown.as_slice()));
    }
    Ok(found)
}

/// `198.51.100.10:46532`, and as well of version 6, with or without brackets.
fn without_port(text: &str) -> Option<IpAddr> {
    let (address, port) = text.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    let address = address.strip_prefix('[').unwrap_or(address);
    address.strip_suffix(']').unwrap_or(address).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewers_address_has_a_port_behind_it() {
        for (text, address) in [
            ("198.51.100.10:46532", Some("198.51.100.10")),
            ("2001:db8::1:443", Some("2001:db8::1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("2001:db8:1:2:3:4:5:6:46532", Some("2001:db8:1:2:3:4:5:6")),
            ("198.51.100.10", None),
            ("198.51.100.10:", None),
            ("198.51.100.10:x", None),
            ("198.51.100.10:1, 198.51.100.11:2", None),
            ("", None),
        ] {
            let expected = address.map(|text| text.parse().unwrap());
            assert_eq!(without_port(text), expected, "{text}");
        }
    }

    #[test]
    fn a_secret_is_whole_and_long() {
        let (old, new) = ("o".repeat(32), "n".repeat(40));
        let both = format!("{new}\n{old}\n");
        for known in [&old, &new] {
            assert!(is_one_of(&both, known.as_bytes()).unwrap());
        }
        for other in ["", "o", &both, &"o".repeat(33), &"x".repeat(32)] {
            assert!(!is_one_of(&both, other.as_bytes()).unwrap(), "{other}");
        }
        assert!(is_one_of("short", b"short").is_err());
        assert!(!is_one_of(" \n", b"").unwrap());
    }
}
