//! `Idempotency-Key`: the same request twice does its work once.

use axum::http::HeaderMap;
use muster_core::people::idempotency::request_key;
use muster_core::platform::table::Key;
use muster_http::problem::{Kind, Problem};

const HEADER: &str = "idempotency-key";
/// What most clients keep to, Stripe's among them.
pub(crate) const MAX_CHARS: usize = 255;

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
    /// route's; `payload` tells what is asked for from anything else.
    ///
    /// # Errors
    /// 400 for a header that is none.
    pub fn read(
        headers: &HeaderMap,
        client: &str,
        route: &str,
        payload: String,
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
            payload,
        }))
    }
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

    fn read(key: &str) -> Result<Option<RequestKey>, Problem> {
        let headers = HeaderMap::from_iter([(HEADER.parse().unwrap(), key.parse().unwrap())]);
        RequestKey::read(&headers, "client", "POST /profiles", "payload".to_owned())
    }

    #[test]
    fn white_space_around_a_key_does_not_count() {
        assert_eq!(read("k").unwrap(), read(" k ").unwrap());
    }

    #[test]
    fn a_key_has_a_length() {
        assert!(read(&"k".repeat(255)).is_ok());
        for bad in ["", " ", &"k".repeat(256)] {
            assert_eq!(read(bad).unwrap_err().kind(), Kind::Malformed);
        }
    }
}
