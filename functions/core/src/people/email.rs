//! E-mail addresses.

use std::fmt;

use email_address::{EmailAddress, Options};
use unicode_normalization::UnicodeNormalization;

use crate::people::validation::Violation;

/// The longest address, in bytes: RFC 5321 section 4.5.3.1.3 gives a path 256
/// octets including its angle brackets.
pub const MAX_EMAIL_BYTES: usize = 254;

/// An address that parsed: as it was typed, and as it is compared.
///
/// Two addresses are the same person's when their [`key`](Self::key)s are
/// equal: the domain in its ASCII form, both parts in lower case. RFC 5321 would let a server tell `Ada@` from `ada@`; none that
/// people use does. Dots and `+tags` are kept: what they mean is the
/// provider's business.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email {
    typed: String,
    key: String,
}

impl Email {
    /// Parses what somebody typed; white space around it does not count.
    ///
    /// # Errors
    /// `missing_email` for nothing at all; `email_too_long`, `invalid_email` and
    /// `email_not_ascii` as they say.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        // One spelling for what looks the same: the `ü` of a domain may be typed as
        // one character or as two.
        let typed: String = text.trim().nfc().collect();
        if typed.is_empty() {
            return Err(Violation::new(
                "missing_email",
                "an e-mail address is required",
            ));
        }
        if typed.len() > MAX_EMAIL_BYTES {
            return Err(Violation::new(
                "email_too_long",
                format!("an e-mail address has at most {MAX_EMAIL_BYTES} bytes"),
            ));
        }
        let options = Options::default()
            .with_required_tld()
            .without_domain_literal()
            .without_display_text();
        let parsed = EmailAddress::parse_with_options(&typed, options).map_err(|_| invalid())?;
        // Quoted local parts (`"a b"@…`) are legal, all but unused, and a
        // favourite of header injection; SES refuses most of them.
        let local = parsed.local_part();
        if local.starts_with('"') || typed.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(invalid());
        }
        // SES has no SMTPUTF8: it refuses every mail to such an address. (The domain
        // has an ASCII form; the local part has none.)
        if !local.is_ascii() {
            return Err(Violation::new(
                "email_not_ascii",
                "mail cannot be sent to an address with letters other than a-z before the @; \
                 use another address",
            ));
        }
        let domain = idna::domain_to_ascii_strict(parsed.domain()).map_err(|_| invalid())?;
        let local = local.to_ascii_lowercase();
        Ok(Self {
            key: format!("{local}@{domain}"),
            typed,
        })
    }

    /// The address as it was typed: shown, and written to.
    pub fn as_str(&self) -> &str {
        &self.typed
    }

    /// The address as it is compared and locked.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Personal data: the address itself never reaches a log.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

fn invalid() -> Violation {
    Violation::new(
        "invalid_email",
        "not an e-mail address of the form name@example.com",
    )
}

/// An address for a mail server: as it was typed, with the domain in its ASCII
/// form, which the key has.
pub fn for_server(typed: &str, key: &str) -> String {
    match (typed.rsplit_once('@'), key.rsplit_once('@')) {
        (Some((local, _)), Some((_, domain))) => format!("{local}@{domain}"),
        _ => typed.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_compare_what_people_mean() {
        let key = |text: &str| Email::parse(text).unwrap().key().to_owned();
        assert_eq!(key(" Ada@Example.COM "), "ada@example.com");
        assert_eq!(key("joerg@bücher.example"), "joerg@xn--bcher-kva.example");
        assert_eq!(
            key("joerg@bu\u{308}cher.example"),
            key("JOERG@BÜCHER.example")
        );
        assert_ne!(key("a.b@example.com"), key("ab@example.com"));
        assert_eq!(
            Email::parse("Ada@Example.COM").unwrap().as_str(),
            "Ada@Example.COM"
        );
    }

    #[test]
    fn what_is_no_address_says_so() {
        let code = |text: &str| Email::parse(text).unwrap_err().code;
        assert_eq!(code("  "), "missing_email");
        assert_eq!(
            code(&format!("{}@example.com", "a".repeat(250))),
            "email_too_long"
        );
        for text in [
            "ada",
            "ada@",
            "@example.com",
            "ada@localhost",
            "ada@example..com",
            "a b@example.com",
            "\"a b\"@example.com",
            "\"ab\"@example.com",
            "Ada <ada@example.com>",
            "ada@[127.0.0.1]",
            "ada@example.com\r\nBcc: all@example.com",
            "ada@exa\u{0}mple.com",
            "ada@-example.com",
        ] {
            assert_eq!(code(text), "invalid_email", "{text:?}");
        }
        for text in [
            "jörg@example.com",
            "jo\u{308}rg@example.com",
            "用户@例子.example",
        ] {
            assert_eq!(code(text), "email_not_ascii", "{text:?}");
        }
    }

    #[test]
    fn the_longest_address_is_one() {
        let label = "b".repeat(63);
        let longest = |last: usize| {
            let (local, last) = ("a".repeat(64), "b".repeat(last));
            format!("{local}@{label}.{label}.{last}.example")
        };
        assert_eq!(longest(53).len(), MAX_EMAIL_BYTES);
        assert!(Email::parse(&longest(53)).is_ok());
        let code = Email::parse(&longest(54)).unwrap_err().code;
        assert_eq!(code, "email_too_long");
    }

    #[test]
    fn a_mail_server_gets_the_domain_in_ascii() {
        let email = Email::parse("Joern.B@Bücher.example").unwrap();
        assert_eq!(
            for_server(email.as_str(), email.key()),
            "Joern.B@xn--bcher-kva.example"
        );
    }

    #[test]
    fn debug_keeps_the_address_to_itself() {
        assert!(!format!("{:?}", Email::parse("ada@example.com").unwrap()).contains("ada"));
    }
}
