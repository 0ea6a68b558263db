use std::path::Path;

use muster_core::mail::item::Recipient;
use muster_core::platform::ids::ProfileId;

use super::*;

const LINK: &str = "https://example.com/confirm?token=a.1.b&c";
const NOT_ME: &str = "https://example.com/not-me?token=a.1.b&c";
/// 2026-11-25T06:05Z
const NOW: Time = Time::from_millis(1_795_586_700_000);
const UNTIL: Time = NOW;
const LANGUAGES: [(Language, &str); 2] = [(Language::English, "en"), (Language::German, "de")];

/// What people, or whoever deploys it, may call themselves.
const HOSTILE: [&str; 24] = [
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style></head><body onload=alert(1)>",
    "--><img src=x onerror=alert(1)>",
    "<!--",
    "<a href=//evil.example>",
    "\" onmouseover=\"alert(1)",
    "' onfocus='alert(1)' autofocus='",
    "`${alert(1)}`",
    "&lt;b&gt; &amp; &#60;",
    "{{ mail.url }}{% block words %}{% raw %}",
    "%0d%0aBcc: all@evil.example",
    "Ada\r\nBcc: all@evil.example",
    "Ada\n\n.\nSubject: free",
    "Ada\0Lovelace",
    "Ada\u{85}\u{2028}\u{2029}Lovelace",
    "\u{202e}evil\u{202c}",
    "\u{2067}evil\u{2069}",
    "=?utf-8?B?PGI+?=",
    "עדה לאבלייס",
    "\u{200f}أدا لوفليس",
    "👩\u{200d}💻🏳\u{fe0f}\u{200d}🌈",
    "Z̷͍̎ä̴l̶g̸o̵",
    "javascript:alert(1)//",
];

fn letterhead(product: &str, footer: Option<&str>) -> Letterhead {
    Letterhead {
        product: product.parse().unwrap(),
        accent: "#fde047".parse().unwrap(),
        footer: footer.map(|footer| footer.parse().unwrap()),
        language: Language::English,
    }
}

/// Every mail, by its name.
fn every(reader: &Reader<'_>) -> Vec<(&'static str, Letter)> {
    let (url, until) = (|| LINK.to_owned(), UNTIL);
    let not_me = || Some(NOT_ME.to_owned());
    let confirm = Confirm {
        url: url(),
        until,
        not_me: not_me(),
    };
    let reminder = Reminder {
        url: url(),
        until,
        not_me: not_me(),
    };
    let change = ConfirmChange { url: url(), until };
    vec![
        ("confirm", confirm.render(reader).unwrap()),
        ("reminder", reminder.render(reader).unwrap()),
        ("confirm_change", change.render(reader).unwrap()),
        (
            "already_registered",
            AlreadyRegistered.render(reader).unwrap(),
        ),
        ("address_changed", AddressChanged.render(reader).unwrap()),
    ]
}

/// Every mail in every language.
fn all(letterhead: &Letterhead, name: Option<&str>) -> Vec<(String, Letter)> {
    LANGUAGES
        .iter()
        .flat_map(|(language, folder)| {
            let reader = Reader {
                letterhead,
                language: *language,
                name,
            };
            let mails = every(&reader).into_iter();
            mails.map(move |(mail, letter)| (format!("{folder}/{mail}"), letter))
        })
        .collect()
}

/// What is between `<` and `>`: all that a browser takes for more than text.
fn tags(html: &str) -> Vec<&str> {
    html.split('<')
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap())
        .collect()
}

fn unescaped(html: &str) -> String {
    let entities = [
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#38;", "&"),
    ];
    entities
        .iter()
        .fold(html.to_owned(), |text, (entity, c)| text.replace(entity, c))
}

