//! The address of a source, with places for what is known of a person.
//!
//! What stands in those places comes from people, so it can be anything. It
//! goes into the path and the query only, and everything in it but the
//! unreserved characters of RFC 3986 is percent-encoded: it can neither name
//! another host nor another parameter, and where it would be a step in the
//! path (`..`) the source is not asked at all.
//!
//! The host is the operator's, and still looked at: a mistake in the document
//! should be told when the document is read. Where the name leads is looked
//! at when it is connected to, see [`crate::sources::addresses`].

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;
use http::uri::{Authority, Scheme};
use muster_core::people::person::attribute_name;
use muster_core::people::profile::{ProfileItem, ProfileStatus};
use muster_core::people::source::Source;
use muster_core::people::validation::Violation;
use muster_core::platform::hex::hex;
use muster_core::platform::ids::ProfileId;
use sha2::{Digest, Sha256};

use crate::sources::addresses;
use crate::sources::addresses::Over;

/// The longest path and query that is sent: what servers commonly take.
pub const MAX_TARGET_BYTES: usize = 8 * 1024;

const PLACEHOLDERS: &str = "{id}, {email}, {email_sha256} and {attributes.<name>}";

/// What a source is asked about.
///
/// Personal data: it has no `Debug`.
#[derive(Clone, Copy)]
pub struct Person<'a> {
    /// The profile's id.
    pub id: ProfileId,
    /// The address as it is compared, see [`muster_core::people::email::Email::key`].
    pub email: &'a str,
    /// What else is known.
    pub attributes: &'a BTreeMap<String, String>,
    /// Whether the attributes are only what a stranger typed. They fill no address then.
    pub is_unconfirmed: bool,
}

impl<'a> From<&'a ProfileItem> for Person<'a> {
    fn from(profile: &'a ProfileItem) -> Self {
        Self {
            id: profile.id,
            email: &profile.email_key,
            attributes: &profile.attributes,
            is_unconfirmed: is_unconfirmed(profile),
        }
    }
}

/// Whether a profile is a sign-up whose address nobody has confirmed. Only such a profile
/// expires. One that an operator changed meanwhile does not, but the rest of it is still
/// the stranger's.
fn is_unconfirmed(profile: &ProfileItem) -> bool {
    let is_open = profile.status == ProfileStatus::Pending || profile.expires_at.is_some();
    profile.source == Source::Signup && is_open
}

/// The address of a source.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    scheme: Scheme,
    authority: Authority,
    path: Vec<Pieces>,
    query: Option<Pieces>,
}

type Pieces = Vec<Piece>;

#[derive(Clone, PartialEq, Eq)]
enum Piece {
    /// As it is sent.
    Text(String),
    /// Filled in for each person.
    Value(Placeholder),
}

#[derive(Clone, PartialEq, Eq)]
enum Placeholder {
    Id,
    Email,
    EmailSha256,
    Attribute(String),
}

/// Why there is no address to ask about a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotExpanded {
    /// The address needs an attribute that the profile has not.
    #[error("the profile has no attribute {0:?}")]
    AttributeMissing(String),
    /// It has that attribute from a stranger.
    #[error("the attribute {0:?} is from a sign-up that is not confirmed, and fills no address")]
    AttributeUnconfirmed(String),
    /// The profile's values make something that is not sent.
    #[error("the profile's values make {0}")]
    Unsuitable(&'static str),
}

impl NotExpanded {
    /// Stable, for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AttributeMissing(_) => "attribute_missing",
            Self::AttributeUnconfirmed(_) => "attribute_unconfirmed",
            Self::Unsuitable(_) => "attribute_unsuitable",
        }
    }
}

