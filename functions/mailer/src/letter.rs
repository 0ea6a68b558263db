//! The words of each mail: a typed struct with a subject, a text and an HTML
//! template in each language.
//!
//! `templates/` has a folder for each language; what its mails say in common is
//! in its `phrases`, what they look like in the two layouts. A mail that a
//! language lacks is in English, which none can lack.
//!
//! Each mail is about a profile and answers what somebody did to it. So none has
//! a `List-Unsubscribe`: RFC 8058 is for mail that comes again and again by
//! subscription, and there is nothing to unsubscribe from. Who never signed up
//! finds the link that removes the sign-up in the mails that asked for it; that
//! it is removed, the page says, and no mail does: whoever says "it was not me"
//! wants no more of them.

use askama::Template;
use muster_core::mail::item::{LINK_LIFETIME, MailItem, MailKind};
use muster_core::people::locale::{Language, Locale};
use muster_core::people::person::spoils_a_line;
use muster_core::platform::time::Time;

use crate::letterhead::Letterhead;

/// A mail, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// One line.
    pub subject: String,
    /// For programs that show no HTML.
    pub text: String,
    /// For those that do.
    pub html: String,
}

/// The links of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Links {
    /// Confirms the address.
    pub confirm: String,
    /// Removes a sign-up that was somebody else's doing.
    pub not_me: String,
}

/// Who reads a mail, and on what it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    /// What all mails have.
    pub letterhead: &'a Letterhead,
    /// The language of this one.
    pub language: Language,
    /// How the person is greeted, if we know.
    pub name: Option<&'a str>,
}

/// "Please confirm your address."
#[derive(Debug)]
pub(crate) struct Confirm {
    /// The link.
    pub url: String,
    /// Until when it works.
    pub until: Time,
    /// The link that removes a sign-up that was somebody else's doing.
    pub not_me: Option<String>,
}

/// "You have not confirmed your address yet."
#[derive(Debug)]
pub(crate) struct Reminder {
    /// The link.
    pub url: String,
    /// Until when it works.
    pub until: Time,
    /// The link that removes a sign-up that was somebody else's doing.
    pub not_me: Option<String>,
}

/// "Please confirm your new address."
#[derive(Debug)]
pub(crate) struct ConfirmChange {
    /// The link.
    pub url: String,
    /// Until when it works.
    pub until: Time,
}

/// "You have a profile already."
#[derive(Debug)]
pub(crate) struct AlreadyRegistered;

/// "Your address was changed": to the old one.
#[derive(Debug)]
pub(crate) struct AddressChanged;

/// Writes a mail in the language of whom it goes to.
///
/// # Errors
/// None that the templates of this crate can cause.
pub(crate) fn write(
    mail: &MailItem,
    links: Links,
    letterhead: &Letterhead,
) -> Result<Letter, askama::Error> {
    let language = mail.locale.as_ref().and_then(Locale::language);
    let reader = Reader {
        letterhead,
        language: language.unwrap_or(letterhead.language),
        name: mail.name.as_deref().filter(|name| !has_link(name)),
    };
    let (url, until) = (links.confirm, until(mail));
    // Only what a stranger may have asked for can be disowned.
    let not_me = mail.expires_at.map(|_| links.not_me);
    match mail.kind {
        MailKind::Confirm => Confirm { url, until, not_me }.render(&reader),
        MailKind::Reminder => Reminder { url, until, not_me }.render(&reader),
        MailKind::ConfirmChange => ConfirmChange { url, until }.render(&reader),
        MailKind::AlreadyRegistered => AlreadyRegistered.render(&reader),
        MailKind::AddressChanged => AddressChanged.render(&reader),
    }
}

/// When the link stops working: by itself, or with the sign-up.
fn until(mail: &MailItem) -> Time {
    let link = mail
        .links_until
        .unwrap_or_else(|| mail.created_at.after(LINK_LIFETIME));
    let seconds = mail.expires_at.unwrap_or(i64::MAX);
    link.min(Time::from_millis(seconds.saturating_mul(1000)))
}

