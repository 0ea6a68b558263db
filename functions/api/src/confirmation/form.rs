//! What comes in from a page's form.

use axum::body::Bytes;
use axum::http::HeaderMap;
use muster_http::body::{is, not_too_long};
use muster_http::problem::{Kind, Problem};

/// The type of a body that a page's form sends.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// A field of a form's body.
///
/// # Errors
/// 415 for what is no form, 413 for one that is too long.
pub(crate) fn form_field(
    headers: &HeaderMap,
    body: &Bytes,
    name: &str,
) -> Result<Option<String>, Problem> {
    if !is(FORM, headers) {
        return Err(Problem::new(
            Kind::UnsupportedMediaType,
            format!("send the body as {FORM}"),
        ));
    }
    not_too_long(body)?;
    let mut given = form_urlencoded::parse(body).filter(|(given, _)| given == name);
    // Which of two is meant, nobody knows.
    Ok(match (given.next(), given.next()) {
        (Some((_, value)), None) => Some(value.into_owned()),
        _ => None,
    })
}
