//! `/profiles`: for operators.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use muster_core::email::Email;
use muster_core::ids::{ImportId, ProfileId};
use muster_core::profile::{
    LockItem, ProfileItem, ProfileStatus, Source, expired, lock_key, profile_key,
};
use muster_core::violation::Violation;
use serde::Serialize;

use crate::applicant::Applicant;
use crate::caller::Caller;
use crate::problem::{FieldError, Kind, Problem};
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

#[derive(Serialize)]
struct ProfileList {
    items: Vec<ProfileView>,
    next_cursor: Option<String>,
}

/// `POST /profiles`
///
/// # Errors
/// 409 if the address has a profile, 4xx for what is wrong with the body.
pub async fn create(
    caller: Caller,
    State(services): Shared,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let applicant = Applicant::parse(&headers, &body)?;
    match services
        .registry
        .store(applicant, Source::Operator, caller.name)
        .await
    {
        Ok(item) => {
            let location = [(header::LOCATION, format!("/profiles/{}", item.id))];
            Ok((StatusCode::CREATED, location, shown(item)).into_response())
        }
        Err(NotStored::Taken) => Err(Problem::new(
            Kind::Conflict,
            "a profile with this e-mail address exists; GET /profiles?email= finds it",
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
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let item = match id.parse() {
        Ok(id) => profile(&services, id).await?,
        Err(_) => None,
    };
    item.map(shown)
        .ok_or_else(|| Problem::new(Kind::NotFound, "there is no such profile"))
}

/// `GET /profiles?email=`
///
/// # Errors
/// 422 if the parameter is missing or no address.
pub async fn find(
    _: Caller,
    State(services): Shared,
    RawQuery(query): RawQuery,
) -> Result<Json<ProfileListBody>, Problem> {
    let email = email_parameter(query.as_deref().unwrap_or_default())?;
    let lock: Option<LockItem> = services.table.get(&lock_key(email.key())).await?;
    let item = match lock {
        Some(lock) => profile(&services, lock.profile_id).await?,
        None => None,
    };
    Ok(Json(ProfileListBody(ProfileList {
        items: item.into_iter().map(ProfileView::from).collect(),
        next_cursor: None,
    })))
}

/// The answer of [`find`].
#[derive(Serialize)]
#[serde(transparent)]
pub struct ProfileListBody(ProfileList);

fn email_parameter(query: &str) -> Result<Email, Problem> {
    let refused = |violation| Problem::invalid(vec![FieldError::new("email", violation)]);
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "email")
        .ok_or_else(|| Violation::new("missing", "this query parameter is required"))
        .and_then(|(_, value)| Email::parse(&value))
        .map_err(refused)
}

/// A profile that counts as there.
async fn profile(services: &Services, id: ProfileId) -> Result<Option<ProfileItem>, Problem> {
    let item: Option<ProfileItem> = services.table.get(&profile_key(id)).await?;
    let now = services.clock.now();
    Ok(item.filter(|item| !expired(item.expires_at, now) && item.status != ProfileStatus::Erasing))
}

fn shown(item: ProfileItem) -> Response {
    let headers = [
        (header::ETAG, format!("\"{}\"", item.version)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, Json(ProfileView::from(item))).into_response()
}
