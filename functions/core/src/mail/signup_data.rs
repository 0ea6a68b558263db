//! What a person says of themselves at a sign-up.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::people::locale::Locale;

/// What a person says of themselves when they sign up.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignupData {
    /// The name.
    pub name: String,
    /// The language of the mails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// Whatever else.
    pub attributes: BTreeMap<String, String>,
}

impl SignupData {
    /// Data of the same shape and of as many bytes that say nothing of the person.
    /// The name counts twice: a mail that holds data greets by it, too.
    #[must_use]
    pub fn blank(&self) -> Self {
        // Fifty characters that JSON writes as they are.
        let attributes = self.attributes.iter().zip(b'#'..);
        let attributes = attributes
            .map(|((name, value), first)| (blank_key(name, char::from(first)), blank(value)));
        Self {
            name: blank(&self.name).repeat(2),
            locale: self.locale.clone(),
            attributes: attributes.collect(),
        }
    }
}

/// Dashes, but for what JSON writes in more bytes than it has.
fn blank(text: &str) -> String {
    let mut blank = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => blank.push(c),
            c if c.is_ascii_control() => blank.push(c),
            c => blank.extend(std::iter::repeat_n('-', c.len_utf8())),
        }
    }
    blank
}

/// The same of a name among others, from which its first byte tells it.
fn blank_key(name: &str, first: char) -> String {
    let mut chars = name.chars();
    let rest = match chars.next() {
        Some('"' | '\\') => 1,
        Some(c) => c.len_utf8() - 1,
        None => 0,
    };
    format!("{first}{}{}", "-".repeat(rest), blank(chars.as_str()))
}

/// Personal data: only how much there is of it reaches a log.
impl fmt::Debug for SignupData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignupData")
            .field("attributes", &self.attributes.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(name: &str, attributes: &[(&str, &str)]) -> SignupData {
        let attributes = attributes.iter();
        SignupData {
            name: name.to_owned(),
            locale: Some(Locale::parse("de").unwrap()),
            attributes: attributes
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    fn bytes(data: &SignupData) -> usize {
        serde_json::to_string(data).unwrap().len()
    }

    #[test]
    fn filler_has_as_many_bytes_as_data_and_none_of_them() {
        let attributes = [
            ("a", "Rue \"X\"\n\\"),
            ("b", "ß"),
            ("größe", "180"),
            ("ö", ""),
            ("\"quoted\"", "\u{1}"),
            ("\\", "C:\\"),
        ];
        let data = data("Jürgen", &attributes);
        let filler = data.blank();
        assert_eq!(bytes(&filler), bytes(&data) + "Jürgen".len());
        assert_eq!(filler.attributes.len(), data.attributes.len());
        let attributes = filler.attributes.iter();
        let said: String = attributes
            .flat_map(|(name, value)| [&**name, value])
            .collect();
        assert!(!said.chars().any(char::is_alphabetic), "{said}");
        assert!(!filler.name.chars().any(char::is_alphabetic));
    }

    #[test]
    fn fifty_names_of_one_letter_stay_fifty() {
        let names: Vec<_> = (0..50u8)
            .map(|n| char::from(b'A' + n).to_string())
            .collect();
        let attributes: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
        let data = data("Ada", &attributes);
        assert_eq!(data.blank().attributes.len(), 50);
        assert_eq!(bytes(&data.blank()), bytes(&data) + 3);
    }

    #[test]
    fn what_somebody_said_stays_out_of_logs() {
        let said = format!("{:?}", data("Ada Lovelace", &[("city", "London")]));
        assert_eq!(said, "SignupData { attributes: 1, .. }");
    }
}
