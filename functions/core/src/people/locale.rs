//! Which language somebody is written to in.

use serde::{Deserialize, Serialize};

use crate::people::validation::Violation;

/// The most variants that a tag has: as many as the longest row of them that is
/// registered, `sl-rozaj-biske-1994`.
pub const MAX_VARIANTS: usize = 3;

/// A language, and where and how it is written: a tag of BCP 47, made of
/// `language-Script-REGION-variant`, all but the first optional.
///
/// Extensions, private use and the tags that only a list knows (`i-klingon`)
/// are not taken: none of them changes what a mail says. Which languages the
/// mails are in is no matter here, as one more may be tomorrow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Locale(String);

/// A language that mails can be in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    /// What every mail can be in.
    #[default]
    English,
    /// German.
    German,
}

impl Locale {
    /// Parses a tag. Case does not count, and is made the usual one.
    ///
    /// # Errors
    /// `invalid_locale`.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        canonical(text).map(Self).ok_or_else(|| {
            Violation::new(
                "invalid_locale",
                "a language tag such as de, de-AT or zh-Hant-TW, without extensions",
            )
        })
    }

    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The language of mails that it leads to, if there is one.
    pub fn language(&self) -> Option<Language> {
        match self.0.split('-').next() {
            Some("en") => Some(Language::English),
            Some("de") => Some(Language::German),
            _ => None,
        }
    }
}

impl TryFrom<String> for Locale {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).map_err(|violation| violation.detail)
    }
}

impl From<Locale> for String {
    fn from(locale: Locale) -> Self {
        locale.0
    }
}

impl std::str::FromStr for Language {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "en" => Ok(Self::English),
            "de" => Ok(Self::German),
            _ => Err("must be en or de"),
        }
    }
}

/// The places of a tag, in their order.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Place {
    Language,
    Script,
    Region,
    Variant,
}

/// The tag as RFC 5646 section 2.1.1 spells it; none if it is no tag.
fn canonical(text: &str) -> Option<String> {
    let mut subtags = text.split('-');
    let language = subtags.next()?;
    if !(matches!(language.len(), 2 | 3) && is_alphabetic(language)) {
        return None;
    }
    let mut tag = language.to_ascii_lowercase();
    let (mut last, mut variants) = (Place::Language, 0);
    for subtag in subtags {
        let place = place(subtag)?;
        variants += usize::from(place == Place::Variant);
        if place < last || (place == last && place != Place::Variant) || variants > MAX_VARIANTS {
            return None;
        }
        last = place;
        tag.push('-');
        tag.push_str(&spelled(subtag, place));
    }
    Some(tag)
}

/// Where a subtag behind the language stands: its shape tells.
fn place(subtag: &str) -> Option<Place> {
    let alphanumeric = subtag.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let starts_with_digit = subtag.starts_with(|c: char| c.is_ascii_digit());
    match subtag.len() {
        2 if is_alphabetic(subtag) => Some(Place::Region),
        3 if subtag.bytes().all(|byte| byte.is_ascii_digit()) => Some(Place::Region),
        4 if is_alphabetic(subtag) => Some(Place::Script),
        4 if alphanumeric && starts_with_digit => Some(Place::Variant),
        5..=8 if alphanumeric => Some(Place::Variant),
        _ => None,
    }
}

fn is_alphabetic(subtag: &str) -> bool {
    subtag.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn spelled(subtag: &str, place: Place) -> String {
    let mut spelled = subtag.to_ascii_lowercase();
    match place {
        Place::Region => spelled.make_ascii_uppercase(),
        Place::Script => spelled[..1].make_ascii_uppercase(),
        Place::Language | Place::Variant => {}
    }
    spelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_kept_in_its_usual_spelling() {
        for (typed, kept) in [
            ("de", "de"),
            ("DE-at", "de-AT"),
            ("en-gb", "en-GB"),
            ("es-419", "es-419"),
            ("ZH-hant-tw", "zh-Hant-TW"),
            ("gsw", "gsw"),
            ("de-CH-1901", "de-CH-1901"),
            ("ca-Valencia", "ca-valencia"),
            ("sl-Rozaj-biske-1994", "sl-rozaj-biske-1994"),
            ("de-Latn-DE-1996", "de-Latn-DE-1996"),
        ] {
            assert_eq!(Locale::parse(typed).unwrap().as_str(), kept);
        }
    }

    #[test]
    fn what_is_no_tag_says_so() {
        for text in [
            "",
            " ",
            "d",
            "deutsch",
            "german",
            "de ",
            " de",
            "de_AT",
            "de-",
            "-de",
            "de--AT",
            "de-A",
            "de-AT-CH",
            "de-AT-Latn",
            "de-Latn-Latn",
            "de-1901-AT",
            "de-u-co-phonebk",
            "de-x-mine",
            "x-mine",
            "i-klingon",
            "12",
            "d1",
            "de-12",
            "*",
            "../../de",
            "de/../en",
            "de\0",
            "de\n",
            "de\r\nBcc: all@example.com",
            "\u{202e}de",
            "de\u{200b}",
            "dé",
            "\u{ff44}\u{ff45}",
            "<b>",
            "de-<script",
            "de-1<b>",
            "de-toolonger",
            "de-variant1-variant2-variant3-variant4",
            &"de-".repeat(10_000),
        ] {
            let violation = Locale::parse(text).unwrap_err();
            assert_eq!(violation.code, "invalid_locale", "{text:?}");
        }
    }

    #[test]
    fn only_the_language_chooses_the_language() {
        let language = |text: &str| Locale::parse(text).unwrap().language();
        for text in ["de", "de-AT", "DE-Latn-ch", "de-1996"] {
            assert_eq!(language(text), Some(Language::German), "{text}");
        }
        for text in ["en", "EN-gb", "en-001"] {
            assert_eq!(language(text), Some(Language::English), "{text}");
        }
        for text in ["fr", "den", "eng", "deu", "und", "nds-DE", "gsw-CH"] {
            assert_eq!(language(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_stored_is_read_with_the_same_care() {
        let locale: Locale = serde_json::from_str("\"de-at\"").unwrap();
        assert_eq!(serde_json::to_string(&locale).unwrap(), "\"de-AT\"");
        assert!(serde_json::from_str::<Locale>("\"de_AT\"").is_err());
    }
}
