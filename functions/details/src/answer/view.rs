//! The answer: what came of each source, and one view of it all.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use muster_core::people::profile::ProfileItem;
use muster_http::length::{MAX_ANSWER_BYTES, answer_length};
use muster_http::problem::{Kind, Problem};
use muster_http::profile::ProfileView;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::answer::merged::{Field, merged};
use crate::config::document::{Document, PROFILE, Rank};
use crate::openapi::values::{SourceProblemCode, SourceStatus};
use crate::sources::fan_out::{Outcome, Sighting};
use crate::sources::source_error::Trouble;

/// How long a profile may be taken for what it was.
const PROFILE_HOLDS: Duration = Duration::from_secs(60);

/// A person, and what sources know of them.
#[derive(Serialize, ToSchema)]
#[schema(as = Details, examples(example))]
pub struct DetailsView {
    #[schema(value_type = ProfileView)]
    profile: Value,
    /// What came of each source that was asked, by its name.
    sources: BTreeMap<String, SourceView>,
    /// What profile and sources say together: for each field the value of the
    /// highest-ranked that knows it. The profile's fields are `email`, `name`, `locale`
    /// and its attributes. Unless the operators say otherwise, the first three rank before
    /// every source and the attributes after.
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
    #[schema(value_type = SourceProblemCode)]
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

/// A source failed that must not.
pub fn source_failed(name: &str) -> Problem {
    let detail = format!("{name} is required, and says nothing; sources has the reason");
    Problem::new(Kind::BadGateway, detail)
}

/// The same with the rest, for the documentation.
pub fn source_failed_example() -> Problem {
    let rest = example();
    let with = |problem: Problem, name| problem.with(name, rest[name].clone());
    ["profile", "sources", "merged"]
        .into_iter()
        .fold(source_failed("billing"), with)
}

/// What goes out. The profile is there for so long.
///
/// # Errors
/// None that a caller can cause.
pub fn answer(
    document: &Document,
    profile: ProfileItem,
    mut sightings: Vec<Sighting>,
    left: Duration,
) -> Result<Response, Problem> {
    let knows = Knowledge::of(&profile);
    let profile = value(&ProfileView::from(profile))?;
    let mut view = DetailsView::of(document, &profile, &knows, &sightings);
    while length(&view)? > MAX_ANSWER_BYTES && drop_longest(&mut sightings)? {
        view = DetailsView::of(document, &profile, &knows, &sightings);
    }
    let missing = sightings
        .iter()
        .find(|sighting| sighting.source.required && sighting.outcome.data().is_none());
    if let Some(missing) = missing {
        let problem = source_failed(&missing.source.name);
        return Ok(view.beside(problem)?.into_response());
    }
    let cache = [(header::CACHE_CONTROL, lifetime(&sightings, left))];
    Ok((cache, Json(view)).into_response())
}

fn value(of: &impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(of).map_err(|_| Problem::internal())
}

/// What the profile says of the person, as far as others may know it, too.
struct Knowledge {
    identity: Value,
    attributes: Value,
}

impl Knowledge {
    fn of(profile: &ProfileItem) -> Self {
        const IDENTITY: [&str; 3] = ["email", "name", "locale"];
        // An attribute is no name, whatever it is called.
        let attributes = profile.attributes.iter();
        let attributes = attributes.filter(|(name, _)| !IDENTITY.contains(&name.as_str()));
        Self {
            identity: json!({
                "email": profile.email,
                "name": profile.name,
                "locale": profile.locale,
            }),
            attributes: json!(attributes.collect::<BTreeMap<_, _>>()),
        }
    }
}

fn length(of: &impl Serialize) -> Result<usize, Problem> {
    answer_length(of).map_err(|_| Problem::internal())
}

/// Better without the longest of the answers than without any; and without one that is
/// required only if there is no other.
fn drop_longest(sightings: &mut [Sighting]) -> Result<bool, Problem> {
    let mut longest = None;
    for (index, sighting) in sightings.iter().enumerate() {
        if let Some(data) = sighting.outcome.data() {
            let may_go = !sighting.source.required;
            longest = longest.max(Some((may_go, length(data)?, index)));
        }
    }
    let Some((.., index)) = longest else {
        return Ok(false);
    };
    sightings[index].outcome = Outcome::Failed(Trouble::NoRoom);
    let source = &*sightings[index].source.name;
    tracing::warn!(source, "an answer has no room for what a source says");
    Ok(true)
}

/// Who says something, the most trusted first.
fn in_order<'a>(
    document: &'a Document,
    knows: &'a Knowledge,
    sightings: &'a [Sighting],
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let said_by = |name: &str| {
        let mut sightings = sightings.iter();
        let sighting = sightings.find(|sighting| sighting.source.name == name)?;
        sighting.outcome.data()
    };
    document
        .precedence
        .iter()
        .filter_map(move |rank| match rank {
            Rank::Identity => Some((PROFILE, &knows.identity)),
            Rank::Attributes => Some((PROFILE, &knows.attributes)),
            Rank::Source(name) => Some((name.as_str(), said_by(name)?)),
        })
}

/// As long as what holds shortest. What is stale or failed may be there the next
/// moment.
fn lifetime(sightings: &[Sighting], of_profile: Duration) -> HeaderValue {
    let left = sightings.iter().map(|sighting| match &sighting.outcome {
        Outcome::Known { age, .. } => sighting.source.cache.saturating_sub(*age),
        Outcome::Stale { .. } | Outcome::Failed(_) => Duration::ZERO,
    });
    let left = left.min().unwrap_or_default();
    let seconds = left.min(of_profile).min(PROFILE_HOLDS).as_secs();
    match HeaderValue::from_str(&format!("private, max-age={seconds}")) {
        Ok(value) if seconds > 0 => value,
        _ => HeaderValue::from_static("no-store"),
    }
}

impl DetailsView {
    fn of(document: &Document, profile: &Value, knows: &Knowledge, sightings: &[Sighting]) -> Self {
        Self {
            profile: profile.clone(),
            sources: sightings
                .iter()
                .map(|sighting| (sighting.source.name.clone(), SourceView::of(sighting)))
                .collect(),
            merged: merged(in_order(document, knows, sightings)),
        }
    }

    /// The same as members of a problem.
    fn beside(self, problem: Problem) -> Result<Problem, Problem> {
        Ok(problem
            .with("profile", self.profile)
            .with("sources", value(&self.sources)?)
            .with("merged", value(&self.merged)?))
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

const fn status(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Timeout => "timeout",
        Trouble::Refused(_) => "refused",
        Trouble::OpenCircuit { .. } => "open_circuit",
        _ => "error",
    }
}
