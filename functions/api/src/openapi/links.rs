//! What can be done next with an answer.

use serde_json::json;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::link::{Link, LinkBuilder};
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, RefOr};

/// Parameters of the next request, and where in the answer they are.
type Parameters<'a> = &'a [(&'a str, &'a str)];

const ID: (&str, &str) = ("id", "$response.body#/id");
const VERSION: (&str, &str) = ("If-Match", "$response.header.ETag");
const NEXT: (&str, &str) = ("cursor", "$response.body#/next_cursor");

/// Puts the links where they belong.
pub fn add(document: &mut OpenApi) {
    for (id, status, next, parameters) in [
        ("createProfile", "201", "readProfile", &[ID] as Parameters),
        ("createProfile", "201", "changeProfile", &[ID, VERSION]),
        ("createProfile", "201", "eraseProfile", &[ID, VERSION]),
        (
            "createProfile",
            "201",
            "listProfiles",
            &[("email", "$response.body#/email")],
        ),
        ("readProfile", "200", "changeProfile", &[ID, VERSION]),
        ("readProfile", "200", "eraseProfile", &[ID, VERSION]),
        ("changeProfile", "200", "readProfile", &[ID]),
        ("listProfiles", "200", "listProfiles", &[NEXT]),
        ("listImports", "200", "listImports", &[NEXT]),
        ("createImport", "201", "readImport", &[ID]),
        ("createImport", "201", "startImport", &[ID]),
        ("createImport", "201", "cancelImport", &[ID]),
        ("startImport", "202", "readImport", &[ID]),
        ("cancelImport", "202", "resumeImport", &[ID]),
        ("resumeImport", "202", "readImport", &[ID]),
        ("readImport", "200", "readImportErrors", &[ID]),
    ] {
        let responses = operation(document, id).map(|found| &mut found.responses.responses);
        let response = responses.and_then(|responses| responses.get_mut(status));
        if let Some(RefOr::T(response)) = response {
            response
                .links
                .insert(next.to_owned(), link(next, parameters).into());
        }
    }
}

/// utoipa 5.5 writes `operation_id`, which is no field of a link; 6.0 writes
/// it as it should be.
fn link(next: &str, parameters: Parameters) -> Link {
    let operation = Extensions::from_iter([("operationId", json!(next))]);
    parameters
        .iter()
        .fold(LinkBuilder::new(), |link, (name, place)| {
            link.parameter(*name, *place)
        })
        .extensions(Some(operation))
        .build()
}

/// The operation of that id.
pub fn operation<'a>(document: &'a mut OpenApi, id: &str) -> Option<&'a mut Operation> {
    let paths = document.paths.paths.values_mut();
    paths
        .flat_map(|path| {
            [
                &mut path.get,
                &mut path.post,
                &mut path.patch,
                &mut path.delete,
            ]
        })
        .filter_map(Option::as_mut)
        .find(|operation| operation.operation_id.as_deref() == Some(id))
}
