//! What all mails of a deployment have in common: its name, its colour, its
//! footer, its language.

use std::fmt;
use std::str::FromStr;

use muster_core::people::locale::Language;
use muster_core::people::person::spoils_a_line;

/// The longest line, in characters: longer than any company's address.
const MAX_LINE_CHARS: usize = 300;

/// The contrast that WCAG 2.2 asks for between a text and what is behind it
/// (success criterion 1.4.3, level AA).
const ENOUGH_CONTRAST: f64 = 4.5;

/// What every mail has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letterhead {
    /// What we are called.
    pub product: Line,
    /// What buttons are filled with.
    pub accent: Colour,
    /// What stands under each mail: who we are, and where.
    pub footer: Option<Line>,
    /// What mails are in if somebody's language is not known, or not ours.
    pub language: Language,
}

/// One line of text: a product's name is part of a subject, which is a header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line(String);

/// A colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Colour([u8; 3]);

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let line = text.trim();
        let length = line.chars().count();
        if length == 0 || length > MAX_LINE_CHARS || line.chars().any(spoils_a_line) {
            return Err(format!(
                "must be one line of 1 to {MAX_LINE_CHARS} characters, without control characters"
            ));
        }
        Ok(Self(line.to_owned()))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Colour {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
            let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let colour = is_hex.then(|| u32::from_str_radix(digits, 16).ok())??;
            let [_, red, green, blue] = colour.to_be_bytes();
            Some(Self([red, green, blue]))
        };
        parse().ok_or("must be a colour of the form #rrggbb, such as #1d4ed8")
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl Colour {
    const BLACK: Self = Self([0; 3]);
    const WHITE: Self = Self([255; 3]);

    /// What can be read on it: white if it can, else black. One of the two
    /// always can, so that no colour need be refused.
    pub fn ink(self) -> Self {
        if self.contrast(Self::WHITE) >= ENOUGH_CONTRAST {
            Self::WHITE
        } else {
            Self::BLACK
        }
    }

    /// The contrast ratio of WCAG: from 1 (none) to 21 (black and white).
    fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance(), other.luminance());
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// How bright it is, as WCAG defines relative luminance.
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|channel| {
            let share = f64::from(channel) / 255.0;
            if share <= 0.04045 {
                share / 12.92
            } else {
                ((share + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_can_be_read_on_every_colour() {
        let steps = || (0..=255).step_by(5);
        for red in steps() {
            for green in steps() {
                for blue in steps() {
                    let colour = Colour([red, green, blue]);
                    let contrast = colour.contrast(colour.ink());
                    assert!(contrast >= ENOUGH_CONTRAST, "{colour}: {contrast}");
                }
            }
        }
    }

    #[test]
    fn contrast_is_what_wcag_says() {
        let of = |colour: &str| colour.parse::<Colour>().unwrap();
        let close = |found: f64, expected: f64| (found - expected).abs() < 0.01;
        assert!(close(of("#ffffff").contrast(of("#000000")), 21.0));
        assert!(close(of("#777777").contrast(of("#ffffff")), 4.48));
        assert!(close(of("#ff0000").contrast(of("#FFFFFF")), 4.0));
        assert_eq!(of("#1d4ed8").ink(), Colour::WHITE);
        assert_eq!(of("#777777").ink(), Colour::BLACK);
        assert_eq!(of("#FDE047").to_string(), "#fde047");
        assert_eq!(of("#FDE047").ink(), Colour::BLACK);
    }

    #[test]
    fn what_is_no_colour_is_refused() {
        for text in [
            "",
            "#",
            "blue",
            "1d4ed8",
            "#fff",
            "#1d4ed8ff",
            "#1d4ed",
            "#+1d4ed",
            "#-1d4ed",
            "#1d4edg",
            " #1d4ed8",
            "#1d4ed8;",
            "#000\"><b>",
            "#\u{e9}\u{e9}\u{e9}",
            "rgb(0,0,0)",
        ] {
            assert!(text.parse::<Colour>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(
            " Muster & Söhne ".parse::<Line>().unwrap().to_string(),
            "Muster & Söhne"
        );
        let long = "x".repeat(MAX_LINE_CHARS + 1);
        for text in [
            "",
            " \t",
            "a\r\nBcc: b",
            "a\nb",
            "a\0b",
            "a\u{2028}b",
            "a\u{202e}b",
            &long,
        ] {
            assert!(text.parse::<Line>().is_err(), "{text:?}");
        }
    }
}
