//! Secrets of Secrets Manager.

use std::sync::Arc;
use std::time::Duration;

use muster_core::platform::aws::SdkConfig;
use muster_core::platform::failure::Failure;
use muster_core::platform::time::{Clock, Time};
use tokio::sync::Mutex;

const OPERATION: &str = "GetSecretValue";

/// How old a kept secret may be where nothing says that it is wrong.
pub const USUAL_AGE: Duration = Duration::from_secs(5 * 60);
/// How old it may be where it does not fit. So a caller who guesses makes a process
/// read it once a minute, and no more often.
pub const AGE_IN_DOUBT: Duration = Duration::from_secs(60);

/// Reads secrets.
pub struct SecretStore(aws_sdk_secretsmanager::Client);

/// A secret that a process reads when it first needs it, and keeps.
pub struct KeptSecret {
    store: SecretStore,
    name: String,
    clock: Clock,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    text: Arc<str>,
    /// When it was read, or could not be read again.
    at: Time,
}

impl SecretStore {
    /// Secrets through that configuration.
    pub fn new(config: &SdkConfig) -> Self {
        Self(aws_sdk_secretsmanager::Client::new(config))
    }

    /// The text of a secret; with a key, the text under that key of a JSON object.
    ///
    /// # Errors
    /// When it cannot be read, has no such key, or is empty.
    pub async fn read(&self, name: &str, key: Option<&str>) -> Result<String, Failure> {
        let output = self.0.get_secret_value().secret_id(name).send().await;
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
        Ok(text)
    }
}

impl KeptSecret {
    /// The secret of that name.
    pub fn new(store: SecretStore, name: String, clock: Clock) -> Self {
        Self {
            store,
            name,
            clock,
            kept: Mutex::new(None),
        }
    }

    /// Its text, read at most `max_age` ago; an older one if it cannot be read again.
    ///
    /// # Errors
    /// When it cannot be read and never was.
    pub async fn text(&self, max_age: Duration) -> Result<Arc<str>, Failure> {
        let now = self.clock.now();
        let mut kept = self.kept.lock().await;
        if let Some(young) = kept.as_ref().filter(|kept| now < kept.at.after(max_age)) {
            return Ok(young.text.clone());
        }
        match (self.store.read(&self.name, None).await, kept.take()) {
            (Ok(text), _) => Ok(keep(&mut kept, text.into(), now)),
            (Err(error), Some(old)) => {
                tracing::warn!(%error, "a secret cannot be read again; the old one is used");
                Ok(keep(&mut kept, old.text, now))
            }
            (Err(error), None) => Err(error),
        }
    }
}

fn keep(kept: &mut Option<Kept>, text: Arc<str>, at: Time) -> Arc<str> {
    *kept = Some(Kept {
        text: text.clone(),
        at,
    });
    text
}

/// A text in a JSON object. Some editors begin it with a byte order mark.
fn member(text: &str, key: &str) -> Option<String> {
    let text = text.trim_start_matches('\u{feff}');
    let whole: serde_json::Value = serde_json::from_str(text).ok()?;
    whole.get(key)?.as_str().map(str::to_owned)
}
