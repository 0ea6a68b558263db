//! Which sources there are, and how each is asked.
//!
//! An operator writes it by hand, so whatever is wrong is told at once, each
//! with where it stands (a JSON pointer) and what would be accepted. Nothing
//! that is told repeats what was written: somebody will paste a password.
//!
//! | member | default | from | to |
//! | --- | --- | --- | --- |
//! | `deadline_ms` | 3000 | 100 | 25000 |
//! | `timeout_ms` | 1000, or the deadline | 10 | the deadline |
//! | `cache_s` | 0: nothing is kept | 0 | 86400 |
//! | `stale_if_error_s` | 0 | 0 | 604800 |
//! | `required` | false | | |
//! | `unconfirmed_attributes` | false | | |
//! | `keep` | the whole answer | | |
//! | `hedge_after_ms` | never | 1 | less than the timeout |
//! | `max_bytes` | 65536 | 1 | 262144, and 2 MiB for all sources together |

use std::collections::HashSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use muster_core::people::validation::Violation;
use serde_json::{Value, json};

use crate::config::fields::{Fault, Faults, Members, boolean, child, number, text, wrong_type};
use crate::config::url_template::Template;
use crate::sources::addresses::Over;

/// The longest document: the longest advanced parameter of Parameter Store.
pub const MAX_DOCUMENT_BYTES: usize = 8 * 1024;
/// How many sources there may be.
pub const MAX_SOURCES: usize = 32;
/// What the profile itself is called among the sources.
pub const PROFILE: &str = "profile";

const DEADLINE_MS: RangeInclusive<u64> = 100..=25_000;
const DEFAULT_DEADLINE_MS: u64 = 3_000;
const MIN_TIMEOUT_MS: u64 = 10;
const DEFAULT_TIMEOUT_MS: u64 = 1_000;
const CACHE_S: RangeInclusive<u64> = 0..=86_400;
const STALE_IF_ERROR_S: RangeInclusive<u64> = 0..=604_800;
const MAX_BYTES: RangeInclusive<u64> = 1..=262_144;
const DEFAULT_MAX_BYTES: u64 = 65_536;
/// What all answers have together: they are kept in one transaction, which takes 4 MB.
const MAX_TOTAL_BYTES: usize = 2 * 1024 * 1024;
const MAX_SECRET_NAME_BYTES: usize = 512;

/// All sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// When the answer is given, whoever has not answered.
    pub deadline: Duration,
    /// Whose word counts first: the profile and every source, each once.
    pub precedence: Vec<Rank>,
    /// In the order of their names.
    pub sources: Vec<Arc<Source>>,
}

/// A place in the precedence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rank {
    /// The profile's `email`, `name` and `locale`.
    Identity,
    /// The profile's attributes.
    Attributes,
    /// The source of that name.
    Source(String),
}

/// One source, and how it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What the answer calls it.
    pub name: String,
    /// Where it is.
    pub url: Template,
    /// What is sent along, in the order of the names.
    pub headers: Vec<(HeaderName, HeaderSource)>,
    /// How long it may take.
    pub timeout: Duration,
    /// How long an answer is kept; zero if it is not.
    pub cache: Duration,
    /// How long beyond that it stands in for one that does not come.
    pub stale_if_error: Duration,
    /// Whether there is no answer without it.
    pub required: bool,
    /// Whether attributes of a sign-up that nobody has confirmed fill its address.
    pub unconfirmed_attributes: bool,
    /// The part of its answer that is kept: a JSON pointer.
    pub keep: String,
    /// When it is asked a second time, if the first has not answered.
    pub hedge_after: Option<Duration>,
    /// The longest answer.
    pub max_bytes: usize,
}

/// Where the value of a header comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum HeaderSource {
    /// The document; marked as sensitive.
    Literal(HeaderValue),
    /// Secrets Manager.
    Secret {
        /// The secret's name.
        secret: String,
        /// The member of its JSON; without one, the secret is the value.
        key: Option<String>,
        /// What stands before it, `Bearer ` say.
        prefix: String,
    },
}

impl Source {
    /// For how long something can be done with an answer of it.
    pub fn useful_for(&self) -> Duration {
        self.cache + self.stale_if_error
    }
}

impl HeaderSource {
    /// As the document has it, whatever the secret says.
    pub fn as_written(&self) -> Value {
        match self {
            Self::Literal(value) => value.to_str().unwrap_or_default().into(),
            Self::Secret {
                secret,
                key,
                prefix,
            } => json!([secret, key, prefix]),
        }
    }
}