/// Whether a mail program may make a link of something in a name. A name is what
/// somebody typed into a sign-up, whoever's address it is for: such a one is not
/// repeated.
fn has_link(name: &str) -> bool {
    const DOTS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];
    // "J. R. R. Tolkien" and "Jr." are fine, "evil.example" is not.
    let is_domain = |word: &str| {
        let mut labels = word.split(DOTS).map(|label| label.chars().count());
        labels.next().is_some_and(|first| first > 0) && labels.any(|length| length > 1)
    };
    name.contains(['/', '\\', '@', ':']) || name.split_whitespace().any(is_domain)
}

/// A subject is a header: whatever went into it, it is one line.
fn one_line(subject: &str) -> String {
    subject.replace(spoils_a_line, " ")
}

/// Makes a mail's struct a letter: the files of each language, English first.
macro_rules! letter {
    (
        $mail:ident, link: $link:expr,
        $subject:literal $text:literal $html:literal
        $(, $language:ident: $in_subject:literal $in_text:literal $in_html:literal)*
    ) => {
        impl $mail {
            /// Renders subject, text and HTML.
            ///
            /// # Errors
            /// None that the templates of this crate can cause.
            pub(crate) fn render(&self, reader: &Reader<'_>) -> Result<Letter, askama::Error> {
                let link: fn(&Self) -> Option<&str> = $link;
                let link = link(self);
                match reader.language {
                    $(Language::$language => {
                        rendered!($mail, self, reader, link, $in_subject, $in_text, $in_html)
                    })*
                    _ => rendered!($mail, self, reader, link, $subject, $text, $html),
                }
            }
        }
    };
}

/// The letter that three files make.
macro_rules! rendered {
    ($type:ident, $mail:expr, $reader:expr, $link:expr, $subject:literal, $text:literal, $html:literal) => {{
        #[derive(Template)]
        #[template(path = $subject)]
        struct Subject<'a> {
            letterhead: &'a Letterhead,
        }

        #[derive(Template)]
        #[template(path = $text)]
        #[allow(dead_code, reason = "not every mail says something of its own")]
        struct Text<'a> {
            mail: &'a $type,
            letterhead: &'a Letterhead,
            name: Option<&'a str>,
        }

        #[derive(Template)]
        #[template(path = $html)]
        #[allow(dead_code, reason = "not every mail says something of its own")]
        struct Html<'a> {
            mail: &'a $type,
            letterhead: &'a Letterhead,
            name: Option<&'a str>,
            link: Option<&'a str>,
            subject: &'a str,
        }

        let (mail, link) = ($mail, $link);
        let Reader {
            letterhead, name, ..
        } = *$reader;
        let subject = one_line(&Subject { letterhead }.render()?);
        let text = Text {
            mail,
            letterhead,
            name,
        }
        .render()?;
        let html = Html {
            mail,
            letterhead,
            name,
            link,
            subject: &subject,
        }
        .render()?;
        Ok(Letter {
            subject,
            text,
            html,
        })
    }};
}

letter!(
    Confirm, link: |mail| Some(&mail.url),
    "en/confirm.subject.txt" "en/confirm.txt" "en/confirm.html",
    German: "de/confirm.subject.txt" "de/confirm.txt" "de/confirm.html"
);
letter!(
    Reminder, link: |mail| Some(&mail.url),
    "en/reminder.subject.txt" "en/reminder.txt" "en/reminder.html",
    German: "de/reminder.subject.txt" "de/reminder.txt" "de/reminder.html"
);
letter!(
    ConfirmChange, link: |mail| Some(&mail.url),
    "en/confirm_change.subject.txt" "en/confirm_change.txt" "en/confirm_change.html",
    German: "de/confirm_change.subject.txt" "de/confirm_change.txt" "de/confirm_change.html"
);
letter!(
    AlreadyRegistered, link: |_| None,
    "en/already_registered.subject.txt" "en/already_registered.txt" "en/already_registered.html",
    German: "de/already_registered.subject.txt" "de/already_registered.txt" "de/already_registered.html"
);
letter!(
    AddressChanged, link: |_| None,
    "en/address_changed.subject.txt" "en/address_changed.txt" "en/address_changed.html",
    German: "de/address_changed.subject.txt" "de/address_changed.txt" "de/address_changed.html"
);

#[cfg(test)]
mod tests;
