//! `GET /profiles/{id}/details`: a person, and what all sources know of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::join;
use muster_core::ids::ProfileId;
use muster_core::violation::Violation;
use muster_http::caller::Caller;
use muster_http::openapi::refusals::{Always, InvalidParameters, WithoutToken};
use muster_http::path::Id;
use muster_http::problem::{Kind, Problem};
use muster_http::profile::ProfileView;
use muster_http::query::Parameters;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use crate::document::{Document, PROFILE, Source};
use crate::fetch::Trouble;
use crate::gather::{Outcome, Sighting};
use crate::merged::{Field, merged};
use crate::openapi::{InPath, NotFound, SourceFailed, SourceNames, SourceStatus};
use crate::router::Shared;
use crate::template::Person;

/// A person, and what sources know of them.
#[derive(Serialize, ToSchema)]
#[schema(as = Details, examples(example))]
pub struct DetailsView {
    #[schema(value_type = ProfileView)]
    profile: Value,
    /// What came of each source that was asked, by its name.
    sources: BTreeMap<String, SourceView>,
    /// What profile and sources say together: of each field the value of the most
    /// trusted that knows it.
    merged: BTreeMap<String, Field>,
}

/// What came of a source.
#[derive(Serialize, ToSchema)]
#[schema(as = SourceDetails)]
pub struct SourceView {
    #[schema(value_type = SourceStatus)]
    status: &'static str,
    /// How long it was waited for.
    latency_ms: u64,
    /// How long ago it said so, if it says anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    age_s: Option<u64>,
    /// What it says: the part of its answer that is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false)]
    data: Option<Value>,
    /// Why it says nothing, or nothing new.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = TroubleView, required = false)]
    problem: Option<TroubleView>,
}

/// Why a source says nothing, or nothing new.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SourceProblem)]
struct TroubleView {
    /// For programs: a code stays what it is.
    #[schema(examples("timeout"))]
    code: &'static str,
    /// In words.
    #[schema(examples("no answer in time"))]
    detail: String,
}

fn example() -> Value {
    json!({
        "profile": ProfileView::example(),
        "sources": {
            "billing": {
                "status": "timeout",
                "latency_ms": 800,
                "problem": { "code": "timeout", "detail": "no answer in time" },
            },
            "crm": { "status": "ok", "latency_ms": 41, "age_s": 0, "data": { "plan": "pro" } },
        },
        "merged": {
            "email": { "value": "ada@example.com", "source": "profile" },
            "plan": { "value": "pro", "source": "crm" },
        },
    })
}

/// `GET /profiles/{id}/details`
///
/// # Errors
/// 404 if there is no such profile, 502 if a source fails that must not.
#[utoipa::path(
    get,
    path = "/profiles/{id}/details",
    operation_id = "readDetails",
    tag = "profiles",
    summary = "Read a profile with its details",
    description = "Asks all sources at once, or those that are named, and answers when the \
        slowest one is done, or its time is up. That some of them say nothing is no error: \
        `sources` says of each how it went. Only if a source fails that the operators declared \
        as required, the answer is 502, and has the rest all the same.",
    security(("operator" = ["profiles/read"])),
    params(InPath, SourceNames),
    responses(
        (
            status = 200,
            description = "The person, and what the sources know.",
            body = DetailsView,
            headers((
                "Cache-Control" = String,
                description = "For how long all of it holds: as long as the part that holds shortest."
            )),
        ),
        Always,
        WithoutToken,
        (status = 404, response = NotFound),
        (status = 422, response = InvalidParameters),
        (status = 502, response = SourceFailed),
    ),
)]
pub async fn read(
    _: Caller,
    State(services): Shared,
    Id(id): Id<ProfileId>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let began = Instant::now();
    let sources = services.config.sources();
    let asked = asked(&sources.document, query.as_deref())?;
    let names = asked.iter().map(|source| source.name.as_str());
    let known = services.cache.read(id, names, services.clock.now()).await?;
    let known = known.ok_or_else(absent)?;
    let person = Person::from(&known.profile);
    let deadline = began + sources.document.deadline;
    let gathering = services
        .gatherer
        .gather(&sources, &asked, &person, &known.cached, deadline);
    // As it must not keep anybody waiting, it has no more time than the sources.
    let refresh = timeout_at(deadline, services.config.refresh());
    let (mut sightings, refreshed) = join(gathering, refresh).await;
    if refreshed.is_err() {
        tracing::warn!("the sources stay as they were: there is no time to read them");
    }
    let mut keep: Vec<_> = sightings
        .iter_mut()
        .filter_map(|sighting| sighting.keep.take())
        .collect();
    // Nothing outlives a sign-up that expires.
    let end = known.profile.expires_at.unwrap_or(i64::MAX);
    for item in &mut keep {
        item.expires_at = item.expires_at.min(end);
    }
    // Nor has this: what is not kept is asked for again.
    let keeping = services.cache.keep(id, &keep, services.clock.now());
    let _ = timeout_at(deadline, keeping).await;
    let left = end.saturating_sub(services.clock.now().as_seconds());
    let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
    let lifetime = lifetime(&sightings, left);
    answer(
        &sources.document,
        known.profile.into(),
        &sightings,
        lifetime,
    )
}

