//! `/imports`: for operators.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::try_join_all;
use muster_core::people::idempotency::digest;
use muster_core::people::person::spoils_a_line;
use muster_core::people::validation::Violation;
use muster_core::platform::ids::ImportId;
use muster_http::body::Fields;
use muster_http::caller::Caller;
use muster_http::openapi::refusals::{
    Always, BadBody, BadRequest, InvalidParameters, WithoutToken,
};
use muster_http::path::Id;
use muster_http::problem::Problem;
use muster_http::query::Parameters;
use muster_imports::import::{IMPORT_LIST, ImportItem};
use muster_imports::options::{Choice, Options};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::idempotency::RequestKey;
use crate::imports::report_link::{ReportLink, link};
use crate::imports::transitions;
use crate::imports::view::{CreatedImport, ImportView, example, view};
use crate::openapi::bodies::{FailedChunks, NewImport};
use crate::openapi::parameters::{IdempotencyKey, InPath, Paging};
use crate::openapi::refusals::{InvalidOrReused, NoReport, NotFailed, NotFound, NotNow};
use crate::pagination::Page;
use crate::services::{Services, Shared};
use muster_imports::import::MAX_FILE_NAME_CHARS;

/// A page of imports, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({ "items": [example()], "next_cursor": null })))]
pub(crate) struct ImportList {
    items: Vec<ImportView>,
    /// `cursor` of the next page; `null` if this is the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// `POST /imports`
///
/// # Errors
/// 422 for options that are none, 4xx for what is wrong with the request.
#[utoipa::path(
    post,
    path = "/imports",
    operation_id = "createImport",
    tag = "imports",
    summary = "Import a CSV file",
    description = "Makes an import and says where its file is to be uploaded, straight to S3: as \
        `multipart/form-data` to `upload.url` with all of `upload.fields` and, behind them, the \
        file as the part `file`. S3 must be told the length (`Content-Length`), and answers 204, or \
        an error in XML. When the file is there the import starts by itself, unless `start` is \
        `manual`.",
    security(("operator" = ["imports/write"])),
    params(IdempotencyKey),
    request_body(content = NewImport, description = "What is done with the people in the file."),
    responses(
        (
            status = 201,
            description = "The import. The same request with the same `Idempotency-Key` gets it \
                again as it is by then, with another form for its file.",
            body = CreatedImport,
            headers(("Location" = String, description = "The import's path.")),
        ),
        Always,
        WithoutToken,
        BadBody,
        (status = 400, response = BadRequest),
        (status = 422, response = InvalidOrReused),
    ),
)]
pub(crate) async fn create(
    caller: Caller,
    State(services): Shared,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let mut fields = Fields::parse(&headers, &body)?;
    let options = options(&mut fields);
    let start = fields.value("start", |value| one_of(value, "automatic or manual"));
    let file_name = fields.optional("file_name", file_name);
    fields.finish()?;
    let start = start.unwrap_or_default();
    let payload = json!({ "options": options, "start": start, "file_name": file_name });
    let payload = digest([&*payload.to_string()]);
    let request = RequestKey::read(&headers, &caller.name, "POST /imports", payload)?;
    let importing = &services.importing;
    let asked = transitions::NewImport {
        options,
        start,
        file_name,
        by: caller.name,
    };
    let import = importing.create(asked, request.as_ref()).await?;
    tracing::info!(import_id = %import.id, by = import.started_by, "import asked for");
    let headers = [
        (header::LOCATION, format!("/imports/{}", import.id)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    let upload = importing.upload_of(&import);
    let created = CreatedImport::new(shown(&services, import).await?, upload);
    Ok((StatusCode::CREATED, headers, Json(created)).into_response())
}

/// Takes the options.
fn options(fields: &mut Fields) -> Options {
    let chosen = Choice {
        on_conflict: fields.value("on_conflict", |value| one_of(value, "skip, update or fail")),
        confirm: fields.value("confirm", |value| {
            one_of(value, "skip, send or mark_confirmed")
        }),
        dry_run: fields.value("dry_run", |value| one_of(value, "true or false")),
    };
    chosen.over(Options::default())
}

/// A file's name without its folder, as a list can show it on one line.
fn file_name(text: &str) -> Result<String, Violation> {
    let is_spoilt = |c: char| spoils_a_line(c) || ['/', '\\'].contains(&c);
    let fits = (1..=MAX_FILE_NAME_CHARS).contains(&text.chars().count());
    if fits && !text.chars().any(is_spoilt) {
        return Ok(text.to_owned());
    }
    let detail = format!(
        "must be the name of a file without its folder, on one line and of at most \
         {MAX_FILE_NAME_CHARS} characters"
    );
    Err(Violation::new("invalid_file_name", detail))
}

fn one_of<T: DeserializeOwned>(value: Value, values: &str) -> Result<T, Violation> {
    let refused = |_| Violation::new("invalid_option", format!("must be {values}"));
    serde_json::from_value(value).map_err(refused)
}

/// `GET /imports/{id}`
///
/// # Errors
/// 404 if there is none.
#[utoipa::path(
    get,
    path = "/imports/{id}",
    operation_id = "readImport",
    tag = "imports",
    summary = "Follow an import",
    description = "Status, counts and progress of one import, as they are now.",
    security(("operator" = ["imports/read"])),
    params(InPath),
    responses(
        (status = 200, description = "The import.", body = ImportView),
        Always,
        WithoutToken,
        (status = 404, response = NotFound),
    ),
)]
pub(crate) async fn read(
    _: Caller,
    State(services): Shared,
    Id(id): Id<ImportId>,
) -> Result<Json<ImportView>, Problem> {
    let item = services.importing.find(id).await?;
    Ok(Json(shown(&services, item).await?))
}

