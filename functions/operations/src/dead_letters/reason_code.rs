//! Why messages are given up: codes.

use serde::Serialize;

/// Which kind of reason: what to do about it depends on nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    /// The message is none of this queue's.
    Undecodable,
    /// What it is about is not there.
    Gone,
    /// What it asks for is over, one way or the other.
    Settled,
    /// What it asks for is still to be done.
    Unfinished,
}

impl Code {
    /// Every code.
    pub(crate) const ALL: [Self; 4] = [
        Self::Undecodable,
        Self::Gone,
        Self::Settled,
        Self::Unfinished,
    ];

    /// The code as it is shown.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Gone => "gone",
            Self::Settled => "settled",
            Self::Unfinished => "unfinished",
        }
    }

    /// What it means, and what to do.
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::Undecodable => {
                "the message is none of this queue's and never will be: purge it, and look for \
                 who sent it"
            }
            Self::Gone => "what it is about is not there, or no longer: purge it",
            Self::Settled => "what it asks for is over, well or badly: purge it",
            Self::Unfinished => {
                "what it asks for is still to be done: mend the cause, which is in the log of the \
                 function, then redrive it"
            }
        }
    }
}
