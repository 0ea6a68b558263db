//! Why there is nothing of a source, and what follows from it.

use std::time::Duration;

use http::StatusCode;
use muster_core::platform::time::Time;

use crate::config::secrets::MissingSecret;
use crate::config::url_template::NotExpanded;

/// How deep what is kept may be nested. With what is around it in our answer, that is
/// what the strictest of the usual readers take.
pub const MAX_DEPTH: usize = 60;

/// Why there is nothing of a source. What it says is told to callers: it names no
/// address and quotes no source. Its cause does, and is for operators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It took too long.
    #[error("no answer in time")]
    Timeout,
    /// Its address is none to connect to.
    #[error("its address is refused: {0}")]
    Refused(String),
    /// It failed too often, or asked to be left alone.
    #[error("not asked, as it failed before; it is asked again at {until}")]
    OpenCircuit {
        /// When that is over.
        until: Time,
    },
    /// No connection.
    #[error("cannot be reached")]
    Unreachable(String),
    /// The connection broke.
    #[error("the answer broke off")]
    BrokenOff(String),
    /// No success.
    #[error("answers with status {}", .status.as_u16())]
    Status {
        /// Which instead.
        status: StatusCode,
        /// When it may be asked again.
        retry_after: Option<Duration>,
    },
    /// No body: status 204, or an empty one.
    #[error("answers with nothing: status 204, or an empty body")]
    NoContent,
    /// More than is read.
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
    /// Compressed, by that encoding.
    #[error("the answer is compressed ({0}), though the request said Accept-Encoding: identity")]
    Compressed(&'static str),
    /// No JSON: why, and where.
    #[error("the answer is not JSON: {0}")]
    NotJson(String),
    /// JSON in JSON in JSON.
    #[error("the answer is nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// JSON without the part that is wanted.
    #[error("the answer has nothing at {0:?}")]
    NothingThere(String),
    /// The person has too little for the URL.
    #[error(transparent)]
    NotExpanded(#[from] NotExpanded),
    /// The secret that it wants is not to be had.
    #[error(transparent)]
    SecretMissing(#[from] MissingSecret),
    /// What all sources say is more than goes into our answer.
    #[error("there is no room for the answer beside the others; ask for fewer with sources=")]
    NoRoom,
}

/// All codes, and what they mean.
pub const CODES: [(&str, &str); 18] = [
    ("timeout", "no answer in time"),
    (
        "address_refused",
        "its address is private, or otherwise none to connect to",
    ),
    (
        "open_circuit",
        "it failed before and is left alone for a while",
    ),
    (
        "unreachable",
        "there is no connection to it: no such name, refused, or no TLS",
    ),
    (
        "broken_off",
        "the connection broke before the answer was whole",
    ),
    (
        "not_found",
        "it answers with status 404: it does not know the person",
    ),
    ("bad_status", "it answers with another status than success"),
    (
        "no_content",
        "it answers with status 204 or an empty body: it has nothing on the person",
    ),
    ("too_long", "the answer is longer than the document allows"),
    (
        "compressed",
        "the answer is compressed, though it was asked for as it is",
    ),
    ("not_json", "the answer is not JSON; the detail says why"),
    ("too_deep", "the answer is nested too deep"),
    (
        "nothing_there",
        "the answer has nothing at the JSON pointer of the document",
    ),
    (
        "attribute_missing",
        "its address needs an attribute that the profile has not",
    ),
    (
        "attribute_unconfirmed",
        "its address needs an attribute of a sign-up that is not confirmed",
    ),
    (
        "attribute_unsuitable",
        "the profile's values make no address",
    ),
    (
        "secret_missing",
        "a secret that it wants to see cannot be read",
    ),
    ("no_room", "what all sources say is too much for one answer"),
];

impl Trouble {
    /// The same for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Refused(_) => "address_refused",
            Self::OpenCircuit { .. } => "open_circuit",
            Self::Unreachable(_) => "unreachable",
            Self::BrokenOff(_) => "broken_off",
            Self::Status { status, .. } if status.as_u16() == 404 => "not_found",
            Self::Status { .. } => "bad_status",
            Self::NoContent => "no_content",
            Self::TooLong(_) => "too_long",
            Self::Compressed(_) => "compressed",
            Self::NotJson(_) => "not_json",
            Self::TooDeep => "too_deep",
            Self::NothingThere(_) => "nothing_there",
            Self::NotExpanded(reason) => reason.code(),
            Self::SecretMissing(_) => "secret_missing",
            Self::NoRoom => "no_room",
        }
    }

    /// What is behind it, for operators: it may name hosts and roles.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Unreachable(cause) | Self::BrokenOff(cause) => Some(cause),
            Self::SecretMissing(missing) => Some(&missing.cause),
            _ => None,
        }
    }

    /// For how long the source wants to be left alone.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether it is an answer all the same: to what the source says of the person now,
    /// what it said before is no substitute (RFC 5861 section 4).
    pub fn is_an_answer(&self) -> bool {
        match self {
            Self::NoContent => true,
            Self::Status { .. } => !self.is_a_failure(),
            _ => false,
        }
    }

    /// Whether the source has nothing on the person any more.
    pub fn is_gone(&self) -> bool {
        const GONE: [StatusCode; 2] = [StatusCode::NOT_FOUND, StatusCode::GONE];
        match self {
            Self::NoContent => true,
            Self::Status { status, .. } => GONE.contains(status),
            _ => false,
        }
    }

    /// Whether a source that does this is in trouble itself, and better left alone.
    pub fn is_a_failure(&self) -> bool {
        match self {
            Self::Timeout | Self::Unreachable(_) | Self::BrokenOff(_) => true,
            Self::Status { status, .. } => {
                status.is_server_error()
                    || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(status)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;

    #[test]
    fn every_code_is_described() {
        let status = |status| Trouble::Status {
            status,
            retry_after: None,
        };
        let missing = MissingSecret {
            header: AUTHORIZATION,
            cause: String::new(),
            is_transient: false,
        };
        let troubles = [
            Trouble::Timeout,
            Trouble::Refused(String::new()),
            Trouble::OpenCircuit {
                until: Time::from_millis(0),
            },
            Trouble::Unreachable(String::new()),
            Trouble::BrokenOff(String::new()),
            status(StatusCode::NOT_FOUND),
            status(StatusCode::FORBIDDEN),
            Trouble::NoContent,
            Trouble::TooLong(0),
            Trouble::Compressed("gzip"),
            Trouble::NotJson(String::new()),
            Trouble::TooDeep,
            Trouble::NothingThere(String::new()),
            NotExpanded::AttributeMissing(String::new()).into(),
            NotExpanded::AttributeUnconfirmed(String::new()).into(),
            NotExpanded::Unsuitable("").into(),
            missing.into(),
            Trouble::NoRoom,
        ];
        assert_eq!(
            troubles.map(|trouble| trouble.code()),
            CODES.map(|(code, _)| code)
        );
    }

    #[test]
    fn only_trouble_is_no_answer() {
        for (code, is_failure, is_gone) in [
            (302, false, false),
            (401, false, false),
            (404, false, true),
            (408, true, false),
            (410, false, true),
            (429, true, false),
            (500, true, false),
            (503, true, false),
        ] {
            let trouble = Trouble::Status {
                status: StatusCode::from_u16(code).unwrap(),
                retry_after: None,
            };
            let seen = (trouble.is_a_failure(), trouble.is_gone());
            assert_eq!(seen, (is_failure, is_gone), "{code}");
            assert_eq!(trouble.is_an_answer(), !is_failure, "{code}");
        }
        assert!(!Trouble::NotJson(String::new()).is_an_answer());
        let nothing = Trouble::NoContent;
        let seen = (
            nothing.is_an_answer(),
            nothing.is_gone(),
            nothing.is_a_failure(),
        );
        assert_eq!(seen, (true, true, false));
    }
}
