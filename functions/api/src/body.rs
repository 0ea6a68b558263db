//! What comes in as JSON: every bad field named at once.

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use muster_core::person::Attributes;
use muster_core::violation::Violation;
use serde_json::{Map, Value};

use crate::problem::{FieldError, Kind, Problem};

/// The longest body: room for the longest profile and its JSON.
pub const MAX_BODY_BYTES: usize = 32 * 1024;

/// The fields of a JSON object, taken one by one.
///
/// A field that breaks a rule is noted and the next one is looked at, so that
/// the answer names all of them. What was not taken by the end is unknown to
/// us, and said to be.
#[derive(Debug)]
pub struct Fields {
    fields: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Parses a body.
    ///
    /// # Errors
    /// 415, 413, or 400 with the line and column of the mistake.
    pub fn parse(headers: &HeaderMap, body: &Bytes) -> Result<Self, Problem> {
        if !is_json(headers) {
            return Err(Problem::new(
                Kind::UnsupportedMediaType,
                "send the body as application/json",
            ));
        }
        if body.len() > MAX_BODY_BYTES {
            return Err(Problem::new(
                Kind::TooLarge,
                format!("a body has at most {MAX_BODY_BYTES} bytes"),
            ));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self {
                fields,
                errors: Vec::new(),
            }),
            Ok(_) => Err(Problem::new(
                Kind::Malformed,
                "the body must be a JSON object",
            )),
            Err(error) => Err(Problem::new(
                Kind::Malformed,
                format!("the body is not JSON: {error}"),
            )),
        }
    }

    /// A text field that must be there, through its parser.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Violation>,
    ) -> Option<T> {
        let result = match self.fields.remove(name) {
            None | Some(Value::Null) => Err(Violation::new("missing", "this field is required")),
            Some(Value::String(text)) => parse(&text),
            Some(_) => Err(Violation::new("wrong_type", "this field must be a string")),
        };
        result
            .map_err(|violation| {
                self.errors
                    .push(FieldError::new(pointer(&[name]), violation))
            })
            .ok()
    }

    /// The attributes, if any are given.
    pub fn attributes(&mut self) -> Attributes {
        let given = match self.fields.remove("attributes") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(given)) => given,
            Some(_) => {
                let violation = Violation::new("wrong_type", "this field must be an object");
                self.errors.push(FieldError::new("/attributes", violation));
                Map::new()
            }
        };
        let (texts, others): (Vec<_>, Vec<_>) =
            given.into_iter().partition(|(_, value)| value.is_string());
        for (name, _) in others {
            let violation = Violation::new("wrong_type", "an attribute's value must be a string");
            self.errors
                .push(FieldError::new(pointer(&["attributes", &name]), violation));
        }
        let texts = texts.into_iter().filter_map(|(name, value)| match value {
            Value::String(text) => Some((name, text)),
            _ => None,
        });
        Attributes::parse(texts).unwrap_or_else(|violations| {
            self.errors
                .extend(violations.into_iter().map(|(name, violation)| {
                    // Rules about all of them together name none.
                    let about_all = matches!(
                        violation.code,
                        "too_many_attributes" | "attributes_too_long"
                    );
                    let path: &[&str] = if about_all {
                        &["attributes"]
                    } else {
                        &["attributes", &name]
                    };
                    FieldError::new(pointer(path), violation)
                }));
            Attributes::default()
        })
    }

    /// The end of the taking.
    ///
    /// # Errors
    /// 422 with every field that broke a rule or is unknown.
    pub fn finish(mut self) -> Result<(), Problem> {
        for name in self.fields.keys() {
            let violation = Violation::new("unknown", "there is no such field");
            self.errors
                .push(FieldError::new(pointer(&[name]), violation));
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.errors))
        }
    }
}

/// Whether the body says that it is JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// A JSON pointer, escaped as RFC 6901 section 3 says.
fn pointer(path: &[&str]) -> String {
    path.iter()
        .map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::email::Email;
    use muster_core::person::Name;

    fn fields(body: &str) -> Result<Fields, Problem> {
        let headers = HeaderMap::from_iter([(
            header::CONTENT_TYPE,
            "application/json; charset=utf-8".parse().unwrap(),
        )]);
        Fields::parse(&headers, &Bytes::from(body.to_owned()))
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let mut fields = fields(
            r#"{"email": "ada", "name": 7, "attributes": {"a/b": 1, "n": "\u0000"}, "admin": true}"#,
        )
        .unwrap();
        fields.required("email", Email::parse);
        fields.required("name", Name::parse);
        fields.attributes();
        let problem = fields.finish().unwrap_err();
        let found: Vec<_> = problem
            .errors()
            .iter()
            .map(|e| (e.pointer.as_str(), e.code))
            .collect();
        assert_eq!(
            found,
            [
                ("/email", "invalid_email"),
                ("/name", "wrong_type"),
                ("/attributes/a~1b", "wrong_type"),
                ("/attributes/n", "invalid_attribute"),
                ("/admin", "unknown"),
            ]
        );
    }

    #[test]
    fn malformed_json_says_where() {
        let problem = fields("{\n  \"email\": }").unwrap_err();
        assert_eq!(problem.kind(), Kind::Malformed);
        assert!(
            problem.detail().contains("line 2 column 12"),
            "{}",
            problem.detail()
        );
        assert_eq!(fields("[]").unwrap_err().kind(), Kind::Malformed);
        assert_eq!(
            fields(&" ".repeat(MAX_BODY_BYTES + 1)).unwrap_err().kind(),
            Kind::TooLarge
        );
    }

    #[test]
    fn only_json_is_read() {
        let problem = Fields::parse(&HeaderMap::new(), &Bytes::from_static(b"{}")).unwrap_err();
        assert_eq!(problem.kind(), Kind::UnsupportedMediaType);
    }
}
