//! Who asks to be stored, or whom an operator asks to store.

use axum::body::Bytes;
use axum::http::HeaderMap;
use muster_core::people::email::Email;
use muster_core::people::idempotency::digest;
use muster_core::people::locale::Locale;
use muster_core::people::person::{Attributes, Name};
use muster_http::body::Fields;
use muster_http::openapi::people;
use muster_http::problem::Problem;
use utoipa::ToSchema;

/// A person.
//
// The body of `POST /profiles`, and with a captcha beside it of `POST /signup`:
// `{"email": …, "name": …, "locale"?: …, "attributes"?: {…}}`. `Fields` holds
// what the attribute says of unknown ones.
#[derive(Debug, ToSchema)]
#[schema(
    as = NewProfile,
    examples(json!({ "email": "ada@example.com", "name": "Ada Lovelace", "locale": "en-GB", "attributes": { "city": "London" } }))
)]
#[serde(deny_unknown_fields)]
pub struct Applicant {
    /// The address.
    #[schema(value_type = people::EmailAddress)]
    pub email: Email,
    /// The name.
    #[schema(value_type = people::Name)]
    pub name: Name,
    /// The language of the mails, if it is known.
    #[schema(value_type = people::Locale, required = false)]
    pub locale: Option<Locale>,
    /// Whatever else is known.
    #[schema(value_type = Option<people::Attributes>)]
    pub attributes: Attributes,
}

impl Applicant {
    /// Reads a body.
    ///
    /// # Errors
    /// 4xx that names every bad field.
    pub fn parse(headers: &HeaderMap, body: &Bytes) -> Result<Self, Problem> {
        let mut fields = Fields::parse(headers, body)?;
        let applicant = Self::take(&mut fields);
        fields.finish()?;
        applicant.ok_or_else(|| Problem::invalid(Vec::new()))
    }

    /// Takes the fields; if one of them is bad, none comes of it, and
    /// [`Fields::finish`] names it.
    pub fn take(fields: &mut Fields) -> Option<Self> {
        let email = fields.required("email", Email::parse);
        let name = fields.required("name", Name::parse);
        let locale = fields.optional("locale", Locale::parse);
        let attributes = fields.attributes();
        Some(Self {
            email: email?,
            name: name?,
            locale,
            attributes,
        })
    }

    /// What is asked for, not how it was spelled: white space and the order of
    /// the fields are no difference.
    pub fn digest(&self) -> String {
        let attributes = self.attributes.as_map().iter();
        let attributes = attributes.flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        let person = [self.email.as_str(), self.name.as_str()];
        // The parts before it come in pairs, so it is taken for none of them.
        let locale = self.locale.as_ref().map(Locale::as_str);
        digest(person.into_iter().chain(attributes).chain(locale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_of(name: &str, locale: Option<&str>) -> String {
        let applicant = Applicant {
            email: Email::parse("ada@example.com").unwrap(),
            name: Name::parse(name).unwrap(),
            locale: locale.map(|locale| Locale::parse(locale).unwrap()),
            attributes: Attributes::default(),
        };
        applicant.digest()
    }

    #[test]
    fn the_digest_tells_one_request_from_another() {
        let ada = digest_of("Ada", None);
        assert_eq!(ada, digest_of(" Ada ", None));
        assert_ne!(ada, digest_of("Eva", None));
        let german = digest_of("Ada", Some("de"));
        assert_ne!(ada, german);
        assert_eq!(german, digest_of("Ada", Some("DE")));
    }
}
