//! Which mailbox an address leads to, as far as its spelling tells. For limits only:
//! a profile keeps the address that was typed, and two spellings are two addresses.

/// What Gmail's two domains share: mailboxes, and that dots in a name do not count.
const GMAIL: [&str; 2] = ["gmail.com", "googlemail.com"];

/// Domains with so many mailboxes that no count of theirs tells a flood from a good
/// day: the providers that stand first in
/// <https://gist.github.com/antoine-lizee/0d6ee550b10e862191521b397faee95c>, and the
/// newer domains of the same and of Apple and Proton. Sorted.
const PROVIDERS: &[&str] = &[
    "126.com",
    "163.com",
    "aol.com",
    "att.net",
    "bellsouth.net",
    "bigpond.com",
    "bluewin.ch",
    "bol.com.br",
    "btinternet.com",
    "charter.net",
    "comcast.net",
    "cox.net",
    "fastmail.com",
    "free.fr",
    "freenet.de",
    "gmail.com",
    "gmx.at",
    "gmx.ch",
    "gmx.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hotmail.co.uk",
    "hotmail.com",
    "hotmail.de",
    "hotmail.es",
    "hotmail.fr",
    "hotmail.it",
    "icloud.com",
    "laposte.net",
    "libero.it",
    "live.co.uk",
    "live.com",
    "live.fr",
    "live.nl",
    "mac.com",
    "mail.com",
    "mail.ru",
    "me.com",
    "msn.com",
    "naver.com",
    "orange.fr",
    "outlook.com",
    "outlook.de",
    "outlook.fr",
    "pm.me",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "rediffmail.com",
    "rocketmail.com",
    "sbcglobal.net",
    "sfr.fr",
    "shaw.ca",
    "sky.com",
    "t-online.de",
    "terra.com.br",
    "uol.com.br",
    "verizon.net",
    "virgilio.it",
    "wanadoo.fr",
    "web.de",
    "yahoo.ca",
    "yahoo.co.jp",
    "yahoo.co.uk",
    "yahoo.com",
    "yahoo.com.br",
    "yahoo.de",
    "yahoo.fr",
    "yahoo.it",
    "yandex.ru",
    "ymail.com",
];

/// The mailbox of an address, given by its key: without what follows a `+`, and at
/// Gmail without dots.
pub(crate) fn of(email_key: &str) -> String {
    let (name, domain) = email_key.rsplit_once('@').unwrap_or((email_key, ""));
    let name = match name.split_once('+') {
        Some((name, _)) if !name.is_empty() => name,
        _ => name,
    };
    if GMAIL.contains(&domain) {
        return format!("{}@{}", name.replace('.', ""), GMAIL[0]);
    }
    format!("{name}@{domain}")
}

/// The domain of an address, given by its key, if it is one of few mailboxes.
pub(crate) fn small_domain(email_key: &str) -> Option<&str> {
    let (_, domain) = email_key.rsplit_once('@')?;
    PROVIDERS.binary_search(&domain).is_err().then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_mailbox_are_one() {
        for (address, mailbox) in [
            ("ada@example.com", "ada@example.com"),
            ("ada+1@example.com", "ada@example.com"),
            ("ada+1+2@example.com", "ada@example.com"),
            ("a.da@example.com", "a.da@example.com"),
            ("+1@example.com", "+1@example.com"),
            ("a.d.a+x.y@gmail.com", "ada@gmail.com"),
            ("a.da@googlemail.com", "ada@gmail.com"),
            ("a.da@not-gmail.com", "a.da@not-gmail.com"),
        ] {
            assert_eq!(of(address), mailbox, "{address}");
        }
    }

    #[test]
    fn the_domains_of_providers_are_none_of_few_mailboxes() {
        assert!(PROVIDERS.is_sorted(), "or they are not found");
        for provider in PROVIDERS {
            assert_eq!(small_domain(&format!("ada@{provider}")), None);
        }
        assert_eq!(small_domain("ada@example.com"), Some("example.com"));
        assert_eq!(small_domain("ada@sub.gmail.com"), Some("sub.gmail.com"));
    }
}