impl Template {
    /// Reads an address with placeholders.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(text: &str, over: Over) -> Result<Self, Vec<Violation>> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(vec![Violation::new(
                "invalid_url",
                "an address looks like https://crm.example.com/people/{id}",
            )]);
        };
        let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let mut violations = Vec::new();
        let scheme = noted(parse_scheme(scheme, over), &mut violations);
        let authority = noted(parse_authority(authority, over), &mut violations);
        let target = Target::parse(target);
        for violation in target.violations {
            // The same mistake made twice is told once.
            if !violations.contains(&violation) {
                violations.push(violation);
            }
        }
        match (scheme, authority) {
            (Some(scheme), Some(authority)) if violations.is_empty() => Ok(Self {
                scheme,
                authority,
                path: target.path,
                query: target.query,
            }),
            _ => Err(violations),
        }
    }

    /// The address to ask about a person.
    ///
    /// # Errors
    /// If the profile lacks an attribute, or nobody has confirmed it, or its values
    /// would be a step in the path, an empty part of it, or too long.
    pub fn expand(&self, person: &Person<'_>) -> Result<Uri, NotExpanded> {
        let mut target = String::new();
        for segment in &self.path {
            target.push('/');
            let start = target.len();
            expand(segment, person, &mut target)?;
            let filled_in = segment.iter().any(|piece| matches!(piece, Piece::Value(_)));
            if filled_in && target.len() == start {
                return Err(NotExpanded::Unsuitable("an empty part of the path"));
            }
            if is_step(&target[start..]) {
                return Err(NotExpanded::Unsuitable("a step in the path"));
            }
        }
        if let Some(query) = &self.query {
            target.push('?');
            expand(query, person, &mut target)?;
        }
        if target.len() > MAX_TARGET_BYTES {
            return Err(NotExpanded::Unsuitable("an address that is too long"));
        }
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(target)
            .build()
            // Each piece was looked at, or is encoded: it parses.
            .map_err(|_| NotExpanded::Unsuitable("no address"))
    }
}

/// The operator's text may hold a key; the host does not.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({}://{}/…)", self.scheme, self.authority)
    }
}

fn noted<T>(result: Result<T, Violation>, violations: &mut Vec<Violation>) -> Option<T> {
    result.map_err(|violation| violations.push(violation)).ok()
}

fn parse_scheme(scheme: &str, over: Over) -> Result<Scheme, Violation> {
    if scheme.eq_ignore_ascii_case("https") {
        return Ok(Scheme::HTTPS);
    }
    match over {
        Over::Local if scheme.eq_ignore_ascii_case("http") => Ok(Scheme::HTTP),
        Over::Local => Err(Violation::new(
            "scheme_refused",
            "a source is asked over https or http",
        )),
        Over::Tls => Err(Violation::new(
            "scheme_refused",
            "a source is asked over https",
        )),
    }
}

