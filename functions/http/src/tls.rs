//! TLS with built-in roots, for requests that do not go to AWS.

use std::sync::Arc;

use rustls::{ClientConfig, Error, RootCertStore};

/// A client's configuration: the roots of Mozilla, no certificate of our own.
///
/// # Errors
/// None that a caller can cause.
pub fn client_config() -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
