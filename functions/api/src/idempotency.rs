//! `Idempotency-Key`: the same request twice does its work once.

use axum::http::HeaderMap;
use muster_core::locale::Locale;
use muster_core::request::{digest, request_key};
use muster_core::table::Key;
use muster_http::problem::{Kind, Problem};

use crate::applicant::Applicant;

const HEADER: &str = "idempotency-key";
/// What most clients keep to, Stripe's among them.
pub const MAX_CHARS: usize = 255;

/// A key that came with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// Where its record is.
    pub record: Key,
    /// Digest of what is asked for.
    pub payload: String,
}

impl RequestKey {
    /// Reads the header, if there is one. A key is the client's own, and the
    /// route's.
    ///
    /// # Errors
    /// 400 for a header that is none.
    pub fn read(
        headers: &HeaderMap,
        client: &str,
        route: &str,
        applicant: &Applicant,
    ) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let key = value.to_str().map_err(|_| malformed())?.trim();
        if values.next().is_some() || key.is_empty() || key.len() > MAX_CHARS {
            return Err(malformed());
        }
        Ok(Some(Self {
            record: request_key(client, route, key),
            payload: payload(applicant),
        }))
    }
}

/// What is asked for, not how it was spelled: white space and the order of the
/// fields are no difference.
fn payload(applicant: &Applicant) -> String {
    let attributes = applicant.attributes.as_map().iter();
    let attributes = attributes.flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let person = [applicant.email.as_str(), applicant.name.as_str()];
    // The parts before it come in pairs, so it is taken for none of them.
    let locale = applicant.locale.as_ref().map(Locale::as_str);
    digest(person.into_iter().chain(attributes).chain(locale))
}

fn malformed() -> Problem {
    Problem::new(
        Kind::Malformed,
        format!("Idempotency-Key must be 1 to {MAX_CHARS} printable ASCII characters, given once"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::email::Email;
    use muster_core::person::{Attributes, Name};

    fn read(key: &str, name: &str) -> Result<Option<RequestKey>, Problem> {
        read_in(None, key, name)
    }

    fn read_in(locale: Option<&str>, key: &str, name: &str) -> Result<Option<RequestKey>, Problem> {
        let headers = HeaderMap::from_iter([(HEADER.parse().unwrap(), key.parse().unwrap())]);
        let applicant = Applicant {
            email: Email::parse("ada@example.com").unwrap(),
            name: Name::parse(name).unwrap(),
            locale: locale.map(|locale| Locale::parse(locale).unwrap()),
            attributes: Attributes::default(),
        };
        RequestKey::read(&headers, "client", "POST /profiles", &applicant)
    }

    #[test]
    fn the_payload_tells_one_request_from_another() {
        let key = read("k", "Ada").unwrap();
        assert_eq!(key, read(" k ", " Ada ").unwrap());
        let other = read("k", "Eva").unwrap().unwrap();
        let key = key.unwrap();
        assert_eq!(key.record, other.record);
        assert_ne!(key.payload, other.payload);
        let german = read_in(Some("de"), "k", "Ada").unwrap().unwrap();
        assert_ne!(key.payload, german.payload);
        assert_eq!(german, read_in(Some("DE"), "k", "Ada").unwrap().unwrap());
    }

    #[test]
    fn a_key_has_a_length() {
        assert!(read(&"k".repeat(255), "Ada").is_ok());
        for bad in ["", " ", &"k".repeat(256)] {
            assert_eq!(read(bad, "Ada").unwrap_err().kind(), Kind::Malformed);
        }
    }
}