#[test]
fn the_letters_are_what_the_files_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let letterhead = letterhead("Muster", Some("Muster GmbH, Beispielweg 1, 12345 Berlin"));
    for (name, letter) in all(&letterhead, Some("Ada Lovelace")) {
        let text = format!("Subject: {}\n\n{}\n", letter.subject, letter.text);
        for (file, words) in [
            (folder.join(format!("{name}.txt")), text),
            (folder.join(format!("{name}.html")), letter.html),
        ] {
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(&file, &words).unwrap();
            }
            assert!(
                std::fs::read_to_string(&file).unwrap_or_default() == words,
                "{} is not what the templates say. If they are right: \
                 UPDATE_GOLDEN=1 cargo test -p muster-mailer letter",
                file.display()
            );
        }
    }
}

#[test]
fn a_hostile_name_stays_text() {
    let letterhead = letterhead("Muster", None);
    let long = "x".repeat(5_000);
    for name in HOSTILE.into_iter().chain([long.as_str()]) {
        let harmless = all(&letterhead, Some("Ada"));
        for ((mail, letter), (_, expected)) in all(&letterhead, Some(name)).iter().zip(&harmless) {
            assert_eq!(tags(&letter.html), tags(&expected.html), "{mail}: {name:?}");
            assert!(unescaped(&letter.html).contains(name), "{mail}: {name:?}");
            assert_eq!(letter.subject, expected.subject, "{mail}: {name:?}");
            assert_eq!(
                letter.text,
                expected.text.replacen("Ada", name, 1),
                "{mail}"
            );
        }
    }
}

#[test]
fn a_hostile_product_or_footer_stays_text_or_is_refused() {
    let harmless = all(&letterhead("Muster", Some("Street 1")), None);
    let long = "x".repeat(300);
    let mut refused = 0;
    for line in HOSTILE.into_iter().chain([long.as_str()]) {
        if line.chars().any(spoils_a_line) {
            assert!(line.parse::<crate::letterhead::Line>().is_err(), "{line:?}");
            refused += 1;
            continue;
        }
        let hostile = all(&letterhead(line, Some(line)), None);
        for ((mail, letter), (_, expected)) in hostile.iter().zip(&harmless) {
            assert_eq!(tags(&letter.html), tags(&expected.html), "{mail}: {line:?}");
            assert!(unescaped(&letter.html).contains(line), "{mail}: {line:?}");
            assert!(letter.subject.contains(line), "{mail}: {line:?}");
            assert!(!letter.subject.contains(spoils_a_line), "{mail}: {line:?}");
            assert!(
                letter.text.ends_with(&format!("{line}\n\n{line}")),
                "{mail}: {line:?}"
            );
        }
    }
    assert_eq!(refused, 6);
}

#[test]
fn a_subject_is_one_line_whatever_goes_into_it() {
    assert_eq!(
        one_line("You\r\nBcc: all\u{202e}\u{2028}\0"),
        "You  Bcc: all   "
    );
    for (mail, letter) in all(&letterhead("Muster", None), None) {
        assert!(letter.subject.contains("Muster"), "{mail}");
        assert_eq!(letter.subject, letter.subject.trim(), "{mail}");
        assert!(!letter.subject.contains(spoils_a_line), "{mail}");
    }
}

#[test]
fn a_hostile_link_stays_in_its_attribute() {
    let letterhead = letterhead("Muster", None);
    let url = "https://x.example/\"'><script>alert(1)</script>&\u{202e}";
    for (language, _) in LANGUAGES {
        let reader = Reader {
            letterhead: &letterhead,
            language,
            name: None,
        };
        let [letter, expected] = [url, LINK].map(|url| {
            let not_me = Some(url.to_owned());
            Confirm {
                url: url.to_owned(),
                until: UNTIL,
                not_me,
            }
            .render(&reader)
            .unwrap()
        });
        let names = |html: &str| -> Vec<String> {
            let name = |tag: &&str| tag.split(' ').next().unwrap().to_owned();
            tags(html).iter().map(name).collect()
        };
        assert_eq!(names(&letter.html), names(&expected.html));
        assert_eq!(
            unescaped(&letter.html),
            unescaped(&expected.html)
                .replace(LINK, url)
                .replace(NOT_ME, url)
        );
    }
}

