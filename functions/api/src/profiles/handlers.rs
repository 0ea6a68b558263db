//! `/profiles`: for operators.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use muster_core::people::email::Email;
use muster_core::people::email_lock::{LockItem, lock_key};
use muster_core::people::erasure::{self, Begun};
use muster_core::people::profile::LISTED;
use muster_core::people::profile::{
    ProfileItem, ProfileStatus, lists, lists_undeliverable, profile_key,
};
use muster_core::people::profile_with_mails::Dossier;
use muster_core::people::validation::Violation;
use muster_core::platform::ids::ProfileId;
use muster_http::caller::Caller;
use muster_http::openapi::refusals::{
    Always, BadBody, BadRequest, Invalid, InvalidParameters, WithoutToken,
};
use muster_http::path::Id;
use muster_http::problem::Problem;
use muster_http::profile::{ProfileView, absent};
use muster_http::query::Parameters;
use serde::Serialize;
use utoipa::ToSchema;

use crate::idempotency::RequestKey;
use crate::openapi::parameters::{
    ExpectedVersion, ExpectedVersionIfAny, Filter, IdempotencyKey, InPath, Paging,
};
use crate::openapi::refusals::{
    BadHeader, Conflict, InvalidOrReused, NotFound, PreconditionFailed, PreconditionRequired,
};
use crate::pagination::{Found, Page};
use crate::problems::{changed, reused, taken};
use crate::profiles::create::NotStored;
use crate::profiles::etag::{IfMatch, etag};
use crate::profiles::update::{NotChanged, Patch};
use crate::services::{Services, Shared};
use crate::signup::applicant::Applicant;

/// A page of profiles, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({ "items": [ProfileView::example()], "next_cursor": null })))]
pub(crate) struct ProfileList {
    items: Vec<ProfileView>,
    /// `cursor` of the next page; `null` if this is the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// `POST /profiles`
///
/// # Errors
/// 409 if the address has a profile, 4xx for what is wrong with the request.
#[utoipa::path(
    post,
    path = "/profiles",
    operation_id = "createProfile",
    tag = "profiles",
    summary = "Create a profile",
    description = "Stores a profile that is `pending`, and sends its address a mail that asks to \
        confirm it. Unlike a sign-up it does not expire. A sign-up of the same address that was \
        not confirmed is replaced by it, and the links in its mails no longer work.",
    security(("operator" = ["profiles/write"])),
    params(IdempotencyKey),
    request_body(content = Applicant, description = "The person."),
    responses(
        (
            status = 201,
            description = "The profile. The same request with the same `Idempotency-Key` gets it again as it was then.",
            body = ProfileView,
            headers(
                ("Location" = String, description = "The profile's path."),
                ("ETag" = String, description = "The profile's version, for `If-Match`."),
            ),
        ),
        Always,
        WithoutToken,
        BadBody,
        (status = 400, response = BadRequest),
        (status = 409, response = Conflict),
        (status = 422, response = InvalidOrReused),
    ),
)]
pub(crate) async fn create(
    caller: Caller,
    State(services): Shared,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let applicant = Applicant::parse(&headers, &body)?;
    let payload = applicant.digest();
    let request = RequestKey::read(&headers, &caller.name, "POST /profiles", payload)?;
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
        Err(NotStored::KeyReused) => Err(reused()),
        Err(NotStored::Failed(failure)) => Err(failure.into()),
    }
}

