//! The headers that a source wants, secrets among them.

use http::{HeaderMap, HeaderName, HeaderValue};
use muster_core::platform::aws::SdkConfig;
use muster_core::platform::failure::Failure;
use muster_http::secrets::SecretStore;

use crate::config::document::{HeaderSource, Source};

/// Reads secrets.
pub struct Secrets(SecretStore);

/// A header whose secret is not to be had. The cause is for operators: it may name
/// accounts and roles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the secret for its header {header} cannot be read")]
pub struct MissingSecret {
    /// Which header.
    pub header: HeaderName,
    /// Why.
    pub cause: String,
    /// Whether it may be there the next moment.
    pub is_transient: bool,
}

impl Secrets {
    /// Secrets through that configuration.
    pub fn new(config: &SdkConfig) -> Self {
        Self(SecretStore::new(config))
    }

    /// The headers that the document gives to a source.
    ///
    /// # Errors
    /// The header whose secret is not to be had.
    pub async fn headers(&self, source: &Source) -> Result<HeaderMap, MissingSecret> {
        let mut headers = HeaderMap::new();
        for (name, value) in &source.headers {
            let value = match value {
                HeaderSource::Literal(value) => value.clone(),
                HeaderSource::Secret {
                    secret,
                    key,
                    prefix,
                } => {
                    let value = self.header(secret, key.as_deref(), prefix).await;
                    value.map_err(|failure| MissingSecret::of(name, &failure))?
                }
            };
            headers.insert(name.clone(), value);
        }
        Ok(headers)
    }

    async fn header(
        &self,
        secret: &str,
        key: Option<&str>,
        prefix: &str,
    ) -> Result<HeaderValue, Failure> {
        let text = self.0.read(secret, key).await?;
        let mut value = HeaderValue::from_str(&format!("{prefix}{text}"))
            .map_err(|_| Failure::unreadable("GetSecretValue", "it is no value of a header"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl MissingSecret {
    fn of(header: &HeaderName, failure: &Failure) -> Self {
        Self {
            header: header.clone(),
            cause: failure.to_string(),
            is_transient: failure.is_transient(),
        }
    }
}
