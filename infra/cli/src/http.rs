//! The way to the API and to what is beside it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::trouble::{OrTrouble, Trouble};

/// The gateway answers within 30 s, or says that it does not.
const TIMEOUT: Duration = Duration::from_secs(35);

/// An HTTP client for that address. It trusts whom the machine trusts.
///
/// # Errors
/// When the machine's certificates cannot be read.
pub fn client(url: &str) -> Result<reqwest::Client, Trouble> {
    build(builder(url).timeout(TIMEOUT))
}

/// An HTTP client for a file of any length: it may take hours. That nobody is
/// there any more TCP notices.
///
/// # Errors
/// As [`client`].
pub fn transfer(url: &str) -> Result<reqwest::Client, Trouble> {
    build(builder(url).connect_timeout(TIMEOUT))
}

#[expect(clippy::disallowed_methods, reason = "the one place that makes one")]
fn builder(url: &str) -> reqwest::ClientBuilder {
    // Fails if somebody has done so already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder();
    match local_host(url) {
        // `*.localhost` is this machine (RFC 6761), but glibc does not know.
        Some((host, port)) => http.resolve(host, SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        None => http,
    }
}

fn build(http: reqwest::ClientBuilder) -> Result<reqwest::Client, Trouble> {
    http.build().or_trouble(
        "the HTTP client cannot be made",
        "Check that this machine has its certificate authorities (ca-certificates).",
    )
}

/// Host and port of an address under `localhost`.
fn local_host(url: &str) -> Option<(&str, u16)> {
    let authority = url.strip_prefix("http://")?.split('/').next()?;
    let (host, port) = authority.split_once(':')?;
    let port = port.parse().ok()?;
    host.ends_with(".localhost").then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_under_localhost_are_resolved_by_us() {
        assert_eq!(
            local_host("http://a.execute-api.localhost:4566"),
            Some(("a.execute-api.localhost", 4566))
        );
        assert_eq!(local_host("http://127.0.0.1:4566/x"), None);
        assert_eq!(local_host("https://a.example.com"), None);
    }
}