#[test]
fn everything_that_is_known_is_said() {
    let letterhead = letterhead("Müsli & Co", Some("Street 1 & 2"));
    for (mail, letter) in all(&letterhead, Some("Ada")) {
        let html = unescaped(&letter.html);
        for known in ["Müsli & Co", "Street 1 & 2", "Ada"] {
            assert!(
                letter.text.contains(known) && html.contains(known),
                "{mail}: {known}"
            );
        }
        let title = format!("<title>{}</title>", letter.subject);
        assert!(html.contains(&title), "{mail}");
        assert!(html.contains("#fde047"), "{mail}: the accent");
        let (confirms, disowns) = match mail.split_once('/').unwrap().1 {
            "confirm" | "reminder" => (true, true),
            "confirm_change" => (true, false),
            _ => (false, false),
        };
        for (link, there) in [(LINK, confirms), (NOT_ME, disowns)] {
            assert_eq!(
                letter.text.contains(&format!("\n{link}\n")),
                there,
                "{mail}: {link}"
            );
            assert_eq!(
                html.contains(&format!("href=\"{link}\"")),
                there,
                "{mail}: {link}"
            );
        }
        // The text that a button has is black here, and so on nothing else.
        assert_eq!(html.contains("color:#000000"), confirms, "{mail}: the ink");
        for when in [
            "25 November 2026, 06:05 UTC",
            "25. November 2026, 6:05 Uhr (UTC)",
        ] {
            let there = confirms && when.contains('.') == mail.starts_with("de");
            assert_eq!(letter.text.contains(when), there, "{mail}: {when}");
            assert_eq!(html.contains(when), there, "{mail}: {when}");
        }
    }
}

#[test]
fn what_is_not_known_leaves_no_gap() {
    for (mail, letter) in all(&letterhead("Muster", None), None) {
        let greeting = if mail.starts_with("de") {
            "Guten Tag,"
        } else {
            "Hello,"
        };
        assert!(
            letter.text.starts_with(&format!("{greeting}\n\n")),
            "{mail}: {}",
            letter.text
        );
        assert!(
            letter.html.contains(&format!("<p>{greeting}</p>")),
            "{mail}"
        );
        assert!(letter.text.ends_with("\nMuster"), "{mail}: {}", letter.text);
        for gap in ["\n\n\n", "  ", " ,", " .", "None", "\""] {
            assert!(
                !letter.text.contains(gap),
                "{mail}: {gap:?} in {}",
                letter.text
            );
        }
    }
}

/// What mail programs ask for: nothing is loaded, the language is named, dark
/// is provided for, no column is wider than 600 pixels, and Gmail, which cuts
/// at 102 KB, cuts nothing.
#[test]
fn every_html_is_one_that_mail_programs_show() {
    for (mail, letter) in all(&letterhead("Muster", Some("Street 1")), Some("Ada")) {
        let html = &letter.html;
        let (language, _) = mail.split_once('/').unwrap();
        for needed in [
            &*format!("<html lang=\"{language}\">"),
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">",
            "<meta name=\"color-scheme\" content=\"light dark\">",
            "@media (prefers-color-scheme: dark)",
            "max-width:600px",
        ] {
            assert!(html.contains(needed), "{mail}: {needed}");
        }
        for harmful in [
            "<script", "<img", "<link", "<form", "<iframe", "src=", "url(", "@import",
        ] {
            assert!(!html.contains(harmful), "{mail}: {harmful}");
        }
        let tables = html.matches("<table").count();
        assert_eq!(
            html.matches("<table role=\"presentation\"").count(),
            tables,
            "{mail}"
        );
        assert!(html.len() < 10_000, "{mail}: {} bytes", html.len());
    }
}

