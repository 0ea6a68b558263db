//! What comes in as JSON: every bad field named at once.

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use muster_core::people::person::Attributes;
use muster_core::people::validation::Violation;
use serde_json::{Map, Value};

use crate::json;
use crate::problem::{FieldError, Kind, Problem};

/// The longest body: a person and what is known of them. (An import may bring
/// more for one profile: a row has no names and no JSON around its values.)
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// The type of a body that describes something whole.
pub const JSON: &str = "application/json";
/// The type of a body that says what changes: RFC 7396.
pub const MERGE_PATCH: &str = "application/merge-patch+json";

/// The members of an object whose values are texts, or null.
pub type Members = Vec<(String, Option<String>)>;

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
    /// Parses a JSON body.
    ///
    /// # Errors
    /// 415, 413, or 400 with the line and column of the mistake.
    pub fn parse(headers: &HeaderMap, body: &Bytes) -> Result<Self, Problem> {
        Self::parse_as(&[JSON], headers, body)
    }

    /// Parses a body of one of these types, all of them JSON.
    ///
    /// # Errors
    /// 415, 413, or 400 with the line and column of the mistake.
    pub fn parse_as(types: &[&str], headers: &HeaderMap, body: &Bytes) -> Result<Self, Problem> {
        if !types.iter().any(|media_type| is(media_type, headers)) {
            return Err(Problem::new(
                Kind::UnsupportedMediaType,
                format!("send the body as {}", types.join(" or ")),
            ));
        }
        not_too_long(body)?;
        match json::parse(body) {
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
                format!("the body cannot be read as JSON: {error}"),
            )),
        }
    }

    /// A text field that must be there, through its parser.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Violation>,
    ) -> Option<T> {
        match self.fields.remove(name) {
            None | Some(Value::Null) => {
                self.refuse(&[name], Violation::new("missing", "this field is required"));
                None
            }
            Some(value) => self.text(name, value, parse),
        }
    }

    /// A text field that may be missing, but not null.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Violation>,
    ) -> Option<T> {
        let value = self.fields.remove(name)?;
        self.text(name, value, parse)
    }

    /// A text field that may be missing, or null.
    pub fn nullable<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Violation>,
    ) -> Option<Option<T>> {
        match self.fields.remove(name)? {
            Value::Null => Some(None),
            value => self.text(name, value, parse).map(Some),
        }
    }

    /// A field of any shape that may be missing.
    pub fn value<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(Value) -> Result<T, Violation>,
    ) -> Option<T> {
        let value = self.fields.remove(name)?;
        parse(value)
            .map_err(|violation| self.refuse(&[name], violation))
            .ok()
    }

    fn text<T>(
        &mut self,
        name: &'static str,
        value: Value,
        parse: impl FnOnce(&str) -> Result<T, Violation>,
    ) -> Option<T> {
        let result = match value {
            Value::String(text) => parse(&text),
            _ => Err(Violation::new("wrong_type", "this field must be a string")),
        };
        result
            .map_err(|violation| self.refuse(&[name], violation))
            .ok()
    }

    /// The attributes, if any are given.
    pub fn attributes(&mut self) -> Attributes {
        let Some(Some(given)) = self.members("attributes") else {
            return Attributes::default();
        };
        let mut texts = Vec::new();
        for (name, value) in given {
            match value {
                Some(text) => texts.push((name, text)),
                None => self.refuse(&["attributes", &name], not_a_text()),
            }
        }
        Attributes::parse(texts).unwrap_or_else(|violations| {
            self.errors
                .extend(violations.into_iter().map(attribute_error));
            Attributes::default()
        })
    }

    /// The names and texts of an object that may be missing, or null; a text
    /// may be null, too.
    pub fn members(&mut self, name: &'static str) -> Option<Option<Members>> {
        let given = match self.fields.remove(name)? {
            Value::Null => return Some(None),
            Value::Object(given) => given,
            _ => {
                let violation = Violation::new("wrong_type", "this field must be an object");
                self.refuse(&[name], violation);
                return None;
            }
        };
        let mut members = Vec::new();
        for (member, value) in given {
            match value {
                Value::String(text) => members.push((member, Some(text))),
                Value::Null => members.push((member, None)),
                _ => self.refuse(&[name, &member], not_a_text()),
            }
        }
        Some(Some(members))
    }

    /// Whether no field has broken a rule so far.
    pub const fn is_fine(&self) -> bool {
        self.errors.is_empty()
    }

    /// Notes that a field breaks a rule.
    pub fn refuse(&mut self, path: &[&str], violation: Violation) {
        self.errors.push(FieldError::at(pointer(path), violation));
    }

    /// The end of the taking.
    ///
    /// # Errors
    /// 422 with every field that broke a rule or is unknown.
    pub fn finish(mut self) -> Result<(), Problem> {
        for name in self.fields.keys() {
            let violation = Violation::new("unknown", "there is no such field");
            self.errors
                .push(FieldError::at(pointer(&[name]), violation));
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.errors))
        }
    }
}

/// A rule about an attribute that was broken, and where: rules about all of
/// them together name none.
pub fn attribute_error((name, violation): (String, Violation)) -> FieldError {
    let about_all = matches!(
        violation.code,
        "too_many_attributes" | "attributes_too_long"
    );
    let path: &[&str] = if about_all {
        &["attributes"]
    } else {
        &["attributes", &name]
    };
    FieldError::at(pointer(path), violation)
}

fn not_a_text() -> Violation {
    Violation::new("wrong_type", "an attribute's value must be a string")
}

/// Whether a body is one that we read at all.
///
/// # Errors
/// 413 for one that is too long.
pub fn not_too_long(body: &Bytes) -> Result<(), Problem> {
    if body.len() > MAX_BODY_BYTES {
        return Err(Problem::new(
            Kind::TooLarge,
            format!("a body has at most {MAX_BODY_BYTES} bytes"),
        ));
    }
    Ok(())
}

/// Whether the body says that it is of a type.
pub fn is(media_type: &str, headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case(media_type))
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
    use crate::problem::Place;
    use muster_core::people::email::Email;
    use muster_core::people::person::Name;

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
            .map(|error| match &error.place {
                Place::Pointer(pointer) => (pointer.as_str(), error.code),
                Place::Parameter(name) => panic!("{name} is no field"),
            })
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
