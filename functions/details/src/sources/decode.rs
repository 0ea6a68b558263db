//! What the body of an answer says.
//!
//! Other systems write JSON in more ways than ours: with a byte order mark, with half of
//! a surrogate pair, compressed though nobody asked for it, or not at all. What can be
//! read is read. Of the rest it is said what it is.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use serde_json::Value;

use crate::sources::source_error::{MAX_DEPTH, Trouble};

/// RFC 8259 section 8.1: a parser may ignore it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Those of UTF-16, which JSON has not been in since RFC 8259.
const OTHER_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
/// What gzip begins with (RFC 1952 section 2.3.1), and JSON cannot. S3 serves an object as
/// it was stored, with or without a header that says so.
const GZIP: &[u8] = b"\x1f\x8b";

/// The encoding of an answer that is not as it was asked for. Nothing is unpacked here: few
/// sources do that, each can be told not to, and what unpacks needs guards of its own.
pub(crate) fn compression(headers: &HeaderMap) -> Option<&'static str> {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let codings = values.flat_map(|value| value.to_str().unwrap_or("?").split(','));
    codings
        .map(|coding| coding.trim().to_ascii_lowercase())
        // RFC 9110 section 12.5.3: `identity` is no encoding.
        .find(|coding| !coding.is_empty() && coding != "identity")
        .map(|coding| match coding.as_str() {
            "gzip" | "x-gzip" => "gzip",
            "deflate" => "deflate",
            "br" => "br",
            "zstd" => "zstd",
            _ => "an encoding of its own",
        })
}

/// The part of an answer that a JSON pointer names.
///
/// # Errors
/// Why there is nothing.
pub(crate) fn decode(headers: &HeaderMap, body: &[u8], pointer: &str) -> Result<Value, Trouble> {
    let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    if text.trim_ascii().is_empty() {
        return Err(nothing(headers));
    }
    if text.starts_with(GZIP) {
        return Err(Trouble::Compressed("gzip"));
    }
    if OTHER_MARKS.iter().any(|mark| text.starts_with(mark)) {
        return Err(Trouble::NotJson(
            "it is UTF-16, and JSON is UTF-8".to_owned(),
        ));
    }
    let mut whole: Value = serde_json::from_slice(&without_lone_surrogates(text))
        .map_err(|error| Trouble::NotJson(error.to_string()))?;
    let part = whole.pointer_mut(pointer).map(Value::take);
    let part = part.ok_or_else(|| Trouble::NothingThere(pointer.to_owned()))?;
    match depth(&part) > MAX_DEPTH {
        true => Err(Trouble::TooDeep),
        false => Ok(part),
    }
}

/// An empty body is an answer if the source announced its end. Otherwise it ends where the
/// connection does, for whatever reason (RFC 9112 section 6.3).
fn nothing(headers: &HeaderMap) -> Trouble {
    let announced = [CONTENT_LENGTH, TRANSFER_ENCODING];
    match announced.iter().any(|name| headers.contains_key(name)) {
        true => Trouble::NoContent,
        false => Trouble::BrokenOff("it closed before there was a body".to_owned()),
    }
}

/// The same JSON with U+FFFD for each half of a surrogate pair that is escaped alone.
///
/// RFC 8259 section 8.2 allows these, and they come from programs that cut a text in the
/// middle of an emoji. Rust's texts cannot hold them. No escape changes its length, so
/// errors keep their place.
fn without_lone_surrogates(json: &[u8]) -> Cow<'_, [u8]> {
    let mut text = Cow::Borrowed(json);
    let mut at = 0;
    while let Some(next) = json
        .get(at..)
        .and_then(|rest| rest.iter().position(|byte| *byte == b'\\'))
    {
        at += next;
        at += match (code_unit(json, at), code_unit(json, at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                text.to_mut()[at + 2..at + 6].copy_from_slice(b"fffd");
                6
            }
            // Also what is escaped by a backslash is past, so that it begins nothing.
            _ => 2,
        };
    }
    text
}

/// The UTF-16 unit that is escaped there: `\uXXXX`.
fn code_unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

/// How deep a value is nested. No deeper than serde_json reads, so this ends.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        let value = HeaderValue::from_static(value);
        HeaderMap::from_iter([(name.parse().unwrap(), value)])
    }

    #[test]
    fn only_an_end_that_is_announced_makes_an_empty_body_an_answer() {
        for headers in [
            with("content-length", "0"),
            with("transfer-encoding", "chunked"),
        ] {
            for body in [&b""[..], b" \r\n\t", BYTE_ORDER_MARK] {
                let answer = decode(&headers, body, "");
                assert_eq!(answer, Err(Trouble::NoContent), "{headers:?}");
            }
        }
        let broken = decode(&HeaderMap::new(), b"", "").unwrap_err();
        assert_eq!(broken.code(), "broken_off");
    }

    #[test]
    fn identity_is_no_encoding() {
        for value in ["", "identity", "Identity, IDENTITY", ","] {
            assert_eq!(
                compression(&with("content-encoding", value)),
                None,
                "{value}"
            );
        }
        assert_eq!(compression(&HeaderMap::new()), None);
    }

    #[test]
    fn what_is_not_alone_stays_as_it_is() {
        for text in [
            r#"{"a": "\ud83d\ude00", "b": "\\ud800", "c": "\\\ud83d\ude00"}"#,
            r#""\u00e9 \n \" \\""#,
            r#""\ud8"#,
            "\"\\",
            "",
        ] {
            let left = without_lone_surrogates(text.as_bytes());
            assert!(matches!(left, Cow::Borrowed(_)), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 2000,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(1),
            ..ProptestConfig::default()
        })]

        /// As the standard library reads these units.
        #[test]
        fn each_half_alone_is_replaced_and_nothing_else(
            units in proptest::collection::vec(prop_oneof![
                0xd800_u16..0xdc00,
                0xdc00_u16..0xe000,
                any::<u16>(),
            ], 0..20),
        ) {
            let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let text = format!("[\"{escaped}\"]");
            let value = decode(&HeaderMap::new(), text.as_bytes(), "/0").unwrap();
            prop_assert_eq!(value, String::from_utf16_lossy(&units));
        }
    }
}
