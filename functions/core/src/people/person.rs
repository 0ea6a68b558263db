//! What people say of themselves besides their address: a name, attributes.

use std::collections::BTreeMap;
use std::fmt;

use crate::people::validation::Violation;

/// The longest name, in characters: longer than any passport's, short enough
/// for a mail header.
pub const MAX_NAME_CHARS: usize = 200;
/// The most attributes that one profile holds.
pub const MAX_ATTRIBUTES: usize = 50;
/// The longest attribute name, in characters.
pub const MAX_ATTRIBUTE_NAME_CHARS: usize = 64;
/// The longest attribute value, in bytes.
pub const MAX_ATTRIBUTE_VALUE_BYTES: usize = 1024;
/// The most bytes that all names and values of the attributes take together.
/// With the mail item beside it, a profile stays far below DynamoDB's 400 KB
/// an item, and 50 rows of an import below its 4 MB a transaction.
pub const MAX_ATTRIBUTES_BYTES: usize = 16 * 1024;

/// A person's name: not empty, one line, nothing invisible that turns text around.
#[derive(Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Parses what somebody typed; white space around it does not count.
    ///
    /// # Errors
    /// `missing_name`, `name_too_long`, `invalid_name`.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let name = text.trim();
        if name.is_empty() {
            return Err(Violation::new("missing_name", "a name is required"));
        }
        if name.chars().count() > MAX_NAME_CHARS {
            return Err(Violation::new(
                "name_too_long",
                format!("a name has at most {MAX_NAME_CHARS} characters"),
            ));
        }
        // Zero-width characters alone would greet nobody.
        if name.chars().any(spoils_a_line) || !name.chars().any(char::is_alphanumeric) {
            return Err(Violation::new(
                "invalid_name",
                "a name is one line of text with letters and without control characters",
            ));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Personal data: the name itself never reaches a log.
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name(…)")
    }
}

/// Control characters (a name goes into a mail header, where CR and LF start
/// a new one) and the bidirectional controls that make text lie.
pub fn spoils_a_line(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// What else is known of a person: names and values, both text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// Takes names and values as they came, in any order.
    ///
    /// # Errors
    /// Every broken rule with the name of the attribute that breaks it (the
    /// empty name for rules about all of them together).
    pub fn parse(
        given: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Vec<(String, Violation)>> {
        let mut attributes = BTreeMap::new();
        let mut violations = Vec::new();
        for (name, value) in given {
            if let Err(violation) = attribute_name(&name).and_then(|()| attribute_value(&value)) {
                violations.push((name, violation));
            } else {
                attributes.insert(name, value);
            }
        }
        if let Err(violation) = together(&attributes) {
            violations.push((String::new(), violation));
        }
        if violations.is_empty() {
            Ok(Self(attributes))
        } else {
            Err(violations)
        }
    }

    /// Names and values, sorted by name.
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

/// Personal data: only the names reach a log.
impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Whether an attribute may have this name.
///
/// # Errors
/// `invalid_attribute_name`.
pub fn attribute_name(name: &str) -> Result<(), Violation> {
    let chars = name.chars().count();
    if chars == 0
        || chars > MAX_ATTRIBUTE_NAME_CHARS
        || name.trim() != name
        || name.chars().any(spoils_a_line)
    {
        return Err(Violation::new(
            "invalid_attribute_name",
            format!(
                "an attribute's name has 1 to {MAX_ATTRIBUTE_NAME_CHARS} characters on one line and no white space around it"
            ),
        ));
    }
    Ok(())
}

fn attribute_value(value: &str) -> Result<(), Violation> {
    if value.len() > MAX_ATTRIBUTE_VALUE_BYTES {
        return Err(Violation::new(
            "attribute_too_long",
            format!("an attribute's value has at most {MAX_ATTRIBUTE_VALUE_BYTES} bytes"),
        ));
    }
    if value.contains('\0') {
        return Err(Violation::new(
            "invalid_attribute",
            "an attribute's value has no NUL character",
        ));
    }
    Ok(())
}

fn together(attributes: &BTreeMap<String, String>) -> Result<(), Violation> {
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(Violation::new(
            "too_many_attributes",
            format!("a profile has at most {MAX_ATTRIBUTES} attributes"),
        ));
    }
    let bytes: usize = attributes
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if bytes > MAX_ATTRIBUTES_BYTES {
        return Err(Violation::new(
            "attributes_too_long",
            format!(
                "the attributes of a profile have at most {MAX_ATTRIBUTES_BYTES} bytes together"
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_own_alphabet() {
        for name in [
            "Ada Lovelace",
            "Jürgen Groß",
            "王小明",
            "O'Brien-Smith, Jr.",
        ] {
            assert_eq!(Name::parse(&format!(" {name} ")).unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_cannot_start_a_header_or_turn_the_text() {
        let code = |text: &str| Name::parse(text).unwrap_err().code;
        assert_eq!(code(" "), "missing_name");
        assert_eq!(code("Ada\r\nBcc: all@example.com"), "invalid_name");
        assert_eq!(code("Ada\u{202E}cod.exe"), "invalid_name");
        assert_eq!(code("A\0da"), "invalid_name");
        assert_eq!(code("\u{200B}\u{FEFF}"), "invalid_name");
        assert_eq!(code(&"ü".repeat(201)), "name_too_long");
        assert!(Name::parse(&"ü".repeat(200)).is_ok());
    }

    #[test]
    fn every_bad_attribute_is_named() {
        let given = [
            ("", "x"),
            ("ok", "fine"),
            ("long", &"x".repeat(1025)),
            ("nul", "\0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let violations = Attributes::parse(given).unwrap_err();
        let codes: Vec<_> = violations
            .iter()
            .map(|(name, v)| (name.as_str(), v.code))
            .collect();
        assert_eq!(
            codes,
            [
                ("", "invalid_attribute_name"),
                ("long", "attribute_too_long"),
                ("nul", "invalid_attribute")
            ]
        );
    }

    #[test]
    fn what_is_as_long_as_it_may_be_is_taken() {
        let (name, value) = ("n".repeat(64), "v".repeat(1024));
        let longest = Attributes::parse([(name.clone(), value.clone())]).unwrap();
        assert_eq!(longest.as_map()[&name], value);
        let longer = Attributes::parse([(format!("{name}n"), value)]).unwrap_err();
        assert_eq!(longer[0].1.code, "invalid_attribute_name");
        // Sixteen names of 24 bytes with 1,000 bytes each: 16 KB.
        let fill = |last: usize| {
            let lengths = (0..16).map(|n| if n == 15 { last } else { 1000 });
            let lengths = lengths.enumerate();
            Attributes::parse(lengths.map(|(n, len)| (format!("{n:024}"), "v".repeat(len))))
        };
        assert!(fill(1000).is_ok());
        assert_eq!(fill(1001).unwrap_err()[0].1.code, "attributes_too_long");
    }

    #[test]
    fn attributes_have_a_limit_together() {
        let many = |count: usize, len: usize| {
            Attributes::parse((0..count).map(|n| (format!("a{n}"), "x".repeat(len))))
        };
        assert!(many(50, 10).is_ok());
        assert_eq!(many(51, 10).unwrap_err()[0].1.code, "too_many_attributes");
        assert_eq!(many(20, 1000).unwrap_err()[0].1.code, "attributes_too_long");
    }
}
