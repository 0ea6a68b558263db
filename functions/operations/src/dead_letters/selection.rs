//! Which dead letters: all, or those that are named. Never none by mistake, and
//! never all by an empty body.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::http::HeaderMap;
use muster_core::people::validation::Violation;
use muster_http::body::Fields;
use muster_http::problem::Problem;
use muster_http::query::MAX_LIMIT;
use serde_json::Value;

/// The longest id of a letter that is looked for: SQS's have 36 characters.
pub(crate) const MAX_ID_CHARS: usize = 100;

/// Which dead letters are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All there are.
    All,
    /// Those with these ids.
    Some(BTreeSet<String>),
}

impl Selection {
    /// Reads a body: `{"all": true}` or `{"ids": ["…"]}`.
    ///
    /// # Errors
    /// 400, 413 or 415 for what is no such JSON, 422 for what selects nothing
    /// or two things.
    pub fn read(headers: &HeaderMap, body: &Bytes) -> Result<Self, Problem> {
        let mut fields = Fields::parse(headers, body)?;
        let all = fields.value("all", all);
        let ids = fields.value("ids", ids);
        if fields.is_fine() {
            match (&all, &ids) {
                (Some(()), Some(_)) => fields.refuse(
                    &["ids"],
                    Violation::new("ambiguous", "send all or ids, not both"),
                ),
                (None, None) => fields.refuse(
                    &["ids"],
                    Violation::new("missing", "send the ids, or all as true"),
                ),
                _ => {}
            }
        }
        fields.finish()?;
        Ok(ids.map_or(Self::All, Self::Some))
    }

    /// Whether a letter is meant.
    pub fn has(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(ids) => ids.contains(id),
        }
    }
}

fn all(value: Value) -> Result<(), Violation> {
    match value {
        Value::Bool(true) => Ok(()),
        _ => Err(Violation::new("not_true", "this field is true, or missing")),
    }
}

fn ids(value: Value) -> Result<BTreeSet<String>, Violation> {
    let ids: Option<BTreeSet<_>> = match value {
        Value::Array(ids) if (1..=MAX_LIMIT).contains(&ids.len()) => {
            ids.into_iter().map(id).collect()
        }
        _ => None,
    };
    ids.ok_or_else(|| {
        Violation::new(
            "invalid_ids",
            format!("a list of 1 to {MAX_LIMIT} ids, as the list of dead letters has them"),
        )
    })
}

fn id(value: Value) -> Option<String> {
    match value {
        Value::String(id) if (1..=MAX_ID_CHARS).contains(&id.chars().count()) => Some(id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header;

    fn read(body: &str) -> Result<Selection, Problem> {
        let json = "application/json".parse().unwrap();
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, json)]);
        Selection::read(&headers, &Bytes::from(body.to_owned()))
    }

    #[test]
    fn it_is_all_or_some() {
        assert_eq!(read(r#"{"all": true}"#).unwrap(), Selection::All);
        let some = read(r#"{"ids": ["b", "a", "b"]}"#).unwrap();
        assert_eq!(some, Selection::Some(["a", "b"].map(str::to_owned).into()));
        assert!(some.has("a") && !some.has("c"));
    }

    #[test]
    fn what_selects_nothing_or_two_things_says_why() {
        for (body, code) in [
            ("{}", "missing"),
            (r#"{"all": false}"#, "not_true"),
            (r#"{"all": null}"#, "not_true"),
            (r#"{"all": "true"}"#, "not_true"),
            (r#"{"ids": []}"#, "invalid_ids"),
            (r#"{"ids": "a"}"#, "invalid_ids"),
            (r#"{"ids": ["a", 1]}"#, "invalid_ids"),
            (r#"{"ids": [""]}"#, "invalid_ids"),
            (r#"{"all": true, "ids": ["a"]}"#, "ambiguous"),
            (r#"{"all": true, "queue": "mail"}"#, "unknown"),
        ] {
            let problem = read(body).unwrap_err();
            assert_eq!(problem.errors()[0].code, code, "{body}");
        }
        let many = format!(r#"{{"ids": [{}"a"]}}"#, r#""a","#.repeat(MAX_LIMIT));
        assert_eq!(read(&many).unwrap_err().errors()[0].code, "invalid_ids");
    }
}
