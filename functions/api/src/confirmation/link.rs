//! Links of mails, as they come back: mail programs, chats and people change
//! them on the way.
//!
//! A full stop or a bracket behind the link becomes part of it, a long line is
//! broken, a tracker adds parameters, `&` turns into `&amp;`, a path gets a slash
//! or capitals. None of that makes another token of a token, so it is taken off.

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use muster_core::mail::link_token::Token;

/// The pages that mails link to.
const PAGES: [&str; 2] = ["confirm", "not-me"];

/// The token in a text, whatever is around it or invisible in it.
pub(crate) fn token(text: &str) -> Option<Token> {
    let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    visible.trim_matches(|c: char| !is_of_token(c)).parse().ok()
}

/// The token in a query string. Other parameters are not looked at.
pub(crate) fn token_in(query: &str) -> Option<Token> {
    form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| is_token(name))
        .find_map(|(_, value)| token(&value))
}

fn is_token(name: &str) -> bool {
    // Of `&amp;`, the `&` alone parts parameters.
    let name = name.strip_prefix("amp;").unwrap_or(name);
    name.eq_ignore_ascii_case("token")
}

/// Whether a token may begin or end with it.
const fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// White space, also that of a broken line; soft hyphens, joiners, marks of the
/// writing direction.
fn is_invisible(c: char) -> bool {
    let is_mark = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{feff}');
    c.is_whitespace() || c.is_control() || is_mark
}

/// Sends whoever follows `/confirm/` or `/CONFIRM` to the page that is meant.
/// Redirected, not rewritten: the page's form is relative to its address.
pub(crate) async fn straighten(request: Request, next: Next) -> Response {
    let Some(location) = straight(request.uri()).and_then(|to| HeaderValue::try_from(to).ok())
    else {
        return next.run(request).await;
    };
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // The address holds the token.
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
    ];
    (StatusCode::PERMANENT_REDIRECT, headers).into_response()
}

/// The address of the page that is meant, if it is written otherwise. Relative:
/// the address of the API may have a path.
fn straight(uri: &Uri) -> Option<String> {
    let path = uri.path();
    let bare = path.trim_end_matches('/');
    let name = bare.strip_prefix('/')?;
    let page = PAGES
        .into_iter()
        .find(|page| page.eq_ignore_ascii_case(name))?;
    let slashes = path.len() - bare.len();
    if slashes == 0 && page == name {
        return None;
    }
    let query = uri.query().map(|query| format!("?{query}"));
    let up = "../".repeat(slashes);
    Some(format!("{up}{page}{}", query.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::platform::ids::ProfileId;
    use muster_core::platform::random::Random;
    use muster_core::platform::time::Time;

    fn minted() -> Token {
        let random = Random::seeded(1);
        Token::mint(ProfileId::new(Time::from_millis(0), &random), 1, &random)
    }

    #[test]
    fn what_was_added_to_a_token_is_taken_off() {
        let good = minted();
        let (left, right) = (good.to_string(), good.to_string());
        let (left, right) = (&left[..50], &right[50..]);
        for text in [
            format!("{good}"),
            format!("{good}."),
            format!("{good},"),
            format!("{good}>"),
            format!("<{good}>"),
            format!("({good})."),
            format!("\"{good}\""),
            format!("'{good}';"),
            format!("\u{201c}{good}\u{201d}"),
            format!(" {good}\r\n"),
            format!("{good}\u{200b}"),
            format!("\u{feff}{good}\u{a0}"),
            format!("{left}\r\n {right}"),
            format!("{left}\u{ad}{right}"),
            format!("**{good}**"),
        ] {
            assert_eq!(token(&text), Some(good.clone()), "{text:?}");
        }
    }

    #[test]
    fn a_wrong_token_stays_wrong() {
        let good = minted().to_string();
        let other = Token::mint(minted().profile, 2, &Random::seeded(2)).to_string();
        for text in [
            String::new(),
            ".".to_owned(),
            "x".to_owned(),
            good[1..].to_owned(),
            good[..good.len() - 1].to_owned(),
            format!("{good}A"),
            format!("{good}_"),
            format!("{good}.{good}"),
            format!("{good}{other}"),
            good.to_uppercase(),
            good.replacen(".1.", "..", 1),
            good.replacen(".1.", ".1,", 1),
        ] {
            assert_eq!(token(&text), None, "{text:?}");
        }
        assert_ne!(token(&other), Some(minted()));
    }

    #[test]
    fn a_token_is_found_among_other_parameters() {
        let good = minted();
        for query in [
            format!("token={good}"),
            format!("token={good}&utm_source=mail&utm_medium=x"),
            format!("utm_source=mail&token={good}"),
            format!("utm_source=mail&amp;token={good}"),
            format!("token={good}&amp;utm_source=mail"),
            format!("token={good}%3E"),
            format!("token=%20{good}."),
            format!("token=+{good}"),
            format!("Token={good}&fbclid=1"),
            format!("token=&token={good}"),
        ] {
            assert_eq!(token_in(&query), Some(good.clone()), "{query}");
        }
        for query in [
            String::new(),
            good.to_string(),
            format!("tokens={good}"),
            format!("utm_token={good}"),
            format!("token{good}"),
        ] {
            assert_eq!(token_in(&query), None, "{query}");
        }
    }

    #[test]
    fn a_path_written_otherwise_leads_to_the_page() {
        for (from, to) in [
            ("/confirm", None),
            ("/not-me?token=x", None),
            ("/confirm/", Some("../confirm")),
            ("/confirm/?token=x&a=b", Some("../confirm?token=x&a=b")),
            ("/confirm//?token=x", Some("../../confirm?token=x")),
            ("/CONFIRM?token=x", Some("confirm?token=x")),
            ("/Confirm/?token=x", Some("../confirm?token=x")),
            ("/Not-Me/?token=x", Some("../not-me?token=x")),
            ("/NOT-ME", Some("not-me")),
            ("/", None),
            ("//", None),
            ("/confirm/x", None),
            ("/confirmed", None),
            ("/signup/", None),
            ("/profiles/", None),
        ] {
            let found = straight(&from.parse().unwrap());
            assert_eq!(found.as_deref(), to, "{from}");
        }
    }
}