/// `GET /imports?limit=&cursor=`: newest first.
///
/// # Errors
/// 422 for a limit or cursor that is none.
#[utoipa::path(
    get,
    path = "/imports",
    operation_id = "listImports",
    tag = "imports",
    summary = "List imports",
    description = "Newest first; also those that nobody asked for here: a CSV file that is put \
        under `uploads/` in the deployment's bucket is imported, too.",
    security(("operator" = ["imports/read"])),
    params(Paging),
    responses(
        (status = 200, description = "A page of imports.", body = ImportList),
        Always,
        WithoutToken,
        (status = 422, response = InvalidParameters),
    ),
)]
pub(crate) async fn list(
    _: Caller,
    State(services): Shared,
    RawQuery(query): RawQuery,
) -> Result<Json<ImportList>, Problem> {
    let mut parameters = Parameters::parse(query.as_deref());
    let page = Page::take(&mut parameters);
    parameters.finish()?;
    let lists = [IMPORT_LIST.to_owned()];
    let now = services.clock.now();
    let present = |import: ImportItem| Some(import).filter(|import| import.is_present(now));
    let found = services.listing().page(lists, &page, present).await?;
    let items = found.items.into_iter().map(|item| shown(&services, item));
    Ok(Json(ImportList {
        items: try_join_all(items).await?,
        next_cursor: found.next_cursor,
    }))
}

/// `POST /imports/{id}/start`
///
/// # Errors
/// 404 if there is none, 409 if it is stopped or has failed.
#[utoipa::path(
    post,
    path = "/imports/{id}/start",
    operation_id = "startImport",
    tag = "imports",
    summary = "Start an import",
    description = "For one that was made with `start` `manual`. If its file is still to come, it \
        starts when it is there. One that has started already stays as it is.",
    security(("operator" = ["imports/write"])),
    params(InPath),
    responses(
        (status = 202, description = "The import. It runs in the background.", body = ImportView),
        Always,
        WithoutToken,
        (status = 404, response = NotFound),
        (status = 409, response = NotNow),
    ),
)]
pub(crate) async fn start(
    caller: Caller,
    State(services): Shared,
    Id(id): Id<ImportId>,
) -> Result<Response, Problem> {
    let import = services.importing.start(id, &caller.name).await?;
    tracing::info!(import_id = %id, by = caller.name, "start asked for");
    moved(&services, import).await
}

