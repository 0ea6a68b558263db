//! The sources as they are now: the document, and the secrets that it names.
//!
//! | the newest is | a request |
//! | --- | --- |
//! | less than a minute old | takes it |
//! | less than two | takes it, and reads the next one beside its sources |
//! | older, as nobody asked for a while | reads the next one first |
//!
//! So a source is added, mended or taken away by writing the document: nothing is
//! deployed. A document that cannot be used changes nothing, and is looked at again a
//! minute later; the secrets of the last one that could be are read all the same. A
//! reading that takes longer than a request goes on beside the next.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, join_all};
use http::HeaderMap;
use muster_core::platform::aws::SdkConfig;
use muster_core::platform::failure::Failure;
use muster_core::platform::time::{Clock, Time};
use tokio::time::timeout;

use crate::config::document::{Document, InvalidDocument, Source};
use crate::config::secrets::{MissingSecret, Secrets};
use crate::sources::addresses::Over;

/// How old the document may be until it is read again.
const READ_EVERY: Duration = Duration::from_secs(60);
/// How soon it is tried again as long as there is none.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// How much of the ten seconds that Lambda gives to a start the first reading may have.
/// What it lacks by then, the first request waits for.
const TIME_TO_START: Duration = Duration::from_secs(5);
/// How old it may be to be used meanwhile.
const GOOD_FOR: Duration = Duration::from_secs(120);

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
    /// The headers of each source.
    headers: HashMap<String, Result<HeaderMap, MissingSecret>>,
}

/// There is no document to be had.
#[derive(Debug, thiserror::Error)]
enum NotRead {
    #[error("the document of the sources cannot be read: {0}")]
    Failed(#[from] Failure),
    #[error("the document of the sources cannot be read: {0}")]
    File(#[from] std::io::Error),
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

/// The newest sources.
pub struct Config(Arc<Inner>);

struct Inner {
    reader: Reader,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    newest: Option<Arc<Sources>>,
    read_at: Option<Time>,
    tried_at: Option<Time>,
    reading: Option<Shared<BoxFuture<'static, ()>>>,
}

impl NotRead {
    /// For operators. What may be over by the next time is no alarm yet.
    fn complain(&self) {
        match self {
            Self::Failed(failure) if failure.is_transient() => {
                tracing::warn!(error = %self, "the sources stay as they were");
            }
            _ => tracing::error!(
                metric = "sources_unusable",
                error = %self,
                "the sources stay as they were"
            ),
        }
    }
}

impl Sources {
    /// The headers for a source.
    ///
    /// # Errors
    /// The header whose secret is not to be had.
    pub fn headers(&self, source: &Source) -> Result<HeaderMap, MissingSecret> {
        let headers = self.headers.get(&source.name).cloned();
        headers.unwrap_or_else(|| Ok(HeaderMap::new()))
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

    /// The same, with the headers that a source had where its secrets cannot be read at
    /// the moment. (One that was taken away is gone.)
    fn or_as_before(mut self, before: &Self) -> Self {
        for source in &self.document.sources {
            let same =
                |was: &&Arc<Source>| was.name == source.name && was.headers == source.headers;
            let Some(was) = before.document.sources.iter().find(same) else {
                continue;
            };
            let is_away = |missing: MissingSecret| missing.is_transient;
            if self.headers(source).is_err_and(is_away)
                && let Ok(headers) = before.headers(was)
            {
                self.headers.insert(source.name.clone(), Ok(headers));
            }
        }
        self
    }

    fn complain(&self) {
        for (source, headers) in &self.headers {
            if let Err(missing) = headers {
                let MissingSecret { header, cause, .. } = missing;
                tracing::error!(metric = "sources_unusable", source, %header, cause, "a secret cannot be read");
            }
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

    async fn document(&self) -> Result<Document, NotRead> {
        let text = match &self.place {
            Place::Nowhere => return Ok(Document::default()),
            Place::Parameter(name) => self.parameter(name).await?,
            Place::File(path) => std::fs::read_to_string(path)?,
        };
        Ok(Document::parse(&text, self.over)?)
    }

    async fn parameter(&self, name: &str) -> Result<String, Failure> {
        let asked = self.ssm.get_parameter().name(name).with_decryption(true);
        let output = asked.send().await;
        let output = output.map_err(|error| Failure::of("GetParameter", error))?;
        let value = output.parameter.and_then(|parameter| parameter.value);
        value.ok_or_else(|| Failure::unreadable("GetParameter", "it has no value"))
    }
}

impl Config {
    /// Reads the sources for the first time.
    pub async fn read(reader: Reader, clock: Clock) -> Self {
        let config = Self(Arc::new(Inner {
            reader,
            clock,
            state: Mutex::default(),
        }));
        if timeout(TIME_TO_START, config.refresh()).await.is_err() {
            tracing::warn!("there are no sources yet: reading them takes long");
        }
        config
    }

    /// The sources; nothing if there was no document yet that could be used. Whoever
    /// has to wait for them does so for half of the time that a request has.
    pub async fn sources(&self) -> Option<Arc<Sources>> {
        let newest = self.0.state().newest.clone();
        if self.0.is_too_old() {
            let patience = newest.as_ref().map_or_else(
                || Document::default().deadline,
                |sources| sources.document.deadline,
            );
            let read = timeout(patience / 2, self.refresh()).await;
            if read.is_err() {
                tracing::warn!("the sources are as they were: reading them takes long");
            }
        }
        self.0.state().newest.clone()
    }

    /// Reads them again, if it is time. What another request left under way is finished
    /// first, and may be so old that it is time all the same.
    pub async fn refresh(&self) {
        while let Some(reading) = self.0.clone().reading() {
            reading.await;
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_too_old(&self) -> bool {
        let good_until = self.state().read_at.map(|time| time.after(GOOD_FOR));
        good_until.is_none_or(|time| time <= self.clock.now())
    }

    /// What is under way, or begins as it is time.
    fn reading(self: Arc<Self>) -> Option<Shared<BoxFuture<'static, ()>>> {
        let now = self.clock.now();
        let mut state = self.state();
        let every = state.newest.as_ref().map_or(TRY_EVERY, |_| READ_EVERY);
        let next = state.tried_at.map(|time| time.after(every));
        if state.reading.is_none() && next.is_none_or(|time| time <= now) {
            state.tried_at = Some(now);
            state.reading = Some(self.clone().read(now).boxed().shared());
        }
        state.reading.clone()
    }

    async fn read(self: Arc<Self>, now: Time) {
        let before = self.state().newest.clone();
        let read = self.reader.document().await;
        let read_at = read.is_ok().then_some(now);
        let document = read.map_err(|error| error.complain());
        let document = document
            .ok()
            .or_else(|| Some(before.as_ref()?.document.clone()));
        let newest = match document {
            Some(document) => Some(self.with_secrets(document, before).await),
            None => None,
        };
        let mut state = self.state();
        state.newest = newest;
        state.read_at = read_at.or(state.read_at);
        state.reading = None;
    }

    async fn with_secrets(&self, document: Document, before: Option<Arc<Sources>>) -> Arc<Sources> {
        let sources = Sources::with_secrets(document, &self.reader.secrets).await;
        let sources = sources.or_as_before(&before.unwrap_or_default());
        sources.complain();
        Arc::new(sources)
    }
}
