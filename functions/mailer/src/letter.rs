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

/// A mail's struct gets its two templates, which know it as `mail`, and its
/// rendering.
macro_rules! letter {
    ($mail:ident, $text:literal, $html:literal) => {
        const _: () = {
            #[derive(Template)]
            #[template(path = $text)]
            struct Text<'a> {
                mail: &'a $mail<'a>,
            }

            #[derive(Template)]
            #[template(path = $html)]
            struct Html<'a> {
                mail: &'a $mail<'a>,
            }

            impl $mail<'_> {
                /// Renders subject, text and HTML.
                ///
                /// # Errors
                /// None that the templates of this crate can cause.
                pub fn render(&self) -> Result<Letter, askama::Error> {
                    Ok(Letter {
                        subject: self.subject(),
                        text: Text { mail: self }.render()?,
                        html: Html { mail: self }.render()?,
                    })
                }
            }
        };
    };
}

letter!(Confirm, "confirm.txt", "confirm.html");
letter!(ConfirmChange, "confirm_change.txt", "confirm_change.html");
letter!(
    AlreadyRegistered,
    "already_registered.txt",
    "already_registered.html"
);
letter!(
    AddressChanged,
    "address_changed.txt",
    "address_changed.html"
);

/// "Please confirm your address."
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
    /// The link that removes a sign-up that was somebody else's doing.
    pub not_me: Option<&'a str>,
}

impl Confirm<'_> {
    fn subject(&self) -> String {
        format!("Confirm your e-mail address for {}", self.product)
    }
}

/// "Please confirm your new address."
#[derive(Debug)]
pub struct ConfirmChange<'a> {
    /// What we are called.
    pub product: &'a str,
    /// How the person is greeted, if we know.
    pub name: Option<&'a str>,
    /// The link.
    pub url: &'a str,
    /// How many days the link works.
    pub days: u64,
}

impl ConfirmChange<'_> {
    fn subject(&self) -> String {
        format!("Confirm your new e-mail address for {}", self.product)
    }
}

/// "You have a profile already."
#[derive(Debug)]
pub struct AlreadyRegistered<'a> {
    /// What we are called.
    pub product: &'a str,
    /// How the person is greeted, if we know.
    pub name: Option<&'a str>,
}

impl AlreadyRegistered<'_> {
    fn subject(&self) -> String {
        format!("You already have a {} profile", self.product)
    }
}

/// "Your address was changed": to the old one.
#[derive(Debug)]
pub struct AddressChanged<'a> {
    /// What we are called.
    pub product: &'a str,
    /// How the person is greeted, if we know.
    pub name: Option<&'a str>,
}

impl AddressChanged<'_> {
    fn subject(&self) -> String {
        format!(
            "The e-mail address of your {} profile was changed",
            self.product
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "https://example.com/confirm?token=a.1.b";
    const NOT_ME: &str = "https://example.com/not-me?token=a.1.b";

    fn confirm(name: Option<&str>, not_me: Option<&str>) -> Letter {
        Confirm {
            product: "Muster & Sons",
            name,
            url: LINK,
            days: 3,
            not_me,
        }
        .render()
        .unwrap()
    }

    fn every(name: Option<&str>) -> Vec<Letter> {
        let product = "Muster & Sons";
        let change = ConfirmChange {
            product,
            name,
            url: LINK,
            days: 3,
        };
        vec![
            confirm(name, Some(NOT_ME)),
            change.render().unwrap(),
            AlreadyRegistered { product, name }.render().unwrap(),
            AddressChanged { product, name }.render().unwrap(),
        ]
    }

    #[test]
    fn both_parts_carry_the_links() {
        for letter in &every(None)[..2] {
            assert!(letter.text.contains(LINK));
            assert!(letter.html.contains(&format!("href=\"{LINK}\"")));
        }
        let letter = confirm(None, Some(NOT_ME));
        assert!(letter.text.contains(NOT_ME));
        assert!(letter.html.contains(&format!("href=\"{NOT_ME}\"")));
        let letter = confirm(None, None);
        assert!(!letter.text.contains("not-me") && !letter.html.contains("not-me"));
    }

    #[test]
    fn a_hostile_name_stays_text() {
        for letter in every(Some("<script>alert(1)</script>")) {
            assert!(!letter.html.contains("<script"));
            assert!(letter.html.contains("&#60;script&#62;"), "{}", letter.html);
            assert!(
                letter.text.contains("<script>"),
                "plain text is not escaped"
            );
        }
    }

    #[test]
    fn everybody_is_greeted_and_nobody_by_an_empty_name() {
        for letter in every(None) {
            assert!(letter.text.starts_with("Hello,"));
            assert!(letter.html.contains("Hello,"));
        }
        for letter in every(Some("Ada")) {
            assert!(letter.text.starts_with("Hello Ada,"));
            assert!(letter.html.contains("Hello Ada,"));
            assert!(letter.subject.contains("Muster & Sons"));
        }
    }
}