fn parse_authority(authority: &str, over: Over) -> Result<Authority, Violation> {
    if authority.contains('@') {
        return Err(Violation::new(
            "userinfo_refused",
            "an address names no user and no password; a header may, by reference to a secret",
        ));
    }
    if authority.contains(['{', '}']) {
        return Err(Violation::new(
            "placeholder_refused",
            "placeholders stand in the path and the query only",
        ));
    }
    let (host, port) = match authority.find(']') {
        Some(end) => authority.split_at(end + 1),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let host = host.to_ascii_lowercase();
    check_host(&host, over)?;
    check_port(port)?;
    Authority::try_from(format!("{host}{port}"))
        .map_err(|_| host_refused("the host must be a name like crm.example.com"))
}

fn check_port(port: &str) -> Result<(), Violation> {
    let is_port = |digits: &str| {
        // `+1` would parse.
        digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok_and(|p| p > 0)
    };
    if port.is_empty() || port.strip_prefix(':').is_some_and(is_port) {
        return Ok(());
    }
    Err(Violation::new(
        "invalid_port",
        "a port is a number from 1 to 65535",
    ))
}

/// Whether a source may be at a host, as far as its name tells.
fn check_host(host: &str, over: Over) -> Result<(), Violation> {
    if let Some(address) = literal(host)? {
        return addresses::check(address, over)
            .map_err(|why| host_refused(format!("the host must be public, but {why}")));
    }
    if !host.is_ascii() {
        return Err(host_refused(
            "the host must be in its ASCII form: xn--bcher-kva.example for bücher.example",
        ));
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(is_label) {
        return Err(host_refused(
            "the host must be a name like crm.example.com: labels of letters, digits and -, with no \
             dot at the end",
        ));
    }
    if host == "localhost" && over == Over::Local {
        return Ok(());
    }
    if !host.contains('.') || PRIVATE_NAMES.iter().any(|name| is_under(host, name)) {
        return Err(host_refused(
            "the host must be a full name on the public internet, like crm.example.com",
        ));
    }
    Ok(())
}

/// What names lead to inside of a network only.
const PRIVATE_NAMES: [&str; 5] = [
    "localhost",   // RFC 6761
    "localdomain", // what many a hosts file calls itself
    "local",       // RFC 6762
    "internal",    // ICANN 2024; AWS and Google Cloud
    "home.arpa",   // RFC 8375
];

fn is_under(host: &str, name: &str) -> bool {
    host.strip_suffix(name)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The host as an IP address, if that is what it is.
///
/// Resolvers take more for an address than four numbers: `127.1`,
/// `0x7f.0.0.1`, `2130706433`. What ends in a number is either written in the
/// one plain way or refused.
fn literal(host: &str) -> Result<Option<IpAddr>, Violation> {
    if let Some(rest) = host.strip_prefix('[') {
        let address = rest
            .strip_suffix(']')
            .and_then(|text| text.parse::<Ipv6Addr>().ok());
        return match address {
            Some(address) => Ok(Some(address.into())),
            None => Err(host_refused(
                "an IPv6 address stands in brackets, like [2600:1f18::1]",
            )),
        };
    }
    let last = host.rsplit('.').next().unwrap_or("");
    let is_number =
        !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    if !is_number {
        return Ok(None);
    }
    match host.parse::<Ipv4Addr>() {
        Ok(address) => Ok(Some(address.into())),
        Err(_) => Err(host_refused(
            "an IPv4 address is four decimal numbers, like 8.8.4.4",
        )),
    }
}

fn host_refused(detail: impl Into<String>) -> Violation {
    Violation::new("host_refused", detail)
}

/// What comes after the host, while it is read.
struct Target {
    path: Vec<Pieces>,
    query: Option<Pieces>,
    violations: Vec<Violation>,
}

impl Target {
    fn parse(text: &str) -> Self {
        let mut target = Self {
            path: Vec::new(),
            query: None,
            violations: Vec::new(),
        };
        let mut rest = text.strip_prefix('/').unwrap_or(text);
        target.path.push(Vec::new());
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            rest = match c {
                '{' => target.placeholder(after),
                '/' if target.query.is_none() => {
                    target.path.push(Vec::new());
                    after
                }
                '?' if target.query.is_none() => {
                    target.query = Some(Vec::new());
                    after
                }
                _ => {
                    target.text(c, after);
                    after
                }
            };
        }
        // Whoever is asked about: to find steps only then would be late.
        let always_steps =
            |segment: &Pieces| is_step(&segment.iter().map(Piece::sample).collect::<String>());
        if target.path.iter().any(always_steps) {
            target.refuse("invalid_url", "the path has no steps (. and ..)");
        }
        target
    }

    /// Takes a placeholder, of which the brace is gone, and returns the rest.
    fn placeholder<'a>(&mut self, after: &'a str) -> &'a str {
        let end = after.find(['{', '}']).unwrap_or(after.len());
        let (name, rest) = after.split_at(end);
        let Some(rest) = rest.strip_prefix('}') else {
            self.unbalanced();
            return rest;
        };
        match Placeholder::parse(name) {
            Some(placeholder) => self.pieces().push(Piece::Value(placeholder)),
            None => self.refuse(
                "unknown_placeholder",
                format!("there is no such placeholder; there are {PLACEHOLDERS}"),
            ),
        }
        rest
    }

    /// Takes a character that stands for itself.
    fn text(&mut self, c: char, after: &str) {
        match c {
            '}' => self.unbalanced(),
            '#' => self.refuse("fragment_refused", "an address has no fragment (#)"),
            '%' if !is_encoded(after) => self.refuse(
                "invalid_url",
                "a % in an address is followed by two hexadecimal digits",
            ),
            // RFC 3986 section 3.3 and 3.4.
            _ if c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/?%".contains(c) => {
                match self.pieces().last_mut() {
                    Some(Piece::Text(text)) => text.push(c),
                    _ => self.pieces().push(Piece::Text(c.into())),
                }
            }
            _ => self.refuse(
                "invalid_url",
                "spaces, control characters, backslashes and what else is no part of an address \
                 must be percent-encoded",
            ),
        }
    }

    /// Where the next piece goes. A path has one segment at least.
    fn pieces(&mut self) -> &mut Pieces {
        match (&mut self.query, self.path.len()) {
            (Some(query), _) => query,
            (None, count) => &mut self.path[count - 1],
        }
    }

    fn unbalanced(&mut self) {
        self.refuse(
            "unbalanced_brace",
            format!("each {{ has its }}, around the name of a placeholder: {PLACEHOLDERS}"),
        );
    }

    fn refuse(&mut self, code: &'static str, detail: impl Into<String>) {
        self.violations.push(Violation::new(code, detail));
    }
}

impl Piece {
    /// The text, or any value.
    fn sample(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Value(_) => "x",
        }
    }
}

impl Placeholder {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "id" => Some(Self::Id),
            "email" => Some(Self::Email),
            "email_sha256" => Some(Self::EmailSha256),
            _ => {
                let name = name.strip_prefix("attributes.")?;
                attribute_name(name).ok()?;
                Some(Self::Attribute(name.to_owned()))
            }
        }
    }
}