/// The sources that are named, or all.
fn asked(document: &Document, query: Option<&str>) -> Result<Vec<Arc<Source>>, Problem> {
    let mut parameters = Parameters::parse(query);
    let asked = parameters.optional("sources", |names| {
        let mut asked: Vec<Arc<Source>> = Vec::new();
        for name in names.split(',') {
            let source = document.sources.iter().find(|source| source.name == name);
            let source = source.ok_or_else(|| no_such_source(document))?;
            if !asked.iter().any(|asked| asked.name == name) {
                asked.push(source.clone());
            }
        }
        Ok(asked)
    });
    parameters.finish()?;
    Ok(asked.unwrap_or_else(|| document.sources.clone()))
}

fn no_such_source(document: &Document) -> Violation {
    let names: Vec<_> = document
        .sources
        .iter()
        .map(|source| &*source.name)
        .collect();
    let detail = match names.is_empty() {
        true => "there are no sources".to_owned(),
        false => format!("names with commas between, of {}", names.join(", ")),
    };
    Violation::new("unknown_source", detail)
}

/// There is no such profile.
pub fn absent() -> Problem {
    Problem::new(Kind::NotFound, "there is no profile with this id")
}

/// A source failed that must not.
pub fn source_failed(name: &str) -> Problem {
    let detail = format!("{name} is required, and says nothing; sources has the reason");
    Problem::new(Kind::BadGateway, detail)
}

fn answer(
    document: &Document,
    profile: ProfileView,
    sightings: &[Sighting],
    lifetime: HeaderValue,
) -> Result<Response, Problem> {
    let profile = serde_json::to_value(profile).map_err(|_| Problem::internal())?;
    let view = DetailsView {
        merged: merged(in_order(document, &profile, sightings)),
        sources: sightings
            .iter()
            .map(|sighting| (sighting.source.name.clone(), SourceView::of(sighting)))
            .collect(),
        profile,
    };
    let missing = sightings
        .iter()
        .find(|sighting| sighting.source.required && sighting.outcome.data().is_none());
    if let Some(missing) = missing {
        let problem = source_failed(&missing.source.name);
        return Ok(view.beside(problem)?.into_response());
    }
    let cache = [(header::CACHE_CONTROL, lifetime)];
    Ok((cache, Json(view)).into_response())
}

/// Who says something, the most trusted first.
fn in_order<'a>(
    document: &'a Document,
    profile: &'a Value,
    sightings: &'a [Sighting],
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    document.precedence.iter().filter_map(move |name| {
        let data = match name.as_str() {
            PROFILE => Some(profile),
            name => sightings
                .iter()
                .find(|sighting| sighting.source.name == name)
                .and_then(|sighting| sighting.outcome.data()),
        };
        Some((name.as_str(), data?))
    })
}

/// As long as what holds shortest, and no longer than the profile. What is stale or
/// failed may be there the next moment.
fn lifetime(sightings: &[Sighting], of_profile: Duration) -> HeaderValue {
    let left = sightings.iter().map(|sighting| match &sighting.outcome {
        Outcome::Known { age, .. } => sighting.source.cache.saturating_sub(*age),
        Outcome::Stale { .. } | Outcome::Failed(_) => Duration::ZERO,
    });
    let seconds = left.min().unwrap_or_default().min(of_profile).as_secs();
    match HeaderValue::from_str(&format!("private, max-age={seconds}")) {
        Ok(value) if seconds > 0 => value,
        _ => HeaderValue::from_static("no-store"),
    }
}

impl DetailsView {
    /// The same as members of a problem.
    fn beside(self, problem: Problem) -> Result<Problem, Problem> {
        let value =
            |value: Result<Value, _>| value.map_err(|_: serde_json::Error| Problem::internal());
        Ok(problem
            .with("profile", self.profile)
            .with("sources", value(serde_json::to_value(self.sources))?)
            .with("merged", value(serde_json::to_value(self.merged))?))
    }
}

impl SourceView {
    /// As callers see it.
    pub fn of(sighting: &Sighting) -> Self {
        let (status, age, trouble) = match &sighting.outcome {
            Outcome::Known { age, .. } => ("ok", Some(age), None),
            Outcome::Stale { age, trouble, .. } => ("stale", Some(age), Some(trouble)),
            Outcome::Failed(trouble) => (status(trouble), None, Some(trouble)),
        };
        Self {
            status,
            latency_ms: sighting.latency.as_millis() as u64,
            age_s: age.map(Duration::as_secs),
            data: sighting.outcome.data().cloned(),
            problem: trouble.map(|trouble| TroubleView {
                code: trouble.code(),
                detail: trouble.to_string(),
            }),
        }
    }
}

/// The statuses that a source may have, and what they mean.
pub const STATUSES: [(&str, &str); 6] = [
    ("ok", "it says so now, or said so not too long ago"),
    ("stale", "it said so before, and nothing newer is to be had"),
    ("timeout", "it took too long"),
    ("error", "it answers with an error, or with nothing of use"),
    ("refused", "its address is none to connect to"),
    (
        "open_circuit",
        "it failed again and again, or asked to be left alone, and was not asked",
    ),
];

const fn status(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Timeout => "timeout",
        Trouble::Refused(_) => "refused",
        Trouble::OpenCircuit { .. } => "open_circuit",
        _ => "error",
    }
}
