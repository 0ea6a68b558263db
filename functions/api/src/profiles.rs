//! `/profiles`: for operators.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use muster_core::email::Email;
use muster_core::erasure::{self, Begun};
use muster_core::ids::{ImportId, ProfileId};
use muster_core::profile::{
    Dossier, LockItem, ProfileItem, ProfileStatus, Source, lists, lock_key, profile_key,
};
use muster_core::violation::Violation;
use serde::Serialize;

use crate::applicant::Applicant;
use crate::caller::Caller;
use crate::changes::{NotChanged, Patch};
use crate::idempotency::RequestKey;
use crate::listing::{self, Found, Page};
use crate::path::Id;
use crate::precondition::{IfMatch, changed, etag};
use crate::problem::{Kind, Problem};
use crate::query::Parameters;
use crate::registry::NotStored;
use crate::router::{Services, Shared};

/// A profile, as it is shown.
#[derive(Debug, Serialize)]
struct ProfileView {
    id: ProfileId,
    email: String,
    name: Option<String>,
    attributes: BTreeMap<String, String>,
    status: ProfileStatus,
    source: Source,
    import: Option<Row>,
    created_at: String,
    updated_at: String,
    updated_by: String,
}

/// The row that a profile was.
#[derive(Debug, Serialize)]
struct Row {
    id: ImportId,
    line: u64,
}

impl From<ProfileItem> for ProfileView {
    fn from(item: ProfileItem) -> Self {
        Self {
            id: item.id,
            email: item.email,
            name: item.name,
            attributes: item.attributes,
            status: item.status,
            source: item.source,
            import: item
                .import
                .zip(item.line)
                .map(|(id, line)| Row { id, line }),
            created_at: item.created_at.to_string(),
            updated_at: item.updated_at.to_string(),
            updated_by: item.updated_by,
        }
    }
}

/// A page of profiles.
#[derive(Debug, Serialize)]
pub struct ProfileList {
    items: Vec<ProfileView>,
    next_cursor: Option<String>,
}

/// `POST /profiles`
///
/// # Errors
/// 409 if the address has a profile, 4xx for what is wrong with the request.
pub async fn create(
    caller: Caller,
    State(services): Shared,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let applicant = Applicant::parse(&headers, &body)?;
    let request = RequestKey::read(&headers, &caller.name, "POST /profiles", &applicant)?;
    match services
        .registry
        .store(&applicant, &caller.name, request.as_ref())
        .await
    {
        Ok(item) => {
            let location = [(header::LOCATION, format!("/profiles/{}", item.id))];
            Ok((StatusCode::CREATED, location, shown(item)).into_response())
        }
        Err(NotStored::Taken) => Err(taken()),
        Err(NotStored::KeyReused) => Err(Problem::new(
            Kind::KeyReused,
            "this Idempotency-Key came with another payload before; take a new one",
        )),
        Err(NotStored::Failed(failure)) => Err(failure.into()),
    }
}

/// `GET /profiles/{id}`
///
/// # Errors
/// 404 if there is none.
pub async fn read(
    _: Caller,
    State(services): Shared,
    Id(id): Id<ProfileId>,
) -> Result<Response, Problem> {
    profile(&services, id).await?.map(shown).ok_or_else(absent)
}

/// `PATCH /profiles/{id}`
///
/// # Errors
/// 428 without `If-Match`, 412 if it names another version, 409 if the new
/// address has a profile, 4xx for what is wrong with the request.
pub async fn change(
    caller: Caller,
    State(services): Shared,
    Id(id): Id<ProfileId>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let condition = IfMatch::required(&headers)?;
    let patch = Patch::parse(&headers, &body)?;
    let dossier = Dossier::read(&services.table, id).await?;
    let before = dossier.present(services.clock.now()).ok_or_else(absent)?;
    if !condition.allows(before.version) {
        return Err(changed());
    }
    let after = patch.apply(before)?;
    match services
        .changes
        .store(&dossier, before, after, caller.name)
        .await
    {
        Ok(item) => Ok(shown(item)),
        Err(NotChanged::Overtaken) => Err(changed()),
        Err(NotChanged::Taken) => Err(taken()),
        Err(NotChanged::Failed(failure)) => Err(failure.into()),
    }
}