/// `GET /profiles/{id}`
///
/// # Errors
/// 404 if there is none.
#[utoipa::path(
    get,
    path = "/profiles/{id}",
    operation_id = "readProfile",
    tag = "profiles",
    summary = "Read a profile",
    description = "A sign-up that has expired, and a profile that is being erased, are not there.",
    security(("operator" = ["profiles/read"])),
    params(InPath),
    responses(
        (
            status = 200,
            description = "The profile.",
            body = ProfileView,
            headers(("ETag" = String, description = "The profile's version, for `If-Match`.")),
        ),
        Always,
        WithoutToken,
        (status = 404, response = NotFound),
    ),
)]
pub(crate) async fn read(
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
#[utoipa::path(
    patch,
    path = "/profiles/{id}",
    operation_id = "changeProfile",
    tag = "profiles",
    summary = "Change a profile",
    description = "A JSON merge patch (RFC 7396) to the version that `If-Match` names: fields that \
        are not named stay, and in `attributes` the same holds for each.\n\n\
        With a new address the profile is `pending` until that is confirmed. Both addresses get a \
        mail: the new one with a link, the old one so that its owner knows.\n\n\
        A patch that changes nothing makes no new version. A sign-up that was not confirmed \
        expires no more once it is patched, and what others say who sign its address up is \
        never taken for it.",
    security(("operator" = ["profiles/write"])),
    params(InPath, ExpectedVersion),
    request_body(
        description = "What changes.",
        content((Patch = "application/merge-patch+json"), (Patch = "application/json")),
    ),
    responses(
        (
            status = 200,
            description = "The profile as it is now.",
            body = ProfileView,
            headers(("ETag" = String, description = "The profile's new version, for `If-Match`.")),
        ),
        Always,
        WithoutToken,
        BadBody,
        (status = 400, response = BadRequest),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
        (status = 412, response = PreconditionFailed),
        (status = 422, response = Invalid),
        (status = 428, response = PreconditionRequired),
    ),
)]
pub(crate) async fn change(
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
    let (before, after) = (before.clone(), patch.apply(before)?);
    match services
        .changes
        .store(dossier, &before, after, caller.name)
        .await
    {
        Ok(item) => Ok(shown(item)),
        Err(NotChanged::Overtaken) => Err(changed()),
        Err(NotChanged::Taken) => Err(taken()),
        Err(NotChanged::Disturbed(failure) | NotChanged::Failed(failure)) => Err(failure.into()),
    }
}

