//! The sources as they are now: the document, and the secrets that it names.
//!
//! It is read at start and again every minute, so that a source is added, mended or
//! taken away by writing the document: nothing is deployed. That is done beside a
//! request, and has no more time than the sources. A document that cannot be used
//! changes nothing, and a secret that cannot be read any more stays what it was.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue};
use muster_core::aws::SdkConfig;
use muster_core::failure::Failure;
use muster_core::time::{Clock, Time};

use crate::document::{Document, HeaderSource, InvalidDocument, Over, Source};

/// How old the document may be.
const READ_EVERY: Duration = Duration::from_secs(60);

/// Where the document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: there are no sources.
    Nowhere,
    /// In that parameter of SSM Parameter Store.
    Parameter(String),
    /// In that file.
    File(PathBuf),
}

/// The document and its secrets.
#[derive(Debug, Default)]
pub struct Sources {
    /// What the document says.
    pub document: Document,
    /// The headers of each source, or the name of the one whose secret is not to
    /// be had.
    headers: HashMap<String, Result<HeaderMap, String>>,
}

/// There are no sources to be had.
#[derive(Debug, thiserror::Error)]
pub enum NotRead {
    /// The document is not there.
    #[error("the document of the sources cannot be read: {0}")]
    Failed(#[from] Failure),
    /// The file is not there.
    #[error("the document of the sources cannot be read: {0}")]
    File(#[from] std::io::Error),
    /// It breaks rules.
    #[error("the document of the sources cannot be used: {0}")]
    Invalid(#[from] InvalidDocument),
}

/// Reads the sources.
pub struct Reader {
    place: Place,
    over: Over,
    ssm: aws_sdk_ssm::Client,
    secrets: Secrets,
}

/// Reads secrets.
pub struct Secrets(aws_sdk_secretsmanager::Client);

/// The newest sources.
pub struct Config {
    reader: Reader,
    clock: Clock,
    newest: Mutex<(Time, Arc<Sources>)>,
}

impl Sources {
    /// The headers for a source.
    ///
    /// # Errors
    /// The name of the header whose secret is not to be had.
    pub fn headers(&self, source: &Source) -> Result<HeaderMap, String> {
        let headers = self.headers.get(&source.name).cloned();
        headers.unwrap_or_else(|| Ok(HeaderMap::new()))
    }

    /// The same, with the headers that a source had where its secrets cannot be read now.
    fn or_as_before(mut self, before: &Self) -> Self {
        for source in &self.document.sources {
            let same =
                |was: &&Arc<Source>| was.name == source.name && was.headers == source.headers;
            let Some(was) = before.document.sources.iter().find(same) else {
                continue;
            };
            if let (Err(_), Ok(headers)) = (self.headers(source), before.headers(was)) {
                self.headers.insert(source.name.clone(), Ok(headers));
            }
        }
        self
    }

    /// Reads the secrets that a document names. One that is missing is the trouble of
    /// its source alone.
    pub async fn with_secrets(document: Document, secrets: &Secrets) -> Self {
        let headers = document.sources.iter().map(async |source| {
            let headers = secrets.headers(source).await;
            (source.name.clone(), headers)
        });
        Self {
            headers: join_all(headers).await.into_iter().collect(),
            document,
        }
    }
}

impl Reader {
    /// A reader of that place.
    pub fn new(place: Place, over: Over, config: &SdkConfig) -> Self {
        Self {
            place,
            over,
            ssm: aws_sdk_ssm::Client::new(config),
            secrets: Secrets::new(config),
        }
    }

    /// Reads document and secrets.
    ///
    /// # Errors
    /// When there is no document, or it cannot be used.
    pub async fn read(&self) -> Result<Sources, NotRead> {
        let text = match &self.place {
            Place::Nowhere => return Ok(Sources::default()),
            Place::Parameter(name) => self.parameter(name).await?,
            Place::File(path) => std::fs::read_to_string(path)?,
        };
        let document = Document::parse(&text, self.over)?;
        Ok(Sources::with_secrets(document, &self.secrets).await)
    }

    async fn parameter(&self, name: &str) -> Result<String, Failure> {
        let asked = self.ssm.get_parameter().name(name).with_decryption(true);
        let output = asked.send().await;
        let output = output.map_err(|error| Failure::of("GetParameter", error))?;
        let value = output.parameter.and_then(|parameter| parameter.value);
        value.ok_or_else(|| Failure::unreadable("GetParameter", "it has no value"))
    }
}

impl Secrets {
    /// Secrets through that configuration.
    pub fn new(config: &SdkConfig) -> Self {
        Self(aws_sdk_secretsmanager::Client::new(config))
    }

    async fn headers(&self, source: &Source) -> Result<HeaderMap, String> {
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
                    value.map_err(|failure| {
                        tracing::error!(source = source.name, header = %name, secret, %failure, "a secret cannot be read");
                        name.to_string()
                    })?
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
                .ok_or_else(|| Failure::unreadable(OPERATION, "it has no such member"))?,
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

/// A text in a JSON object.
fn member(text: &str, key: &str) -> Option<String> {
    let whole: serde_json::Value = serde_json::from_str(text).ok()?;
    whole.get(key)?.as_str().map(str::to_owned)
}

impl Config {
    /// Reads the sources for the first time.
    ///
    /// # Errors
    /// When there is no document, or it cannot be used.
    pub async fn read(reader: Reader, clock: Clock) -> Result<Self, NotRead> {
        let sources = reader.read().await?;
        Ok(Self {
            newest: Mutex::new((clock.now(), Arc::new(sources))),
            reader,
            clock,
        })
    }

    /// The sources.
    pub fn sources(&self) -> Arc<Sources> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.1.clone()
    }

    /// Reads them again, if it is time. Whoever comes meanwhile takes what is there.
    pub async fn refresh(&self) {
        if !self.is_due() {
            return;
        }
        match self.reader.read().await {
            Ok(sources) => {
                let sources = Arc::new(sources.or_as_before(&self.sources()));
                let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
                newest.1 = sources;
            }
            Err(error) => tracing::error!(%error, "the sources stay as they were"),
        }
    }

    /// Whether it is time, and nobody else is at it.
    fn is_due(&self) -> bool {
        let now = self.clock.now();
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let due = newest.0.after(READ_EVERY) <= now;
        if due {
            newest.0 = now;
        }
        due
    }
}