/// A mail of a kind in the language of a locale, as it would be claimed.
fn mail(kind: MailKind, locale: Option<&str>, name: &str) -> MailItem {
    let locale = locale.map(|locale| Locale::parse(locale).unwrap());
    let recipient = Recipient {
        profile_id: ProfileId::imported(
            muster_core::platform::ids::ImportId::of_event("b", "k", "1"),
            "a",
        ),
        to: "ada@example.com",
        email_key: "ada@example.com",
        name: Some(name),
        locale: locale.as_ref(),
        expires_at: None,
    };
    MailItem::new(kind, 1, recipient, NOW)
}

fn written(mail: &MailItem, language: Language) -> Letter {
    let letterhead = Letterhead {
        language,
        ..letterhead("Muster", None)
    };
    let (confirm, not_me) = (LINK.to_owned(), NOT_ME.to_owned());
    write(mail, Links { confirm, not_me }, &letterhead).unwrap()
}

#[test]
fn a_mail_is_in_the_language_of_whom_it_goes_to_or_in_the_deployments() {
    for kind in [
        MailKind::Confirm,
        MailKind::Reminder,
        MailKind::ConfirmChange,
        MailKind::AlreadyRegistered,
        MailKind::AddressChanged,
    ] {
        for (locale, default, greeting) in [
            (Some("de-AT"), Language::English, "Guten Tag Ada,"),
            (Some("en-GB"), Language::German, "Hello Ada,"),
            (Some("fr"), Language::German, "Guten Tag Ada,"),
            (Some("fr"), Language::English, "Hello Ada,"),
            (None, Language::German, "Guten Tag Ada,"),
        ] {
            let letter = written(&mail(kind, locale, "Ada"), default);
            assert!(
                letter.text.starts_with(greeting),
                "{kind:?}, {locale:?}: {}",
                letter.text
            );
            assert_eq!(letter.text.contains(LINK), kind.confirms(), "{kind:?}");
        }
    }
}

#[test]
fn only_what_a_stranger_may_have_asked_for_can_be_disowned() {
    for kind in [MailKind::Confirm, MailKind::Reminder] {
        let mail = mail(kind, None, "Ada");
        let operators = written(&mail, Language::English);
        assert!(!operators.text.contains(NOT_ME) && !operators.html.contains("not-me"));
        let expires_at = Some(mail.created_at.after(LINK_LIFETIME).as_seconds() - 60);
        let sign_ups = written(&MailItem { expires_at, ..mail }, Language::English);
        assert!(sign_ups.text.contains(NOT_ME) && sign_ups.html.contains("not-me"));
        // The link goes with the sign-up.
        assert!(operators.text.contains("until 28 November 2026, 06:05 UTC"));
        assert!(sign_ups.text.contains("until 28 November 2026, 06:04 UTC"));
    }
}

#[test]
fn a_name_that_mail_programs_make_a_link_of_is_not_repeated() {
    for name in [
        "Win at evil.example",
        "https://evil.example",
        "evil.example/x",
        "ada@evil.example",
        "tel:+491234",
        "\\\\evil",
        "Ada: evil。example",
        "evil\u{ff0e}example",
        "www.evil",
    ] {
        let letter = written(&mail(MailKind::Confirm, None, name), Language::English);
        assert!(letter.text.starts_with("Hello,"), "{name}");
        assert!(
            !letter.html.contains("evil") && !letter.html.contains("tel:"),
            "{name}"
        );
    }
    for name in [
        "J. R. R. Tolkien",
        "J.R.R. Tolkien",
        "Sammy Davis, Jr.",
        "Dr. Ada King",
        "王小明",
    ] {
        let letter = written(&mail(MailKind::Confirm, None, name), Language::English);
        assert!(letter.text.starts_with(&format!("Hello {name},")), "{name}");
    }
}