/// `POST /imports/{id}/cancel`
///
/// # Errors
/// 404 if there is none, 409 if there is nothing left to stop.
#[utoipa::path(
    post,
    path = "/imports/{id}/cancel",
    operation_id = "cancelImport",
    tag = "imports",
    summary = "Cancel an import",
    description = "No more rows are begun, and mails that are still to go are called off, also \
        those of an import that is over. Profiles that it has made stay. It can be resumed.",
    security(("operator" = ["imports/write"])),
    params(InPath),
    responses(
        (
            status = 202,
            description = "The import. If it is `cancelling`, it will be `cancelled` in a moment.",
            body = ImportView,
        ),
        Always,
        WithoutToken,
        (status = 404, response = NotFound),
        (status = 409, response = NotNow),
    ),
)]
pub(crate) async fn cancel(
    caller: Caller,
    State(services): Shared,
    Id(id): Id<ImportId>,
) -> Result<Response, Problem> {
    let import = services.importing.cancel(id).await?;
    tracing::info!(import_id = %id, by = caller.name, "cancel asked for");
    moved(&services, import).await
}

/// `POST /imports/{id}/resume`
///
/// # Errors
/// 404 if there is none, 409 if it cannot go on, 422 for chunks that have not
/// failed.
#[utoipa::path(
    post,
    path = "/imports/{id}/resume",
    operation_id = "resumeImport",
    tag = "imports",
    summary = "Resume an import",
    description = "One that was cancelled goes on where it stopped, and its mails go after all. \
        Chunks that were given up run again: all of them, or those that the body names.",
    security(("operator" = ["imports/write"])),
    params(InPath),
    request_body(content = FailedChunks, description = "Which chunks; without it, all that have failed."),
    responses(
        (status = 202, description = "The import. It runs in the background.", body = ImportView),
        Always,
        WithoutToken,
        BadBody,
        (status = 400, response = BadRequest),
        (status = 404, response = NotFound),
        (status = 409, response = NotNow),
        (status = 422, response = NotFailed),
    ),
)]
pub(crate) async fn resume(
    caller: Caller,
    State(services): Shared,
    Id(id): Id<ImportId>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let named = named(&headers, &body)?;
    let import = services.importing.resume(id, named.as_deref()).await?;
    tracing::info!(import_id = %id, by = caller.name, "resume asked for");
    moved(&services, import).await
}

/// The chunks that a body names, if there is one and it does.
fn named(headers: &HeaderMap, body: &Bytes) -> Result<Option<Vec<u32>>, Problem> {
    if body.is_empty() {
        return Ok(None);
    }
    let mut fields = Fields::parse(headers, body)?;
    let chunks = fields.value("chunks", |value| {
        let numbers: Option<Vec<u32>> = serde_json::from_value(value).ok();
        let named = numbers.filter(|numbers| !numbers.is_empty());
        named.ok_or_else(|| Violation::new("wrong_type", "numbers of chunks, at least one"))
    });
    fields.finish()?;
    Ok(chunks)
}

/// `GET /imports/{id}/errors`
///
/// # Errors
/// 404 if there is no import, or no report of it.
#[utoipa::path(
    get,
    path = "/imports/{id}/errors",
    operation_id = "readImportErrors",
    tag = "imports",
    summary = "Download the rows that were refused",
    description = "Where the report is: a CSV file with each row that was refused, and why. Mended, \
        it can be imported as it is.",
    security(("operator" = ["imports/read"])),
    params(InPath),
    responses(
        (status = 200, description = "An address that needs no token.", body = ReportLink),
        Always,
        WithoutToken,
        (status = 404, response = NoReport),
    ),
)]
pub(crate) async fn errors(
    _: Caller,
    State(services): Shared,
    Id(id): Id<ImportId>,
) -> Result<Response, Problem> {
    let item = services.importing.find(id).await?;
    let link = link(&services.s3, &item, services.clock.now()).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(link)).into_response())
}

async fn shown(services: &Services, item: ImportItem) -> Result<ImportView, Problem> {
    Ok(view(&services.table, item, services.clock.now()).await?)
}

/// It happens, or will, in the background.
async fn moved(services: &Services, item: ImportItem) -> Result<Response, Problem> {
    let import = shown(services, item).await?;
    Ok((StatusCode::ACCEPTED, Json(import)).into_response())
}
