//! `GET /profiles/{id}/details`: a person, and what all sources know of them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use futures_util::future::join;
use muster_core::people::validation::Violation;
use muster_core::platform::ids::ProfileId;
use muster_http::caller::Caller;
use muster_http::openapi::refusals::{Always, InvalidParameters, WithoutToken};
use muster_http::path::Id;
use muster_http::problem::{Kind, Problem};
use muster_http::profile::absent;
use muster_http::query::Parameters;
use tokio::time::{Instant, timeout_at};

use crate::answer::view::{DetailsView, answer};
use crate::config::document::{Document, Source};
use crate::config::reload::Sources;
use crate::config::url_template::Person;
use crate::openapi::parameters::{InPath, SourceNames};
use crate::openapi::refusals::{NotFound, SourceFailed};
use crate::services::{Services, Shared};
use crate::sources::fan_out::{Change, Sighting};

/// The most that of a request's time is left for keeping what sources said.
const MOST_TIME_TO_KEEP: Duration = Duration::from_millis(200);

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
pub(crate) async fn read(
    _: Caller,
    State(services): Shared,
    Id(id): Id<ProfileId>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let began = Instant::now();
    let sources = services.config.sources().await.ok_or_else(no_document)?;
    let deadline = began + sources.document.deadline;
    // It has no more time than the request, and goes on beside the next.
    let refresh = timeout_at(deadline, services.config.refresh());
    let looking = look(&services, &sources, id, query.as_deref(), deadline);
    join(looking, refresh).await.0
}

async fn look(
    services: &Services,
    sources: &Sources,
    id: ProfileId,
    query: Option<&str>,
    deadline: Instant,
) -> Result<Response, Problem> {
    let asked = asked(&sources.document, query)?;
    let known = services.cache.read(id, &asked, services.clock.now());
    let known = timeout_at(deadline, known).await.map_err(|_| too_slow())?;
    let known = known?.ok_or_else(absent)?;
    // Nothing outlives a sign-up that expires.
    let end = known.profile.expires_at.unwrap_or(i64::MAX);

    let person = Person::from(&known.profile);
    let answers_by = deadline - time_to_keep(&asked, sources.document.deadline);
    let mut sightings = services
        .gatherer
        .gather(sources, &asked, &person, &known.cached, answers_by)
        .await;

    let changes = changes(&mut sightings, end);
    let changing = services.cache.change(id, &changes, services.clock.now());
    // What is not kept is asked for again.
    if timeout_at(deadline, changing).await.is_err() {
        tracing::warn!("there is no time to keep what sources said");
    }
    let left = end.saturating_sub(services.clock.now().as_seconds());
    let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
    answer(&sources.document, known.profile, sightings, left)
}

/// How much of the time is not the sources': a slow one must not cost all others that
/// their answers are kept.
fn time_to_keep(asked: &[Arc<Source>], whole: Duration) -> Duration {
    match asked.iter().any(|source| !source.useful_for().is_zero()) {
        true => MOST_TIME_TO_KEEP.min(whole / 10),
        false => Duration::ZERO,
    }
}

/// What becomes of what is kept, which is of no use after that.
fn changes(sightings: &mut [Sighting], end: i64) -> Vec<Change> {
    let changes = sightings
        .iter_mut()
        .filter_map(|sighting| sighting.change.take());
    let mut changes: Vec<_> = changes.collect();
    for change in &mut changes {
        if let Change::Keep(item) = change {
            item.expires_at = item.expires_at.min(end);
        }
    }
    changes
}

fn no_document() -> Problem {
    Problem::new(
        Kind::Unavailable,
        "which sources there are cannot be read; the operators know more",
    )
}

fn too_slow() -> Problem {
    Problem::new(
        Kind::Unavailable,
        "the profile cannot be read in time; try again",
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