/// Literals stay out of it, and prefixes: some will hold what belongs in a secret.
impl fmt::Debug for HeaderSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => f.write_str("Literal(…)"),
            Self::Secret { secret, key, .. } => f
                .debug_struct("Secret")
                .field("secret", secret)
                .field("key", key)
                .finish_non_exhaustive(),
        }
    }
}

/// All that is wrong with a document, on one line: in some logs every line is an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(Fault::to_string).collect::<Vec<_>>().join("; "))]
pub struct InvalidDocument(pub Vec<Fault>);

/// No sources.
impl Default for Document {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(DEFAULT_DEADLINE_MS),
            precedence: in_order(Vec::new(), &[]),
            sources: Vec::new(),
        }
    }
}

impl Document {
    /// Reads a document.
    ///
    /// Precedence goes to who the profile says the person is, the names in
    /// `precedence`, the other sources in the order of their names (that of the text is
    /// lost where JSON objects are read, as their members have none, RFC 8259), and
    /// then to the profile's attributes, which the person typed. Where `precedence` names
    /// the profile, all of it has that place.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(text: &str, over: Over) -> Result<Self, InvalidDocument> {
        let mut faults = Faults::default();
        match read(text, over, &mut faults) {
            Some(document) if faults.0.is_empty() => Ok(document),
            _ => Err(InvalidDocument(faults.0)),
        }
    }
}

fn read(text: &str, over: Over, faults: &mut Faults) -> Option<Document> {
    if text.len() > MAX_DOCUMENT_BYTES {
        let detail = format!("a document has at most {MAX_DOCUMENT_BYTES} bytes");
        faults.add("", Violation::new("document_too_long", detail));
        return None;
    }
    // Some editors begin a text with a byte order mark (RFC 8259 section 8.1).
    let text = text.trim_start_matches('\u{feff}');
    let value = match muster_http::json::parse(text.as_bytes()) {
        Ok(value) => value,
        Err(error) => {
            let detail = format!("the document cannot be read as JSON: {error}");
            faults.add("", Violation::new("malformed", detail));
            return None;
        }
    };
    let mut members = Members::of("", value, faults)?;
    let deadline = members.number("deadline_ms", &DEADLINE_MS, DEFAULT_DEADLINE_MS, faults);
    let given = members
        .take("sources")
        .and_then(|(pointer, sources)| Members::of(&pointer, sources, faults));
    let precedence = members.take("precedence");
    members.finish(faults);

    // Judged by a deadline that is wrong itself, timeouts would seem wrong, too.
    let most = deadline.unwrap_or(*DEADLINE_MS.end());
    let (names, sources) = given.map_or_else(Default::default, |given| {
        read_sources(given, most, over, faults)
    });
    let precedence = read_precedence(precedence, &names, faults);
    Some(Document {
        deadline: Duration::from_millis(deadline?),
        precedence,
        sources,
    })
}

