//! Who asks to be stored, or whom an operator asks to store.

use axum::body::Bytes;
use axum::http::HeaderMap;
use muster_core::email::Email;
use muster_core::person::{Attributes, Name};

use crate::body::Fields;
use crate::problem::Problem;

/// The body of `POST /signup` and `POST /profiles`:
/// `{"email": …, "name": …, "attributes"?: {…}}`.
#[derive(Debug)]
pub struct Applicant {
    /// The address.
    pub email: Email,
    /// The name.
    pub name: Name,
    /// Whatever else is known.
    pub attributes: Attributes,
}

impl Applicant {
    /// Reads a body.
    ///
    /// # Errors
    /// 4xx that names every bad field.
    pub fn parse(headers: &HeaderMap, body: &Bytes) -> Result<Self, Problem> {
        let mut fields = Fields::parse(headers, body)?;
        let email = fields.required("email", Email::parse);
        let name = fields.required("name", Name::parse);
        let attributes = fields.attributes();
        fields.finish()?;
        match (email, name) {
            (Some(email), Some(name)) => Ok(Self {
                email,
                name,
                attributes,
            }),
            // `finish` has named every field that was not taken.
            _ => Err(Problem::invalid(Vec::new())),
        }
    }
}
