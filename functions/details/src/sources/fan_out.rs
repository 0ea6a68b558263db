//! All sources at once.
//!
//! Each has its own time, and all of them one deadline, which holds whatever they do:
//! who is not done by then is cancelled, and its connection closed.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::Uri;
use muster_core::people::source_cache::CachedItem;
use muster_core::platform::hex::hex;
use muster_core::platform::time::{Clock, Time};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};

use crate::config::document::Source;
use crate::config::reload::Sources;
use crate::config::url_template::Person;
use crate::sources::circuit_breaker::Breakers;
use crate::sources::fetch::{Found, Question, ask};
use crate::sources::single_flight::Flights;
use crate::sources::source_error::Trouble;
use crate::sources::transport::Transport;

/// What came of a source.
#[derive(Debug)]
pub struct Sighting {
    /// Which.
    pub source: Arc<Source>,
    /// What it says, or why it does not.
    pub outcome: Outcome,
    /// How long that took.
    pub latency: Duration,
    /// What becomes of what was kept of it.
    pub change: Option<Change>,
}

/// What becomes of what was kept of a source.
#[derive(Debug)]
pub enum Change {
    /// This is kept in its place.
    Keep(CachedItem),
    /// The source of that name has nothing on the person any more.
    Forget(String),
}

/// What a source says, or why it does not.
#[derive(Clone, PartialEq)]
pub enum Outcome {
    /// What it says now, or said not too long ago.
    Known {
        /// That.
        data: Arc<Value>,
        /// How long ago.
        age: Duration,
    },
    /// What it said before, as there is nothing newer.
    Stale {
        /// That.
        data: Arc<Value>,
        /// How long ago.
        age: Duration,
        /// Why there is nothing newer.
        trouble: Trouble,
    },
    /// Nothing.
    Failed(Trouble),
}

/// Personal data: in a log, how old it is, and what went wrong.
impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known { age, .. } => write!(f, "Known({age:?})"),
            Self::Stale { age, trouble, .. } => write!(f, "Stale({age:?}, {trouble:?})"),
            Self::Failed(trouble) => write!(f, "Failed({trouble:?})"),
        }
    }
}

impl Outcome {
    /// What is known.
    pub fn data(&self) -> Option<&Value> {
        match self {
            Self::Known { data, .. } | Self::Stale { data, .. } => Some(data),
            Self::Failed(_) => None,
        }
    }

    /// Why there is nothing, or nothing new.
    pub const fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Stale { trouble, .. } | Self::Failed(trouble) => Some(trouble),
            Self::Known { .. } => None,
        }
    }
}

impl Sighting {
    /// For operators: a source failed. That a profile has nothing to ask with is no
    /// failure of its, nor that it does not know a person, unless it must.
    fn complain(&self) {
        let is_failure = |trouble: &&Trouble| match trouble {
            Trouble::NotExpanded(_) => false,
            trouble => self.source.required || !trouble.is_gone(),
        };
        if let Some(trouble) = self.outcome.trouble().filter(is_failure) {
            let (source, code, cause) = (&*self.source.name, trouble.code(), trouble.cause());
            tracing::warn!(
                metric = "source_failed",
                source,
                code,
                cause,
                "a source fails: {trouble}"
            );
        }
    }
}

/// Asks sources.
pub struct Gatherer {
    transport: Transport,
    breakers: Arc<Breakers>,
    flights: Flights<Result<Found, Trouble>>,
    clock: Clock,
}

/// What was kept of a source, understood.
struct Before {
    data: Arc<Value>,
    age: Duration,
    etag: Option<String>,
}

impl Gatherer {
    /// A gatherer that goes that way.
    pub fn new(transport: Transport, clock: Clock) -> Self {
        Self {
            transport,
            breakers: Arc::new(Breakers::new(clock.clone())),
            flights: Flights::default(),
            clock,
        }
    }

    /// Asks these sources about a person, all at once; a document has no more of them
    /// than may be asked at once.
    pub async fn gather(
        &self,
        sources: &Sources,
        asked: &[Arc<Source>],
        person: &Person<'_>,
        cached: &HashMap<String, CachedItem>,
        deadline: Instant,
    ) -> Vec<Sighting> {
        let sightings = asked.iter().map(async |source| {
            let before = cached.get(&source.name);
            let sighting = self.look(sources, source, person, before, deadline).await;
            sighting.complain();
            sighting
        });
        join_all(sightings).await
    }

