//! The language that a browser asks for.

use axum::http::{HeaderMap, header};
use muster_core::people::locale::Locale;

/// The locale that `Accept-Language` (RFC 9110 section 12.5.4) wants most, of
/// those that mails can be in; of several wanted alike, the first. What cannot
/// be read in it is passed over: a header that browsers set by themselves is no
/// reason to refuse a sign-up.
pub(crate) fn preferred(headers: &HeaderMap) -> Option<Locale> {
    let values = headers.get_all(header::ACCEPT_LANGUAGE).iter();
    let ranges = values.filter_map(|value| value.to_str().ok());
    let mut best: Option<(Locale, u16)> = None;
    for (locale, weight) in ranges
        .flat_map(|ranges| ranges.split(','))
        .filter_map(range)
    {
        if weight > best.as_ref().map_or(0, |(_, weight)| *weight) {
            best = Some((locale, weight));
        }
    }
    best.map(|(locale, _)| locale)
}

/// A locale that mails can be in, and how much it is wanted.
fn range(text: &str) -> Option<(Locale, u16)> {
    let (tag, weight) = match text.split_once(';') {
        Some((tag, parameter)) => (tag, thousandths(parameter)?),
        None => (text, 1000),
    };
    let locale = Locale::parse(tag.trim()).ok()?;
    locale.language()?;
    Some((locale, weight))
}

/// `q=0.8` in thousandths.
fn thousandths(parameter: &str) -> Option<u16> {
    let weight = parameter
        .trim()
        .strip_prefix(['q', 'Q'])?
        .strip_prefix('=')?;
    let (whole, decimals) = weight.split_once('.').unwrap_or((weight, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let decimals: u16 = format!("{decimals:0<3}").parse().ok()?;
    match (whole, decimals) {
        ("0", decimals) => Some(decimals),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Option<String> {
        let values = values.iter().map(|value| value.parse().unwrap());
        let headers =
            HeaderMap::from_iter([header::ACCEPT_LANGUAGE].into_iter().cycle().zip(values));
        preferred(&headers).map(String::from)
    }

    #[test]
    fn the_language_that_is_wanted_most_and_that_mails_can_be_in() {
        for (value, expected) in [
            ("de-AT,de;q=0.9,en;q=0.8", "de-AT"),
            ("en-US,en;q=0.5", "en-US"),
            ("fr-FR, fr;q=0.9, de;q=0.7, en;q=0.8", "en"),
            ("en;q=0.001, DE ; Q=0.5", "de"),
            ("en;q=0.5,de;q=0.5", "en"),
            ("*, de;q=0.1", "de"),
            ("en;q=0, de;q=0.1", "de"),
            ("en;q=x, en;level=1, en;q=1.5, en;q=0.1234, de;q=0.2", "de"),
            ("de_AT,,;,../../de, de;q=1.000", "de"),
        ] {
            assert_eq!(of(&[value]).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(of(&["fr", "de;q=0.3", "en;q=0.4"]).as_deref(), Some("en"));
    }

    #[test]
    fn what_asks_for_none_of_them_gets_none() {
        for value in [
            "",
            "*",
            "fr, it;q=0.5",
            "de;q=0",
            "de;q=0.000",
            "\t",
            ";q=1",
            "de-",
        ] {
            assert_eq!(of(&[value]), None, "{value}");
        }
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[&"de;q=2,".repeat(1000)]), None);
    }
}
