//! The headers that a source wants, secrets among them.

use http::{HeaderMap, HeaderName, HeaderValue};
use muster_core::aws::SdkConfig;
use muster_core::failure::Failure;

use crate::document::{HeaderSource, Source};

/// Reads secrets.
pub struct Secrets(aws_sdk_secretsmanager::Client);

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
        Self(aws_sdk_secretsmanager::Client::new(config))
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
        const OPERATION: &str = "GetSecretValue";
        let output = self.0.get_secret_value().secret_id(secret).send().await;
        let output = output.map_err(|error| Failure::of(OPERATION, error))?;
        let text = output.secret_string.unwrap_or_default();
        let text = match key {
            Some(key) => member(&text, key)
                .ok_or_else(|| Failure::unreadable(OPERATION, "it has no such key"))?,
            None => text,
        };
        if text.is_empty() {
            return Err(Failure::unreadable(OPERATION, "it is empty, or no text"));
        }
        let mut value = HeaderValue::from_str(&format!("{prefix}{text}"))
            .map_err(|_| Failure::unreadable(OPERATION, "it is no value of a header"))?;
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

/// A text in a JSON object. Some editors begin it with a byte order mark.
fn member(text: &str, key: &str) -> Option<String> {
    let text = text.trim_start_matches('\u{feff}');
    let whole: serde_json::Value = serde_json::from_str(text).ok()?;
    whole.get(key)?.as_str().map(str::to_owned)
}