    async fn look(
        &self,
        sources: &Sources,
        source: &Arc<Source>,
        person: &Person<'_>,
        cached: Option<&CachedItem>,
        deadline: Instant,
    ) -> Sighting {
        let began = Instant::now();
        let sighting = |outcome, change| Sighting {
            source: source.clone(),
            outcome,
            latency: began.elapsed(),
            change,
        };
        let person = &Person {
            is_unconfirmed: person.is_unconfirmed && !source.unconfirmed_attributes,
            ..*person
        };
        let uri = match source.url.expand(person) {
            Ok(uri) => uri,
            Err(reason) => return sighting(Outcome::Failed(reason.into()), None),
        };
        let fingerprint = fingerprint(&uri, source);
        let now = self.clock.now();
        let before = cached
            .filter(|cached| cached.fingerprint == fingerprint)
            .and_then(|cached| Before::of(cached, now));
        if let Some(before) = before.as_ref().filter(|before| before.age < source.cache) {
            return sighting(before.known(), None);
        }
        let question = sources.headers(source).map(|headers| Question {
            source: source.clone(),
            uri,
            headers,
            etag: before.as_ref().and_then(|before| before.etag.clone()),
        });
        let found = match question {
            Ok(question) => self.ask(question, person, &fingerprint, deadline).await,
            Err(missing) => Err(missing.into()),
        };
        let (data, etag) = match (found, before) {
            (Ok(Found::Data { data, etag }), _) => (data, etag),
            (Ok(Found::NotModified), Some(before)) => (before.data, before.etag),
            (Ok(Found::NotModified), None) => {
                let trouble = Trouble::BrokenOff("not modified, and nobody asked".to_owned());
                return sighting(Outcome::Failed(trouble), None);
            }
            (Err(trouble), before) => {
                let gone = cached.filter(|_| trouble.is_gone());
                let change = gone.map(|cached| Change::Forget(cached.source.clone()));
                return sighting(settled(source, trouble, before), change);
            }
        };
        let keep = kept(source, fingerprint, &data, etag, self.clock.now());
        // What it said before is not true any more.
        let forget = || cached.map(|cached| Change::Forget(cached.source.clone()));
        let change = keep.map(Change::Keep).or_else(forget);
        let age = Duration::ZERO;
        sighting(Outcome::Known { data, age }, change)
    }

    /// Asks, unless the source is to be left alone, and remembers how it went: once,
    /// however many wait for it. Whoever asks the same meanwhile waits for the same
    /// answer, and so no longer than whoever asked first.
    async fn ask(
        &self,
        question: Question,
        person: &Person<'_>,
        fingerprint: &str,
        deadline: Instant,
    ) -> Result<Found, Trouble> {
        let name = &question.source.name;
        // A source that has moved by what the document says has not failed there yet.
        let circuit = format!("{name} {:?}", question.uri.authority());
        // "Not modified" is no answer to who has another version, or none.
        let key = format!("{} {name} {fingerprint} {:?}", person.id, question.etag);
        let flight = self.flights.join(&key, || {
            let (transport, clock) = (self.transport.clone(), self.clock.clone());
            let breakers = self.breakers.clone();
            Box::pin(async move {
                // If its time went elsewhere it is not blamed, nor asked in vain.
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(Trouble::Timeout);
                }
                let permit = breakers.permit(&circuit);
                permit.map_err(|open| Trouble::OpenCircuit { until: open.until })?;
                let found = timeout_at(deadline, ask(&transport, &question, &clock)).await;
                let found = found.unwrap_or(Err(Trouble::Timeout));
                let trouble = found.as_ref().err();
                let was_cut_short = left < question.source.timeout / 2;
                if !(was_cut_short && trouble == Some(&Trouble::Timeout)) {
                    breakers.learn(&circuit, trouble);
                }
                found
            })
        });
        let found = timeout_at(deadline, flight).await;
        found.unwrap_or(Err(Trouble::Timeout))
    }
}

/// What stands for a question: an answer to another one is no answer to this one, say
/// since the person has another address, or a header names another tenant.
fn fingerprint(uri: &Uri, source: &Source) -> String {
    let headers = source.headers.iter();
    let headers: Vec<_> = headers
        .map(|(name, value)| json!([name.as_str(), value.as_written()]))
        .collect();
    let question = json!([uri.to_string(), source.keep, headers]);
    hex(&Sha256::digest(question.to_string()))
}

impl Before {
    fn of(cached: &CachedItem, now: Time) -> Option<Self> {
        let age = now.as_millis() - cached.fetched_at.as_millis();
        Some(Self {
            data: Arc::new(serde_json::from_str(&cached.data).ok()?),
            age: Duration::from_millis(u64::try_from(age).unwrap_or(0)),
            etag: cached.etag.clone(),
        })
    }

    fn known(&self) -> Outcome {
        Outcome::Known {
            data: self.data.clone(),
            age: self.age,
        }
    }
}

/// What there is if there is nothing new: what the source said before, if that may
/// serve.
fn settled(source: &Source, trouble: Trouble, before: Option<Before>) -> Outcome {
    let may_serve = |before: &Before| before.age < source.useful_for() && !trouble.is_an_answer();
    match before.filter(may_serve) {
        Some(Before { data, age, .. }) => Outcome::Stale { data, age, trouble },
        None => Outcome::Failed(trouble),
    }
}

/// What is kept, if anything may be. JSON may grow by being read and written, as `1e15`
/// does: what has by then more than the source may say is not kept, so that all there
/// is has room in one transaction.
fn kept(
    source: &Source,
    fingerprint: String,
    data: &Value,
    etag: Option<String>,
    now: Time,
) -> Option<CachedItem> {
    if source.useful_for().is_zero() {
        return None;
    }
    let data = data.to_string();
    (data.len() <= source.max_bytes).then(|| CachedItem {
        source: source.name.clone(),
        fingerprint,
        data,
        etag,
        fetched_at: now,
        expires_at: now.after(source.useful_for()).as_seconds(),
    })
}