/// Whether a `%` before this encodes something.
fn is_encoded(after: &str) -> bool {
    let mut digits = after.bytes().take(2);
    after.len() >= 2 && digits.all(|b| b.is_ascii_hexdigit())
}

/// Whether a segment goes elsewhere in the path, once a server has decoded it.
/// Some decode slashes first and look for steps then.
fn is_step(segment: &str) -> bool {
    let decoded = segment
        .to_ascii_lowercase()
        .replace("%2e", ".")
        .replace("%2f", "/")
        .replace("%5c", "/");
    decoded.split('/').any(|part| part == "." || part == "..")
}

fn expand(pieces: &[Piece], person: &Person<'_>, to: &mut String) -> Result<(), NotExpanded> {
    for piece in pieces {
        match piece {
            Piece::Text(text) => to.push_str(text),
            Piece::Value(Placeholder::Id) => to.push_str(&person.id.to_string()),
            Piece::Value(Placeholder::Email) => encode(person.email, to),
            Piece::Value(Placeholder::EmailSha256) => {
                to.push_str(&hex(&Sha256::digest(person.email)))
            }
            Piece::Value(Placeholder::Attribute(name)) => match person.attributes.get(name) {
                None => return Err(NotExpanded::AttributeMissing(name.clone())),
                Some(_) if person.is_unconfirmed => {
                    return Err(NotExpanded::AttributeUnconfirmed(name.clone()));
                }
                Some(value) => encode(value, to),
            },
        }
    }
    Ok(())
}