/// The sources, and the names of all of them: also of those that are wrong.
fn read_sources(
    given: Members,
    deadline: u64,
    over: Over,
    faults: &mut Faults,
) -> (Vec<String>, Vec<Arc<Source>>) {
    if given.members.len() > MAX_SOURCES {
        let detail = format!("there are at most {MAX_SOURCES} sources");
        faults.add(&given.pointer, Violation::new("too_many_sources", detail));
    }
    let mut sources = Vec::new();
    let mut names: Vec<String> = given.members.keys().cloned().collect();
    // They are sorted already, unless some crate turns `preserve_order` on.
    names.sort();
    let at = given.pointer;
    for (name, value) in given.members {
        let pointer = child(&at, &name);
        if !is_source_name(&name) {
            faults.add(&pointer, Violation::new(
                "invalid_name",
                "a source's name has 1 to 32 of a-z, 0-9, _ and -, a letter first, and is not profile",
            ));
        }
        let source = Members::of(&pointer, value, faults)
            .and_then(|members| read_source(name, members, deadline, over, faults));
        sources.extend(source.map(Arc::new));
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    let total: usize = sources.iter().map(|source| source.max_bytes).sum();
    if total > MAX_TOTAL_BYTES {
        let detail = format!("max_bytes of all sources is at most {MAX_TOTAL_BYTES} together");
        faults.add(&at, Violation::new("too_long_together", detail));
    }
    (names, sources)
}

fn is_source_name(name: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
    (1..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(known)
        && name != PROFILE
}

fn read_source(
    name: String,
    mut members: Members,
    deadline: u64,
    over: Over,
    faults: &mut Faults,
) -> Option<Source> {
    let url = read_url(&mut members, over, faults);
    let headers = read_headers(&mut members, faults);
    let timeouts = MIN_TIMEOUT_MS..=deadline;
    let timeout = members.number(
        "timeout_ms",
        &timeouts,
        DEFAULT_TIMEOUT_MS.min(deadline),
        faults,
    );
    let cache = members.number("cache_s", &CACHE_S, 0, faults);
    let stale_if_error = members.number("stale_if_error_s", &STALE_IF_ERROR_S, 0, faults);
    let required = members.read("required", faults, boolean);
    let unconfirmed_attributes = members.read("unconfirmed_attributes", faults, boolean);
    let keep = members.read("keep", faults, |value| text(value).and_then(json_pointer));
    let hedges = 1..=timeout.unwrap_or(deadline) - 1;
    let hedge_after = members.read("hedge_after_ms", faults, |value| match value {
        Value::Null => Ok(None),
        value => number(&value, &hedges).map(Some),
    });
    let max_bytes = members.number("max_bytes", &MAX_BYTES, DEFAULT_MAX_BYTES, faults);
    members.finish(faults);
    Some(Source {
        name,
        url: url?,
        headers,
        timeout: Duration::from_millis(timeout?),
        cache: Duration::from_secs(cache?),
        stale_if_error: Duration::from_secs(stale_if_error?),
        required: required.unwrap_or(false),
        unconfirmed_attributes: unconfirmed_attributes.unwrap_or(false),
        keep: keep.unwrap_or_default(),
        hedge_after: hedge_after.flatten().map(Duration::from_millis),
        max_bytes: usize::try_from(max_bytes?).ok()?,
    })
}

fn read_url(members: &mut Members, over: Over, faults: &mut Faults) -> Option<Template> {
    let (pointer, value) = members.needed("url", faults)?;
    let url = faults.note(&pointer, text(value))?;
    if writes_out_a_secret(&url) {
        faults.add(&pointer, Violation::new(
            "literal_refused",
            "an address holds no credentials; a header does, by reference: {\"secret\": \"<stack>/crm\"}",
        ));
    }
    Template::parse(&url, over)
        .map_err(|violations| {
            for violation in violations {
                faults.add(&pointer, violation);
            }
        })
        .ok()
}

/// Whether a parameter of the query is called like a secret, and is written out.
fn writes_out_a_secret(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut parameters = query
        .split('&')
        .filter_map(|parameter| parameter.split_once('='));
    parameters.any(|(name, value)| {
        names_a_secret(&name.to_ascii_lowercase()) && !value.is_empty() && !value.contains('{')
    })
}

fn read_headers(members: &mut Members, faults: &mut Faults) -> Vec<(HeaderName, HeaderSource)> {
    let Some(given) = members
        .take("headers")
        .and_then(|(pointer, value)| Members::of(&pointer, value, faults))
    else {
        return Vec::new();
    };
    let mut names = HashSet::new();
    let mut headers = Vec::new();
    let at = given.pointer;
    for (name, value) in given.members {
        let pointer = child(&at, &name);
        let name = header_name(&name).and_then(|name| match names.insert(name.clone()) {
            true => Ok(name),
            false => Err(Violation::new(
                "duplicate",
                "this header is given twice: upper and lower case are alike",
            )),
        });
        let name = faults.note(&pointer, name);
        let source = match value {
            Value::String(text) => faults.note(&pointer, literal(name.as_ref(), &text)),
            Value::Object(_) => Members::of(&pointer, value, faults)
                .and_then(|reference| read_secret(reference, faults)),
            _ => {
                faults.add(&pointer, wrong_type("a text, or the reference to a secret"));
                None
            }
        };
        headers.extend(name.zip(source));
    }
    headers
}

/// What the document does not set: how a message is framed, who sends it, and
/// what would make an answer other than the whole one (so does `If-…`).
const OURS: [&str; 13] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

fn header_name(name: &str) -> Result<HeaderName, Violation> {
    let name: HeaderName = name
        .parse()
        .map_err(|_| Violation::new("invalid_header", "this cannot be the name of a header"))?;
    if OURS.contains(&name.as_str()) || name.as_str().starts_with("if-") {
        return Err(Violation::new(
            "header_refused",
            "this header is not for the document to set",
        ));
    }
    Ok(name)
}

fn literal(name: Option<&HeaderName>, text: &str) -> Result<HeaderSource, Violation> {
    if name.is_some_and(|name| carries_credentials(name.as_str())) {
        return Err(Violation::new(
            "literal_refused",
            "what carries credentials is given by reference: {\"secret\": \"<stack>/crm\"}",
        ));
    }
    let mut value = visible(text)?;
    value.set_sensitive(true);
    Ok(HeaderSource::Literal(value))
}

/// By its name: `Ocp-Apim-Subscription-Key`, `X-AuthToken` …
fn carries_credentials(name: &str) -> bool {
    let mut words = name.split(['-', '_']);
    names_a_secret(name) || words.any(|word| ["auth", "key", "session"].contains(&word))
}

/// Whether this can be the name of nothing else.
fn names_a_secret(name: &str) -> bool {
    const PARTS: [&str; 9] = [
        "api-key",
        "api_key",
        "apikey",
        "authorization",
        "cookie",
        "credential",
        "password",
        "secret",
        "token",
    ];
    PARTS.iter().any(|part| name.contains(part))
}

fn read_secret(mut reference: Members, faults: &mut Faults) -> Option<HeaderSource> {
    let secret = reference
        .needed("secret", faults)
        .and_then(|(at, name)| faults.note(&at, text(name).and_then(secret_name)));
    let key = reference.read("key", faults, |key| {
        text(key).and_then(|key| match key.is_empty() {
            true => Err(Violation::new("invalid_key", "a key is not empty")),
            false => Ok(key),
        })
    });
    let prefix = reference.read("prefix", faults, |prefix| {
        text(prefix).and_then(|prefix| visible(&prefix).map(|_| prefix))
    });
    reference.finish(faults);
    Some(HeaderSource::Secret {
        secret: secret?,
        key,
        prefix: prefix.unwrap_or_default(),
    })
}

/// A name of Secrets Manager. Which secrets the function may read is its role's business.
fn secret_name(name: String) -> Result<String, Violation> {
    let known = |b: u8| b.is_ascii_alphanumeric() || b"/_+=.@-".contains(&b);
    if (1..=MAX_SECRET_NAME_BYTES).contains(&name.len()) && name.bytes().all(known) {
        return Ok(name);
    }
    Err(Violation::new(
        "invalid_secret",
        format!(
            "the name of a secret has letters, digits and /_+=.@-, at most {MAX_SECRET_NAME_BYTES}"
        ),
    ))
}

fn visible(text: &str) -> Result<HeaderValue, Violation> {
    let invalid = || {
        Violation::new(
            "invalid_header_value",
            "a header's value is visible ASCII, and spaces",
        )
    };
    if !text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(invalid());
    }
    HeaderValue::from_str(text).map_err(|_| invalid())
}

/// The names in the order in which they count, with those that were not given.
fn read_precedence(
    given: Option<(String, Value)>,
    sources: &[String],
    faults: &mut Faults,
) -> Vec<Rank> {
    let mut precedence: Vec<String> = Vec::new();
    let (at, given) = match given {
        None => (String::new(), Vec::new()),
        Some((pointer, Value::Array(given))) => (pointer, given),
        Some((pointer, _)) => {
            faults.add(&pointer, wrong_type("a list of names"));
            return Vec::new();
        }
    };
    let known = |name: &String| name == PROFILE || sources.contains(name);
    for (index, name) in given.into_iter().enumerate() {
        let name = text(name).and_then(|name| {
            if !known(&name) {
                Err(Violation::new(
                    "unknown_source",
                    "precedence names profile and the sources of this document",
                ))
            } else if precedence.contains(&name) {
                Err(Violation::new("duplicate", "precedence names each once"))
            } else {
                Ok(name)
            }
        });
        precedence.extend(faults.note(&child(&at, &index.to_string()), name));
    }
    in_order(precedence, sources)
}

/// All ranks, where these names are given.
fn in_order(given: Vec<String>, sources: &[String]) -> Vec<Rank> {
    let rank = |name: &String| match name.as_str() {
        PROFILE => vec![Rank::Identity, Rank::Attributes],
        _ => vec![Rank::Source(name.clone())],
    };
    let others = sources.iter().filter(|name| !given.contains(name));
    let ranks = given.iter().chain(others).flat_map(rank);
    match given.iter().any(|name| name == PROFILE) {
        true => ranks.collect(),
        false => [Rank::Identity]
            .into_iter()
            .chain(ranks)
            .chain([Rank::Attributes])
            .collect(),
    }
}

/// A JSON pointer, as it was given.
fn json_pointer(pointer: String) -> Result<String, Violation> {
    let is_escaped = |rest: &str| rest.starts_with(['0', '1']);
    let starts = pointer.is_empty() || pointer.starts_with('/');
    if starts && pointer.split('~').skip(1).all(is_escaped) {
        return Ok(pointer);
    }
    Err(Violation::new(
        "invalid_pointer",
        "this must be a JSON pointer (RFC 6901), like /data/person, with ~0 for ~ and ~1 for / in a name",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::parse(text, Over::Tls).unwrap()
    }

    /// The precedence, in short.
    fn ranks(document: &Document) -> String {
        let ranks = document.precedence.iter().map(|rank| match rank {
            Rank::Identity => "identity",
            Rank::Attributes => "attributes",
            Rank::Source(name) => name,
        });
        ranks.collect::<Vec<_>>().join(" ")
    }

    /// Where something is wrong, and its code.
    fn faults(text: &str) -> Vec<(String, &'static str)> {
        let InvalidDocument(faults) = Document::parse(text, Over::Tls).unwrap_err();
        faults
            .into_iter()
            .map(|fault| (fault.pointer, fault.violation.code))
            .collect()
    }

    /// A document with one source that has, besides its url, these members.
    fn with(members: &str) -> String {
        format!(r#"{{"sources": {{"crm": {{"url": "https://crm.example.com/", {members}}}}}}}"#)
    }

    #[test]
    fn everything_can_be_said() {
        let text = r#"{
          "deadline_ms": 2000,
          "precedence": ["billing", "profile", "crm"],
          "sources": {
            "crm": {
              "url": "https://crm.example.com/people/{email_sha256}",
              "headers": {
                "Accept-Language": "en, de;q=0.5",
                "Authorization": {"secret": "muster/crm", "key": "token", "prefix": "Bearer "},
                "X-Api-Key": {"secret": "muster/crm/key"}
              },
              "timeout_ms": 800,
              "cache_s": 300,
              "stale_if_error_s": 86400,
              "required": true,
              "unconfirmed_attributes": true,
              "keep": "/data/per~1son",
              "hedge_after_ms": 799,
              "max_bytes": 1024
            },
            "billing": {"url": "https://billing.example.com/{id}", "hedge_after_ms": null}
          }
        }"#;
        let read = document(text);
        assert_eq!(read.deadline, Duration::from_secs(2));
        assert_eq!(ranks(&read), "billing identity attributes crm");
        let [billing, crm] = read.sources.as_slice() else {
            panic!("{read:?}");
        };
        let url = |url| Template::parse(url, Over::Tls).unwrap();
        let secret = |secret: &str, key: Option<&str>, prefix: &str| HeaderSource::Secret {
            secret: secret.to_owned(),
            key: key.map(str::to_owned),
            prefix: prefix.to_owned(),
        };
        assert_eq!(
            **crm,
            Source {
                name: "crm".to_owned(),
                url: url("https://crm.example.com/people/{email_sha256}"),
                headers: vec![
                    (
                        HeaderName::from_static("accept-language"),
                        HeaderSource::Literal(HeaderValue::from_static("en, de;q=0.5")),
                    ),
                    (
                        HeaderName::from_static("authorization"),
                        secret("muster/crm", Some("token"), "Bearer "),
                    ),
                    (
                        HeaderName::from_static("x-api-key"),
                        secret("muster/crm/key", None, ""),
                    ),
                ],
                timeout: Duration::from_millis(800),
                cache: Duration::from_secs(300),
                stale_if_error: Duration::from_secs(86_400),
                required: true,
                unconfirmed_attributes: true,
                keep: "/data/per~1son".to_owned(),
                hedge_after: Some(Duration::from_millis(799)),
                max_bytes: 1024,
            }
        );
        assert_eq!(
            **billing,
            Source {
                name: "billing".to_owned(),
                url: url("https://billing.example.com/{id}"),
                headers: Vec::new(),
                timeout: Duration::from_secs(1),
                cache: Duration::ZERO,
                stale_if_error: Duration::ZERO,
                required: false,
                unconfirmed_attributes: false,
                keep: String::new(),
                hedge_after: None,
                max_bytes: 65_536,
            }
        );
    }

    #[test]
    fn nothing_need_be_said() {
        for text in ["{}", r#"{"sources": {}}"#, r#"{"precedence": ["profile"]}"#] {
            assert_eq!(document(text), Document::default(), "{text}");
        }
        let read = document(
            r#"{"deadline_ms": 100, "sources": {"a": {"url": "https://crm.example.com"}}}"#,
        );
        assert_eq!(read.sources[0].timeout, read.deadline);
    }

    #[test]
    fn precedence_is_completed() {
        let sources = r#""sources": {
            "b": {"url": "https://b.example.com"},
            "a": {"url": "https://a.example.com"},
            "c": {"url": "https://c.example.com"}
        }"#;
        for (given, complete) in [
            ("", "identity a b c attributes"),
            (r#""precedence": [],"#, "identity a b c attributes"),
            (r#""precedence": ["c"],"#, "identity c a b attributes"),
            (
                r#""precedence": ["b", "profile"],"#,
                "b identity attributes a c",
            ),
            (r#""precedence": ["profile"],"#, "identity attributes a b c"),
            (
                r#""precedence": ["c", "b", "a", "profile"],"#,
                "c b a identity attributes",
            ),
        ] {
            let read = document(&format!("{{{given} {sources}}}"));
            assert_eq!(ranks(&read), complete, "{given}");
        }
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let text = r#"{
          "deadline_ms": 99,
          "precedence": ["crm", "crm", "cmr", 7, "profile"],
          "sauces": {},
          "sources": {
            "CRM~/": {},
            "billing": 7,
            "crm": {
              "url": "ftp://u@crm.example.com/{name}",
              "headers": {
                "Accept": 7,
                "Authorization": "Bearer s3cret",
                "Cookie": {"secert": "muster/crm"},
                "Host": "s3cret",
                "X Y": "s3cret\n",
                "X-Api-Key": {"secret": "other crm", "key": "", "prefix": "é", "kye": ""},
                "X-Plan": "s3cret é",
                "x-plan": "pro"
              },
              "timeout_ms": 9,
              "cache_s": -1,
              "stale_if_error_s": 604801,
              "required": "yes",
              "unconfirmed_attributes": 1,
              "keep": "data",
              "hedge_after_ms": 0,
              "max_bytes": 1.5,
              "retries": 3
            }
          }
        }"#;
        let found = faults(text);
        let found: Vec<_> = found
            .iter()
            .map(|(at, code)| (at.as_str(), *code))
            .collect();
        assert_eq!(
            found,
            [
                ("/deadline_ms", "out_of_range"),
                ("/sauces", "unknown"),
                ("/sources/CRM~0~1", "invalid_name"),
                ("/sources/CRM~0~1/url", "missing"),
                ("/sources/billing", "wrong_type"),
                ("/sources/crm/url", "scheme_refused"),
                ("/sources/crm/url", "userinfo_refused"),
                ("/sources/crm/url", "unknown_placeholder"),
                ("/sources/crm/headers/Accept", "wrong_type"),
                ("/sources/crm/headers/Authorization", "literal_refused"),
                ("/sources/crm/headers/Cookie/secret", "missing"),
                ("/sources/crm/headers/Cookie/secert", "unknown"),
                ("/sources/crm/headers/Host", "header_refused"),
                ("/sources/crm/headers/X Y", "invalid_header"),
                ("/sources/crm/headers/X Y", "invalid_header_value"),
                ("/sources/crm/headers/X-Api-Key/secret", "invalid_secret"),
                ("/sources/crm/headers/X-Api-Key/key", "invalid_key"),
                (
                    "/sources/crm/headers/X-Api-Key/prefix",
                    "invalid_header_value"
                ),
                ("/sources/crm/headers/X-Api-Key/kye", "unknown"),
                ("/sources/crm/headers/X-Plan", "invalid_header_value"),
                ("/sources/crm/headers/x-plan", "duplicate"),
                ("/sources/crm/timeout_ms", "out_of_range"),
                ("/sources/crm/cache_s", "out_of_range"),
                ("/sources/crm/stale_if_error_s", "out_of_range"),
                ("/sources/crm/required", "wrong_type"),
                ("/sources/crm/unconfirmed_attributes", "wrong_type"),
                ("/sources/crm/keep", "invalid_pointer"),
                ("/sources/crm/hedge_after_ms", "out_of_range"),
                ("/sources/crm/max_bytes", "out_of_range"),
                ("/sources/crm/retries", "unknown"),
                ("/precedence/1", "duplicate"),
                ("/precedence/2", "unknown_source"),
                ("/precedence/3", "wrong_type"),
            ]
        );
        let told = Document::parse(text, Over::Tls).unwrap_err();
        assert_eq!(told.to_string().lines().count(), 1, "as a log has it");
        assert_eq!(told.to_string().matches("); \"/").count(), found.len() - 1);
        assert!(
            told.to_string().starts_with(
                "\"/deadline_ms\": this must be a whole number from 100 to 25000 (out_of_range); "
            ),
            "{told}"
        );
        assert!(!format!("{told}{told:?}").contains("s3cret"), "{told}");
    }

    #[test]
    fn what_is_no_document_is_told_without_repeating_it() {
        let long = " ".repeat(MAX_DOCUMENT_BYTES + 1);
        for (text, code) in [
            ("", "malformed"),
            ("s3cret", "malformed"),
            (r#"{"sources": {}, "s3cret": }"#, "malformed"),
            (r#"{"sources": {"s3cret": {}, "s3cret": {}}}"#, "malformed"),
            ("[]", "wrong_type"),
            (r#""s3cret""#, "wrong_type"),
            (long.as_str(), "document_too_long"),
        ] {
            assert_eq!(faults(text), [(String::new(), code)], "{text}");
            let told = Document::parse(text, Over::Tls).unwrap_err();
            assert!(!told.to_string().contains("s3cret"), "{told}");
        }
        assert_eq!(faults(r#"{"sources": []}"#)[0].1, "wrong_type");
        assert_eq!(faults(r#"{"precedence": {}}"#)[0].1, "wrong_type");
        assert_eq!(faults(r#"{"deadline_ms": null}"#)[0].1, "wrong_type");
    }

    #[test]
    fn numbers_have_ends() {
        for (name, most) in [
            ("timeout_ms", 3_000),
            ("cache_s", 86_400),
            ("stale_if_error_s", 604_800),
            ("hedge_after_ms", 999),
            ("max_bytes", 262_144),
        ] {
            document(&with(&format!(r#""{name}": {most}"#)));
            let found = faults(&with(&format!(r#""{name}": {}"#, most + 1)));
            assert_eq!(found, [(format!("/sources/crm/{name}"), "out_of_range")]);
        }
        for deadline in [100, 25_000] {
            document(&format!(r#"{{"deadline_ms": {deadline}}}"#));
        }
        let text = with(r#""timeout_ms": 9000"#).replacen('{', r#"{"deadline_ms": 25001,"#, 1);
        let found = faults(&text);
        assert_eq!(found, [("/deadline_ms".to_owned(), "out_of_range")]);
    }

    #[test]
    fn all_answers_together_have_a_limit() {
        let document = |sources: usize| {
            let source = |n| {
                format!(r#""s{n}": {{ "url": "https://x.example.com/", "max_bytes": 262144 }}"#)
            };
            let sources: Vec<_> = (0..sources).map(source).collect();
            format!(r#"{{ "sources": {{ {} }} }}"#, sources.join(", "))
        };
        Document::parse(&document(8), Over::Tls).unwrap();
        let faults = Document::parse(&document(9), Over::Tls).unwrap_err().0;
        assert_eq!(faults[0].pointer, "/sources");
        assert_eq!(faults[0].violation.code, "too_long_together");
    }

    #[test]
    fn names_of_sources_are_short_and_plain() {
        let named = |name: &str| {
            format!(r#"{{"sources": {{"{name}": {{"url": "https://crm.example.com"}}}}}}"#)
        };
        for name in ["a", "crm", "c_r-m9", &"a".repeat(32)] {
            document(&named(name));
        }
        for name in [
            "",
            "profile",
            "9a",
            "_a",
            "Crm",
            "a.b",
            "é",
            &"a".repeat(33),
        ] {
            let pointer = format!("/sources/{name}");
            assert_eq!(faults(&named(name)), [(pointer, "invalid_name")], "{name}");
        }
    }

    #[test]
    fn there_are_not_too_many_sources() {
        let many = |count: usize| {
            let sources: Vec<String> = (0..count)
                .map(|n| format!(r#""s{n}": {{"url": "https://crm.example.com", "max_bytes": 9}}"#))
                .collect();
            format!(r#"{{"sources": {{{}}}}}"#, sources.join(","))
        };
        assert_eq!(document(&many(MAX_SOURCES)).sources.len(), MAX_SOURCES);
        let found = faults(&many(MAX_SOURCES + 1));
        assert_eq!(found, [("/sources".to_owned(), "too_many_sources")]);
    }

    #[test]
    fn credentials_are_given_by_reference_only() {
        for name in [
            "authorization",
            "Proxy-Authorization",
            "COOKIE",
            "X-API-Key",
            "X-Auth-Token",
            "X-Amz-Security-Token",
            "Client-Secret",
            "X-Password",
            "apikey",
            "Ocp-Apim-ApiKey",
            "Ocp-Apim-Subscription-Key",
            "X-Functions-Key",
            "Api_Key",
            "X-Auth",
            "X-AuthToken",
            "X-Session",
            "Set-Cookie",
            "X-Credentials",
        ] {
            let found = faults(&with(&format!(r#""headers": {{"{name}": "s3cret"}}"#)));
            let pointer = format!("/sources/crm/headers/{name}");
            assert_eq!(found, [(pointer, "literal_refused")]);
            document(&with(&format!(
                r#""headers": {{"{name}": {{"secret": "muster/crm"}}}}"#
            )));
        }
    }

    #[test]
    fn what_only_sounds_like_credentials_is_written_out() {
        for name in ["X-Author", "X-Keyboard", "Accept-Language", "X-Tenant"] {
            document(&with(&format!(r#""headers": {{"{name}": "x"}}"#)));
        }
    }

    #[test]
    fn an_address_holds_no_credentials() {
        let with_query = |query: &str| {
            let url = format!("https://crm.example.com/{{id}}?{query}");
            format!(r#"{{"sources": {{"crm": {{"url": "{url}"}}}}}}"#)
        };
        for query in [
            "api_key=k3y",
            "plan=a&Access_Token=k3y",
            "apiKey=k3y",
            "client-secret=k",
        ] {
            let pointer = "/sources/crm/url".to_owned();
            let found = faults(&with_query(query));
            assert_eq!(found, [(pointer, "literal_refused")], "{query}");
        }
        for query in [
            "token={attributes.token}",
            "token=",
            "key=plan",
            "fields=token",
        ] {
            document(&with_query(query));
        }
    }

    #[test]
    fn some_headers_are_not_the_documents_to_set() {
        for name in [
            "Host",
            "content-length",
            "Transfer-Encoding",
            "Connection",
            "Keep-Alive",
            "Proxy-Connection",
            "Upgrade",
            "TE",
            "Trailer",
            "If-None-Match",
            "If-Modified-Since",
            "Range",
            "Expect",
            "User-Agent",
            "Accept-Encoding",
        ] {
            let pointer = format!("/sources/crm/headers/{name}");
            for value in [r#""x""#, r#"{"secret": "muster/crm"}"#] {
                let found = faults(&with(&format!(r#""headers": {{"{name}": {value}}}"#)));
                assert_eq!(found, [(pointer.clone(), "header_refused")]);
            }
        }
    }

    #[test]
    fn values_of_headers_are_visible() {
        for value in ["a\\r\\nX: y", "a\\u0000", "a\\u007f", "é", "a\\tb"] {
            let found = faults(&with(&format!(r#""headers": {{"X-Plan": "{value}"}}"#)));
            assert_eq!(found[0].1, "invalid_header_value", "{value}");
        }
    }

    #[test]
    fn secrets_have_names() {
        let with_secret = |name: &str| {
            let headers = format!(r#""headers": {{"X-Plan": {{"secret": "{name}"}}}}"#);
            with(&headers)
        };
        document(&with_secret("muster-prod/crm_+=.@-9"));
        let long = "a".repeat(513);
        for name in [
            "",
            "muster/a b",
            "muster/é",
            "arn:aws:secretsmanager",
            &long,
        ] {
            let found = faults(&with_secret(name));
            assert_eq!(found[0].1, "invalid_secret", "{name}");
        }
    }

    #[test]
    fn what_is_kept_is_a_pointer() {
        for keep in ["", "/", "/a//b", "/a~0b~1c", "/~01", "/é"] {
            let read = document(&with(&format!(r#""keep": "{keep}""#)));
            assert_eq!(read.sources[0].keep, keep);
        }
        for keep in ["a", "#/a", "/~", "/a~2", "/~~0"] {
            let found = faults(&with(&format!(r#""keep": "{keep}""#)));
            assert_eq!(found[0].1, "invalid_pointer", "{keep}");
        }
    }

    #[test]
    fn local_goes_down_to_the_urls() {
        let text = r#"{"sources": {"crm": {"url": "http://127.0.0.1:8080/"}}}"#;
        assert!(Document::parse(text, Over::Local).is_ok());
        assert_eq!(faults(text).len(), 2);
    }

    #[test]
    fn debug_keeps_what_is_sent_to_itself() {
        let read = document(&with(
            r#""headers": {"X-Plan": "s3cret", "Cookie": {"secret": "muster/crm", "prefix": "s3cret"}}"#,
        ));
        assert!(!format!("{read:?}").contains("s3cret"), "{read:?}");
        let HeaderSource::Literal(value) = &read.sources[0].headers[1].1 else {
            panic!("{read:?}");
        };
        assert!(value.is_sensitive() && value == "s3cret");
    }
}