/// `DELETE /profiles/{id}`: erases the profile and all that belongs to it.
///
/// # Errors
/// 404 if there is none, 412 if `If-Match` names another version.
#[utoipa::path(
    delete,
    path = "/profiles/{id}",
    operation_id = "eraseProfile",
    tag = "profiles",
    summary = "Erase a profile",
    description = "Removes the profile and all that belongs to it: its mails, what sources said \
        of it, its hold on the address, the record of its `Idempotency-Key`. Mails that wait are \
        not sent. What stays: files that were uploaded and reports about them, until they expire; \
        backups, as long as they are kept; for two days at most a keyed hash of the address.",
    security(("operator" = ["profiles/write"])),
    params(InPath, ExpectedVersionIfAny),
    responses(
        (status = 204, description = "It is erased."),
        Always,
        WithoutToken,
        (status = 400, response = BadHeader),
        (status = 404, response = NotFound),
        (status = 412, response = PreconditionFailed),
    ),
)]
pub(crate) async fn erase(
    caller: Caller,
    State(services): Shared,
    Id(id): Id<ProfileId>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let condition = IfMatch::read(&headers)?.unwrap_or(IfMatch::Any);
    let is_meant = |profile: &ProfileItem| condition.allows(profile.version);
    let (table, clock, random) = (&services.table, &services.clock, &services.random);
    match erasure::begin(table, id, is_meant, clock, random).await? {
        Begun::Absent => return Err(absent()),
        Begun::Changed => return Err(changed()),
        Begun::Marked => {}
    }
    // From here on it counts as erased: if we fail, the sweeper does the rest.
    if let Err(error) = erasure::finish(table, id, erasure::PATIENCE, clock, random).await {
        tracing::warn!(profile_id = %id, %error, "the erasure is left to the sweeper");
    }
    tracing::info!(profile_id = %id, by = caller.name, "profile erased");
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /profiles?email=&status=&limit=&cursor=`: newest first.
///
/// # Errors
/// 422 for parameters that are none.
#[utoipa::path(
    get,
    path = "/profiles",
    operation_id = "listProfiles",
    tag = "profiles",
    summary = "List profiles, or find one by its address",
    description = "Newest first. A list lags behind by a moment; with `email` it does not.",
    security(("operator" = ["profiles/read"])),
    params(Filter, Paging),
    responses(
        (status = 200, description = "A page of profiles.", body = ProfileList),
        Always,
        WithoutToken,
        (status = 422, response = InvalidParameters),
    ),
)]
pub(crate) async fn find(
    _: Caller,
    State(services): Shared,
    RawQuery(query): RawQuery,
) -> Result<Json<ProfileList>, Problem> {
    let mut parameters = Parameters::parse(query.as_deref());
    let page = Page::take(&mut parameters);
    let filter = parameters.optional("status", Filtered::parse);
    let email = parameters.optional("email", Email::parse);
    parameters.finish()?;
    let now = services.clock.now();
    let wanted =
        |item: &ProfileItem| item.is_present(now) && filter.is_none_or(|filter| filter.takes(item));
    let found = match email {
        Some(email) => of_address(&services, &email, &page, wanted).await?,
        None => {
            let shown = |item| Some(item).filter(wanted).map(ProfileView::from);
            let lists = Filtered::lists(filter);
            services.listing().page(lists, &page, shown).await?
        }
    };
    Ok(Json(ProfileList {
        items: found.items,
        next_cursor: found.next_cursor,
    }))
}

/// What the parameter `status` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filtered {
    /// Profiles of this status, whether or not mail goes to them.
    Status(ProfileStatus),
    /// Profiles that no mail goes to, of either status.
    Undeliverable,
}

/// What [`Filtered::Undeliverable`] is called.
pub(crate) const UNDELIVERABLE: &str = "undeliverable";

impl Filtered {
    fn parse(text: &str) -> Result<Self, Violation> {
        if text == UNDELIVERABLE {
            return Ok(Self::Undeliverable);
        }
        let mut statuses = LISTED.into_iter();
        let status = statuses.find(|status| status.as_str() == text);
        status.map(Self::Status).ok_or_else(|| {
            let known = LISTED.map(ProfileStatus::as_str).join(", ");
            Violation::new("invalid_status", format!("one of {known}, {UNDELIVERABLE}"))
        })
    }

    fn takes(self, item: &ProfileItem) -> bool {
        match self {
            Self::Status(status) => item.status == status,
            Self::Undeliverable => item.undeliverable.is_some(),
        }
    }

    /// Where the index has them. Those that no mail goes to are apart, of
    /// whatever status.
    fn lists(filter: Option<Self>) -> Vec<String> {
        let statuses = match filter {
            None => LISTED.to_vec(),
            Some(Self::Status(status)) => vec![status],
            Some(Self::Undeliverable) => Vec::new(),
        };
        let of_statuses = statuses.into_iter().flat_map(lists);
        of_statuses.chain(lists_undeliverable()).collect()
    }
}

/// The profile with an address, by its lock and so as it is now: a list of at
/// most one.
async fn of_address(
    services: &Services,
    email: &Email,
    page: &Page,
    wanted: impl Fn(&ProfileItem) -> bool,
) -> Result<Found<ProfileView>, Problem> {
    let lock: Option<LockItem> = services.table.get(&lock_key(email.key())).await?;
    let item = match lock {
        Some(lock) => profile(services, lock.profile_id).await?,
        None => None,
    };
    let is_on_page = |item: &ProfileItem| {
        let after = page.after.as_ref();
        wanted(item)
            && after
                .as_ref()
                .is_none_or(|after| item.list_sort.as_ref() < Some(after))
    };
    Ok(Found {
        items: item
            .into_iter()
            .filter(is_on_page)
            .map(ProfileView::from)
            .collect(),
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
