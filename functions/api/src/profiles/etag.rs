//! `ETag` and `If-Match`: a change is made to the version that was looked at, or
//! not at all (RFC 9110 section 13.1.1).

use axum::http::{HeaderMap, header};
use muster_http::problem::{Kind, Problem};

use crate::problems::malformed_if_match;

/// The entity tag of a version.
pub(crate) fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

/// Which versions a request is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// `*`: whichever there is.
    Any,
    /// Any of these entity tags.
    Tags(Vec<String>),
}

impl IfMatch {
    /// Reads the header, if there is one.
    ///
    /// # Errors
    /// 400 for a header that is none.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let values: Vec<_> = headers.get_all(header::IF_MATCH).iter().collect();
        if values.is_empty() {
            return Ok(None);
        }
        let text = values
            .into_iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect::<Vec<_>>()
            .join(",");
        if text.trim() == "*" {
            return Ok(Some(Self::Any));
        }
        // A tag may hold commas, and a list may have nothing between two of
        // them (RFC 9110 sections 8.8.3 and 5.6.1.2).
        let mut quoted = false;
        let tags: Vec<_> = text
            .split(|c| {
                quoted ^= c == '"';
                c == ',' && !quoted
            })
            .map(|tag| tag.trim().to_owned())
            .filter(|tag| !tag.is_empty())
            .collect();
        if !tags.is_empty() && tags.iter().all(|tag| is_tag(tag)) {
            Ok(Some(Self::Tags(tags)))
        } else {
            Err(malformed_if_match())
        }
    }

    /// Reads the header of a request that needs one.
    ///
    /// # Errors
    /// 428 if there is none, 400 for one that is none.
    pub(crate) fn required(headers: &HeaderMap) -> Result<Self, Problem> {
        Self::read(headers)?.ok_or_else(|| {
            Problem::new(
                Kind::PreconditionRequired,
                "send the ETag of the version that you mean to change as If-Match",
            )
        })
    }

    /// Whether this version is meant. A weak tag means none (RFC 9110 section
    /// 8.8.3.2).
    pub(crate) fn allows(&self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.contains(&etag(version)),
        }
    }
}

fn is_tag(text: &str) -> bool {
    let tag = text.strip_prefix("W/").unwrap_or(text);
    tag.strip_prefix('"')
        .and_then(|tag| tag.strip_suffix('"'))
        .is_some_and(|tag| tag.chars().all(|c| c > ' ' && !matches!(c, '"' | '\x7f')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<IfMatch>, Problem> {
        let headers = HeaderMap::from_iter([(header::IF_MATCH, text.parse().unwrap())]);
        IfMatch::read(&headers)
    }

    #[test]
    fn a_tag_means_its_version_and_a_star_means_any() {
        assert!(read("\"3\"").unwrap().unwrap().allows(3));
        assert!(read("\"1\", \"3\"").unwrap().unwrap().allows(3));
        assert!(read("*").unwrap().unwrap().allows(3));
        assert!(!read("\"2\"").unwrap().unwrap().allows(3));
        assert!(!read("W/\"3\"").unwrap().unwrap().allows(3));
        assert!(read("\"a,\u{e9}\",, \"3\" ,").unwrap().unwrap().allows(3));
    }

    #[test]
    fn what_is_no_tag_is_malformed_if_match() {
        for text in [
            "3",
            "\"3",
            "",
            ",",
            "*,\"3\"",
            "\"\"\"",
            "\"3\" \"3\"",
            "\"a b\"",
        ] {
            assert_eq!(read(text).unwrap_err().kind(), Kind::Malformed, "{text}");
        }
        let missing = IfMatch::required(&HeaderMap::new()).unwrap_err();
        assert_eq!(missing.kind(), Kind::PreconditionRequired);
    }
}