/// `DELETE /profiles/{id}`: erases the profile and all that belongs to it.
///
/// # Errors
/// 404 if there is none, 412 if `If-Match` names another version.
pub async fn erase(
    caller: Caller,
    State(services): Shared,
    Id(id): Id<ProfileId>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let version = match IfMatch::read(&headers)? {
        None | Some(IfMatch::Any) => None,
        Some(condition) => {
            let item = profile(&services, id).await?.ok_or_else(absent)?;
            if !condition.allows(item.version) {
                return Err(changed());
            }
            Some(item.version)
        }
    };
    let table = &services.table;
    match erasure::begin(table, id, version, services.clock.now()).await? {
        Begun::Absent => return Err(absent()),
        Begun::Changed => return Err(changed()),
        Begun::Marked => {}
    }
    // From here on it counts as erased: if we fail, the sweeper does the rest.
    if let Err(error) = erasure::finish(table, id, &services.random).await {
        tracing::warn!(profile_id = %id, %error, "the erasure is left to the sweeper");
    }
    tracing::info!(profile_id = %id, by = caller.name, "profile erased");
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /profiles?email=&status=&limit=&cursor=`: newest first.
///
/// # Errors
/// 422 for parameters that are none.
pub async fn find(
    _: Caller,
    State(services): Shared,
    RawQuery(query): RawQuery,
) -> Result<Json<ProfileList>, Problem> {
    let mut parameters = Parameters::parse(query.as_deref());
    let page = Page::take(&mut parameters);
    let status = parameters.optional("status", status);
    let email = parameters.optional("email", Email::parse);
    parameters.finish()?;
    let now = services.clock.now();
    let wanted = |item: &ProfileItem| {
        item.is_present(now) && status.is_none_or(|status| item.status == status)
    };
    let found = match email {
        Some(email) => of_address(&services, &email, &page, wanted).await?,
        None => {
            let statuses = status.map_or(LISTED.to_vec(), |status| vec![status]);
            let lists = statuses.into_iter().flat_map(lists);
            listing::find(&services.table, lists, &page, wanted).await?
        }
    };
    Ok(Json(ProfileList {
        items: found.items.into_iter().map(ProfileView::from).collect(),
        next_cursor: found.next_cursor,
    }))
}

/// The statuses that lists show.
const LISTED: [ProfileStatus; 3] = [
    ProfileStatus::Pending,
    ProfileStatus::Confirmed,
    ProfileStatus::Undeliverable,
];

fn status(text: &str) -> Result<ProfileStatus, Violation> {
    LISTED
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or_else(|| {
            let known = LISTED.map(ProfileStatus::as_str).join(", ");
            Violation::new("invalid_status", format!("one of {known}"))
        })
}

/// The profile with an address, by its lock and so as it is now: a list of at
/// most one.
async fn of_address(
    services: &Services,
    email: &Email,
    page: &Page,
    wanted: impl Fn(&ProfileItem) -> bool,
) -> Result<Found<ProfileItem>, Problem> {
    let lock: Option<LockItem> = services.table.get(&lock_key(email.key())).await?;
    let item = match lock {
        Some(lock) => profile(services, lock.profile_id).await?,
        None => None,
    };
    let is_on_page = |item: &ProfileItem| {
        let after = page.after.as_ref();
        wanted(item) && after.is_none_or(|after| item.list_sort < *after)
    };
    Ok(Found {
        items: item.into_iter().filter(is_on_page).collect(),
        next_cursor: None,
    })
}

/// A profile that counts as there.
async fn profile(services: &Services, id: ProfileId) -> Result<Option<ProfileItem>, Problem> {
    let item: Option<ProfileItem> = services.table.get(&profile_key(id)).await?;
    let now = services.clock.now();
    Ok(item.filter(|item| item.is_present(now)))
}

fn shown(item: ProfileItem) -> Response {
    let headers = [
        (header::ETAG, etag(item.version)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, Json(ProfileView::from(item))).into_response()
}

fn absent() -> Problem {
    Problem::new(Kind::NotFound, "there is no such profile")
}

fn taken() -> Problem {
    Problem::new(
        Kind::Conflict,
        "a profile with this e-mail address exists; GET /profiles?email= finds it",
    )
}