/// Percent-encodes all but what is unreserved (RFC 3986 section 2.3).
fn encode(value: &str, to: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            to.push(byte.into());
        } else {
            to.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;
    use proptest::test_runner::RngSeed;

    const ID: &str = "0190c2f4-7e1d-7c3a-9b1e-3f2a1b0c9d8e";

    fn expanded(url: &str, attributes: &[(&str, &str)]) -> Result<Uri, NotExpanded> {
        let attributes = attributes
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let person = Person {
            id: ID.parse().unwrap(),
            email: "ada+x@example.com",
            attributes: &attributes,
            is_unconfirmed: false,
        };
        Template::parse(url, Over::Tls).unwrap().expand(&person)
    }

    /// What is wrong with an address.
    fn codes(url: &str, over: Over) -> Vec<&'static str> {
        let violations = Template::parse(url, over).err().unwrap_or_default();
        violations.iter().map(|violation| violation.code).collect()
    }

    #[test]
    fn placeholders_are_filled_in() {
        for (url, uri) in [
            ("https://crm.example.com", "https://crm.example.com/"),
            (
                "https://crm.example.com?a=b",
                "https://crm.example.com/?a=b",
            ),
            (
                "HTTPS://CRM.Example.com:8443/People/{id}/",
                "https://crm.example.com:8443/People/0190c2f4-7e1d-7c3a-9b1e-3f2a1b0c9d8e/",
            ),
            (
                "https://crm.example.com/{email}?mail={email}&x=a/b?c:d@e",
                "https://crm.example.com/ada%2Bx%40example.com?mail=ada%2Bx%40example.com&x=a/b?c:d@e",
            ),
            (
                "https://crm.example.com/people/{email_sha256}",
                "https://crm.example.com/people/e1d47abb12b1f109d811f869428cd5c3a7c0ba6b7e0ba5dcef2d410f93543527",
            ),
            (
                "https://crm.example.com/a-{attributes.plan}.json?p={attributes.plan}&g={attributes.a/b #?}",
                "https://crm.example.com/a-pro%20%26%2F%C3%A9.json?p=pro%20%26%2F%C3%A9&g=-._~",
            ),
            (
                "https://crm.example.com/%7e%2Fx",
                "https://crm.example.com/%7e%2Fx",
            ),
        ] {
            let attributes = [("plan", "pro &/é"), ("a/b #?", "-._~")];
            let found = expanded(url, &attributes).unwrap().to_string();
            assert_eq!(found, uri, "{url}");
        }
    }

    #[test]
    fn a_missing_attribute_is_named() {
        let missing = expanded("https://crm.example.com/{attributes.plan}", &[]).unwrap_err();
        assert_eq!(missing.code(), "attribute_missing");
        assert_eq!(missing.to_string(), "the profile has no attribute \"plan\"");
    }

    #[test]
    fn no_value_is_a_step_in_the_path() {
        for (path, value) in [
            ("{attributes.x}", ""),
            ("{attributes.x}/", ""),
            ("a/{attributes.x}/b", ""),
            ("{attributes.x}", "."),
            ("{attributes.x}", ".."),
            (".{attributes.x}", "."),
            ("{attributes.x}{attributes.x}", "."),
            ("%2e{attributes.x}", "."),
            ("{attributes.x}", "../admin"),
            ("a{attributes.x}", "/../admin"),
            ("{attributes.x}", "..\\admin"),
        ] {
            let url = format!("https://crm.example.com/p/{path}?{{id}}");
            let refused = expanded(&url, &[("x", value)]).unwrap_err();
            assert_eq!(refused.code(), "attribute_unsuitable", "{path} {value:?}");
        }
        for value in ["", ".", "..", "../admin"] {
            let url = "https://crm.example.com/?x={attributes.x}";
            assert!(expanded(url, &[("x", value)]).is_ok(), "{value:?}");
        }
        for value in ["...", ".a", "a..", "..a/b"] {
            let url = "https://crm.example.com/{attributes.x}";
            assert!(expanded(url, &[("x", value)]).is_ok(), "{value:?}");
        }
    }

    #[test]
    fn an_address_does_not_grow_without_end() {
        let url = format!("https://crm.example.com/?{}", "{attributes.x}".repeat(9));
        let long = expanded(&url, &[("x", &"x".repeat(1024))]).unwrap_err();
        assert_eq!(long, NotExpanded::Unsuitable("an address that is too long"));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        assert_eq!(
            codes("ftp://u@127.1:0/{ID}/{ID}/}#x", Over::Tls),
            [
                "scheme_refused",
                "userinfo_refused",
                "unknown_placeholder",
                "unbalanced_brace",
                "fragment_refused",
            ]
        );
    }

    /// Where nothing is asked, whatever `Over`.
    const HOSTILE: &[(&str, &str)] = &[
        // No address, or not of the kind.
        ("invalid_url", ""),
        ("invalid_url", "crm.example.com/people"),
        ("invalid_url", "//crm.example.com/people"),
        ("invalid_url", "https:/crm.example.com"),
        ("invalid_url", "https:\\\\crm.example.com"),
        ("invalid_url", "javascript:alert(1)"),
        ("invalid_url", "data:text/plain,x"),
        ("invalid_url", "{id}"),
        ("scheme_refused", "javascript://crm.example.com/%0aalert(1)"),
        ("scheme_refused", "data://crm.example.com/x"),
        ("scheme_refused", "file:///etc/passwd"),
        ("scheme_refused", "file://crm.example.com/etc/passwd"),
        ("scheme_refused", "ftp://crm.example.com/"),
        ("scheme_refused", "gopher://crm.example.com:6379/_FLUSHALL"),
        ("scheme_refused", "ws://crm.example.com/"),
        ("scheme_refused", "unix://crm.example.com/"),
        ("scheme_refused", " https://crm.example.com/"),
        ("scheme_refused", "\nhttps://crm.example.com/"),
        ("scheme_refused", "://crm.example.com/"),
        ("scheme_refused", "{id}://crm.example.com/"),
        // Another host than it seems.
        ("userinfo_refused", "https://user:pw@crm.example.com/"),
        (
            "userinfo_refused",
            "https://crm.example.com@169.254.169.254/",
        ),
        ("userinfo_refused", "https://crm.example.com%40@127.0.0.1/"),
        ("userinfo_refused", "https://crm.example.com:443@127.0.0.1/"),
        ("userinfo_refused", "https://@crm.example.com/"),
        ("userinfo_refused", "https://crm.example.com\\@127.0.0.1/"),
        ("fragment_refused", "https://crm.example.com#@127.0.0.1/"),
        ("fragment_refused", "https://crm.example.com/#x"),
        ("fragment_refused", "https://crm.example.com/?a#{id}"),
        ("host_refused", "https://crm.example.com\\.evil.example/"),
        ("host_refused", "https://crm.example.com%2f.evil.example/"),
        ("host_refused", "https://crm.example.com\t.evil.example/"),
        (
            "host_refused",
            "https://crm.example.com\r\nHost: evil.example/",
        ),
        ("host_refused", "https://crm.example.com\u{0}.evil.example/"),
        ("host_refused", "https://crm.example.com ./"),
        ("placeholder_refused", "https://{attributes.host}/"),
        ("placeholder_refused", "https://{attributes.a/b}/"),
        ("placeholder_refused", "https://{id}.example.com/"),
        (
            "placeholder_refused",
            "https://crm.example.com:{attributes.port}/",
        ),
        (
            "placeholder_refused",
            "https://crm.example.com{attributes.rest}/",
        ),
        // No names.
        ("host_refused", "https://"),
        ("host_refused", "https:///people"),
        ("host_refused", "https://:443/"),
        ("host_refused", "https://?x"),
        ("host_refused", "https://./"),
        ("host_refused", "https://crm..example.com/"),
        ("host_refused", "https://.example.com/"),
        ("host_refused", "https://crm.example.com./"),
        ("host_refused", "https://-crm.example.com/"),
        ("host_refused", "https://crm-.example.com/"),
        ("host_refused", "https://crm_1.example.com/"),
        ("host_refused", "https://*.example.com/"),
        ("host_refused", "https://%6c%6f%63alhost/"),
        ("host_refused", "https://bücher.example/"),
        ("host_refused", "https://crm。example。com/"),
        ("host_refused", "https://１２７.0.0.1/"),
        ("host_refused", "https://①②⑦.⓪.⓪.①/"),
        ("host_refused", "https://127。0。0。1/"),
        ("host_refused", "https://ⓛocalhost/"),
        ("host_refused", "https://crm\u{ad}.example.com/"),
        // Names of what is near.
        ("host_refused", "https://intranet/"),
        ("host_refused", "https://localhost./"),
        ("host_refused", "https://crm.localhost/"),
        ("host_refused", "https://localhost.localdomain/"),
        ("host_refused", "https://printer.local/"),
        (
            "host_refused",
            "https://metadata.google.internal/computeMetadata/v1/",
        ),
        ("host_refused", "https://INSTANCE-DATA.ec2.Internal/latest/"),
        ("host_refused", "https://router.home.arpa/"),
        ("host_refused", "https://metadata.google.internal./"),
        // Addresses of what is near.
        ("host_refused", "https://169.254.169.254/latest/meta-data/"),
        ("host_refused", "https://169.254.170.2/v2/credentials"),
        ("host_refused", "https://[fd00:ec2::254]/latest/meta-data/"),
        ("host_refused", "https://[::ffff:169.254.169.254]/"),
        ("host_refused", "https://[::ffff:a9fe:a9fe]/"),
        ("host_refused", "https://100.100.100.200/"),
        ("host_refused", "https://192.0.0.192/"),
        ("host_refused", "https://0.0.0.0/"),
        ("host_refused", "https://10.0.0.1:8443/"),
        ("host_refused", "https://172.16.0.1/"),
        ("host_refused", "https://192.168.0.1/"),
        ("host_refused", "https://198.18.0.1/"),
        ("host_refused", "https://192.0.2.1/"),
        ("host_refused", "https://224.0.0.1/"),
        ("host_refused", "https://255.255.255.255/"),
        ("host_refused", "https://[::]/"),
        ("host_refused", "https://[fe80::1]/"),
        ("host_refused", "https://[fe80::1%25eth0]/"),
        ("host_refused", "https://[fc00::1]/"),
        ("host_refused", "https://[fec0::1]/"),
        ("host_refused", "https://[ff02::1]/"),
        ("host_refused", "https://[2001:db8::1]/"),
        ("host_refused", "https://[64:ff9b::127.0.0.1]/"),
        ("host_refused", "https://[64:ff9b:1::a00:1]/"),
        ("host_refused", "https://[2002:7f00:1::]/"),
        ("host_refused", "https://[2001:0:7f00:1::]/"),
        ("host_refused", "https://[::127.0.0.1]/"),
        // Spellings that resolvers take for addresses.
        ("host_refused", "https://127.1/"),
        ("host_refused", "https://127.0.1/"),
        ("host_refused", "https://0/"),
        ("host_refused", "https://2130706433/"),
        ("host_refused", "https://017700000001/"),
        ("host_refused", "https://0177.0.0.1/"),
        ("host_refused", "https://0177.0.0.01/"),
        ("host_refused", "https://127.0.0.01/"),
        ("host_refused", "https://0x7f.1/"),
        ("host_refused", "https://0x7f.0x1/"),
        ("host_refused", "https://0x7f000001/"),
        ("host_refused", "https://0X7F.0.0.0X1/"),
        ("host_refused", "https://0x/"),
        ("host_refused", "https://crm.example.0x1/"),
        ("host_refused", "https://2852039166/"),
        ("host_refused", "https://0xa9fea9fe/"),
        ("host_refused", "https://0251.0376.0251.0376/"),
        ("host_refused", "https://169.254.43518/"),
        ("host_refused", "https://8.8.8/"),
        ("host_refused", "https://256.256.256.256/"),
        ("host_refused", "https://99999999999/"),
        ("host_refused", "https://127.0.0.1./"),
        ("host_refused", "https://8.8.8.8./"),
        ("host_refused", "https://crm.example.1/"),
        ("host_refused", "https://[127.0.0.1]/"),
        ("host_refused", "https://[::1/"),
        ("host_refused", "https://::1/"),
        ("host_refused", "https://::1]/"),
        ("host_refused", "https://[]/"),
        ("host_refused", "https://[v1.x]/"),
        // Ports.
        ("invalid_port", "https://crm.example.com:/"),
        ("invalid_port", "https://crm.example.com:0/"),
        ("invalid_port", "https://crm.example.com:65536/"),
        ("invalid_port", "https://crm.example.com:+443/"),
        ("invalid_port", "https://crm.example.com:-1/"),
        ("invalid_port", "https://crm.example.com:https/"),
        ("invalid_port", "https://crm.example.com:443:443/"),
        ("invalid_port", "https://crm.example.com:443 /"),
        ("invalid_port", "https://[2600:1f18::1]443/"),
        // Paths and queries.
        ("invalid_url", "https://crm.example.com/a b"),
        ("invalid_url", "https://crm.example.com/ "),
        ("invalid_url", "https://crm.example.com/\t"),
        ("invalid_url", "https://crm.example.com/x HTTP/1.1\r\nX: y"),
        ("invalid_url", "https://crm.example.com/\u{0}"),
        ("invalid_url", "https://crm.example.com/\u{7f}"),
        ("invalid_url", "https://crm.example.com/é"),
        ("invalid_url", "https://crm.example.com/\u{202e}x"),
        ("invalid_url", "https://crm.example.com/\\..\\x"),
        ("invalid_url", "https://crm.example.com/?x=<y>"),
        ("invalid_url", "https://crm.example.com/?x=\"y\""),
        ("invalid_url", "https://crm.example.com/%"),
        ("invalid_url", "https://crm.example.com/%f"),
        ("invalid_url", "https://crm.example.com/%{id}"),
        ("invalid_url", "https://crm.example.com/?%zz"),
        ("invalid_url", "https://crm.example.com/%é0"),
        ("invalid_url", "https://crm.example.com/a/../b"),
        ("invalid_url", "https://crm.example.com/."),
        ("invalid_url", "https://crm.example.com/%2e%2E/b"),
        ("invalid_url", "https://crm.example.com/..%2f{id}"),
        // Placeholders.
        ("unknown_placeholder", "https://crm.example.com/{}"),
        ("unknown_placeholder", "https://crm.example.com/{name}"),
        ("unknown_placeholder", "https://crm.example.com/{ID}"),
        ("unknown_placeholder", "https://crm.example.com/{ id }"),
        (
            "unknown_placeholder",
            "https://crm.example.com/{attributes}",
        ),
        (
            "unknown_placeholder",
            "https://crm.example.com/{attributes.}",
        ),
        (
            "unknown_placeholder",
            "https://crm.example.com/{attributes. x}",
        ),
        (
            "unknown_placeholder",
            "https://crm.example.com/{attributes.a\r\nb}",
        ),
        ("unbalanced_brace", "https://crm.example.com/}"),
        ("unbalanced_brace", "https://crm.example.com/{"),
        ("unbalanced_brace", "https://crm.example.com/{id"),
        ("unbalanced_brace", "https://crm.example.com/id}"),
        ("unbalanced_brace", "https://crm.example.com/{{id}"),
        ("unbalanced_brace", "https://crm.example.com/{id}}"),
        ("unbalanced_brace", "https://crm.example.com/?a={id"),
    ];

    #[test]
    fn what_is_hostile_or_a_mistake_is_refused() {
        for &(code, url) in HOSTILE {
            for over in [Over::Tls, Over::Local] {
                assert_eq!(codes(url, over).first(), Some(&code), "{url:?}");
            }
        }
    }

    #[test]
    fn only_local_is_asked_over_http_and_on_this_machine() {
        for (code, url) in [
            ("scheme_refused", "http://crm.example.com/"),
            ("host_refused", "https://localhost:8080/"),
            ("host_refused", "https://LOCALHOST/"),
            ("host_refused", "https://127.0.0.1:8080/"),
            ("host_refused", "https://127.8.8.8/"),
            ("host_refused", "https://[::1]/"),
            ("host_refused", "https://[0:0:0:0:0:0:0:1]/"),
            ("host_refused", "https://[::ffff:127.0.0.1]/"),
            ("host_refused", "https://[::ffff:7f00:1]/"),
        ] {
            assert_eq!(codes(url, Over::Tls), [code], "{url}");
            assert!(codes(url, Over::Local).is_empty(), "{url}");
        }
    }

    #[test]
    fn public_hosts_are_fine() {
        let label = "a".repeat(63);
        for url in [
            "https://crm.example.com",
            "https://crm.example.com:1/",
            "https://CRM.example.com:65535/",
            "https://xn--bcher-kva.example/",
            "https://a.b-c.d1.example/",
            "https://1password.example/",
            "https://8.8.8.8.example/",
            "https://0x7f.example/",
            "https://internal.example.com/",
            "https://my.notlocal/",
            "https://localhost.example.com/",
            "https://8.8.8.8:8443/",
            "https://[2600:1f18::1]/",
            "https://[2600:1F18::1]:8443/",
            "https://[::ffff:8.8.8.8]/",
            "https://crm.example.com//a/",
            &format!("https://{label}.example/"),
        ] {
            assert!(codes(url, Over::Tls).is_empty(), "{url}");
        }
        let label = "a".repeat(64);
        for host in [format!("{label}.example"), ["a"; 128].join(".")] {
            let url = format!("https://{host}/");
            assert_eq!(codes(&url, Over::Tls), ["host_refused"], "{url}");
        }
    }

    #[test]
    fn sentences_do_not_repeat_the_address() {
        for (_, url) in HOSTILE {
            let url = url.replace("crm.example.com", "s3cret.example");
            for violation in Template::parse(&url, Over::Tls).unwrap_err() {
                assert!(!violation.detail.contains("s3cret"), "{violation:?}");
            }
        }
    }

    #[test]
    fn sentences_say_what_would_be_accepted() {
        for (url, hint) in [
            ("https://crm.example.com/{name}", PLACEHOLDERS),
            ("https://crm.example.com/{id", PLACEHOLDERS),
            ("https://bücher.example/", "ASCII form: xn--"),
            ("https://127.1/", "four decimal numbers"),
            (
                "https://10.0.0.1/",
                "must be public, but it is a private address",
            ),
            (
                "https://crm.internal/",
                "a full name on the public internet",
            ),
        ] {
            let violations = Template::parse(url, Over::Tls).unwrap_err();
            assert!(violations[0].detail.contains(hint), "{violations:?}");
        }
    }

    #[test]
    fn debug_keeps_keys_to_itself() {
        let url = "https://crm.example.com/k3y?api_key=k3y";
        let template = Template::parse(url, Over::Tls).unwrap();
        assert_eq!(
            format!("{template:?}"),
            "Template(https://crm.example.com/…)"
        );
    }

    fn decoded(text: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'%' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                byte => byte,
            });
        }
        String::from_utf8(bytes).unwrap()
    }

    /// Anything, and what means something in an address.
    fn value() -> impl Strategy<Value = String> {
        let special: Vec<char> = "./\\?#&=%@:;[]{} \r\n\t\0+é\u{ff0f}。\u{202e}2ef"
            .chars()
            .collect();
        prop_oneof![
            any::<String>(),
            proptest::collection::vec(select(special), 0..20).prop_map(String::from_iter),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 4000,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(1),
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_value_stays_where_it_was_put(value in value()) {
            let url = "https://crm.example.com:8443/a/{attributes.x}/b-{attributes.x}?q={attributes.x}&z=1";
            match expanded(url, &[("x", &value)]) {
                Ok(uri) => {
                    let uri: Uri = uri.to_string().parse().unwrap();
                    prop_assert_eq!(uri.scheme_str(), Some("https"));
                    prop_assert_eq!(uri.authority().map(Authority::as_str), Some("crm.example.com:8443"));
                    let segments: Vec<&str> = uri.path().split('/').collect();
                    prop_assert_eq!(segments.len(), 4);
                    prop_assert_eq!(decoded(segments[2]), value.as_str());
                    prop_assert_eq!(decoded(segments[3]), format!("b-{value}"));
                    let query = uri.query().unwrap();
                    let parameters: Vec<&str> = query.split('&').collect();
                    prop_assert_eq!(parameters.len(), 2);
                    prop_assert_eq!(decoded(parameters[0]), format!("q={value}"));
                }
                Err(why) => {
                    prop_assert_eq!(why.code(), "attribute_unsuitable");
                    let is_step = |part: &str| part == "." || part == "..";
                    prop_assert!(value.is_empty() || value.split(['/', '\\']).any(is_step));
                }
            }
        }
    }
}
