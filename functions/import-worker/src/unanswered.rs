//! Why a nudge comes back.

use muster_core::platform::failure::Failure;
use muster_core::platform::queue::NotANudge;
use muster_imports::csv::records::RecordTooLong;
use muster_imports::failure_reason::FailureReason;
use muster_imports::object::Unread;

use crate::chunks::NotOurs;

/// A nudge that comes back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    /// Not JSON of that shape.
    #[error(transparent)]
    Undecodable(#[from] NotANudge),
    /// It was never planned.
    #[error("there is no such chunk")]
    Absent,
    /// Whoever it is goes on.
    #[error("somebody else works on this chunk")]
    Leased,
    /// The process is about to be stopped.
    #[error("the time is up; the rest comes back")]
    OutOfTime,
    /// They can be called off when it is known whether they went.
    #[error("{0} mails are being sent; they are looked at again")]
    InHand(u64),
    /// The object is pinned to its version: this is a bug.
    #[error("the chunk does not read as it was planned: {0}")]
    Misread(#[from] RecordTooLong),
    /// The import cannot go on.
    #[error("{}: {}", .0.code, .0.detail)]
    Refused(FailureReason),
    /// AWS did not do its part.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<NotOurs> for Unanswered {
    fn from(error: NotOurs) -> Self {
        match error {
            NotOurs::LeaseLost => Self::Leased,
            NotOurs::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl From<Unread> for Unanswered {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Refused(reason) => Self::Refused(reason),
            Unread::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl Unanswered {
    /// Whether trying again may do.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Failed(failure) => failure.is_transient(),
            Self::OutOfTime | Self::InHand(_) | Self::Leased => true,
            Self::Undecodable(_) | Self::Absent | Self::Misread(_) | Self::Refused(_) => false,
        }
    }
}
