//! The words of each mail: a typed struct with a subject, a text and an HTML
//! template.

use askama::Template;

/// A mail, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// One line.
    pub subject: String,
    /// For programs that show no HTML.
    pub text: String,
    /// For those that do.
    pub html: String,
}

/// "Please confirm your address."
#[derive(Template)]
#[template(path = "confirm.txt")]
struct ConfirmText<'a> {
    confirm: &'a Confirm<'a>,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmHtml<'a> {
    confirm: &'a Confirm<'a>,
}

/// What a confirmation mail says.
#[derive(Debug)]
pub struct Confirm<'a> {
    /// What we are called.
    pub product: &'a str,
    /// How the person is greeted, if we know.
    pub name: Option<&'a str>,
    /// The link.
    pub url: &'a str,
    /// How many days the link works.
    pub days: u64,
}

impl Confirm<'_> {
    /// Renders subject, text and HTML.
    ///
    /// # Errors
    /// None that the templates of this crate can cause.
    pub fn render(&self) -> Result<Letter, askama::Error> {
        Ok(Letter {
            subject: format!("Confirm your e-mail address for {}", self.product),
            text: ConfirmText { confirm: self }.render()?,
            html: ConfirmHtml { confirm: self }.render()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(name: Option<&str>) -> Letter {
        Confirm {
            product: "Muster & Sons",
            name,
            url: "https://example.com/confirm?token=a.1.b",
            days: 3,
        }
        .render()
        .unwrap()
    }

    #[test]
    fn both_parts_carry_the_link() {
        let letter = letter(Some("Ada"));
        assert!(
            letter
                .text
                .contains("https://example.com/confirm?token=a.1.b")
        );
        assert!(
            letter
                .html
                .contains("href=\"https://example.com/confirm?token=a.1.b\"")
        );
        assert!(letter.text.starts_with("Hello Ada,"));
        assert_eq!(
            letter.subject,
            "Confirm your e-mail address for Muster & Sons"
        );
    }

    #[test]
    fn a_hostile_name_stays_text() {
        let letter = letter(Some("<script>alert(1)</script>"));
        assert!(!letter.html.contains("<script"));
        assert!(letter.html.contains("&#60;script&#62;"), "{}", letter.html);
        assert!(
            letter.text.contains("<script>"),
            "plain text is not escaped"
        );
    }

    #[test]
    fn nobody_is_greeted_by_an_empty_name() {
        assert!(letter(None).text.starts_with("Hello,"));
        assert!(letter(None).html.contains("Hello,"));
    }
}
