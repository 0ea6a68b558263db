//! What became of a row in a transaction that did not commit.

use muster_core::people::email_lock::LockItem;
use muster_core::people::profile::{Outcome, ProfileItem};
use muster_core::people::validation::Violation;
use muster_core::platform::ids::ProfileId;

/// What became of a row in a transaction that did not commit.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// An earlier try committed, and this is what it made of the row.
    Known(Outcome),
    /// Another row has the address, and keeps it: an earlier one, or a later one
    /// whose profile was changed since.
    Repeated(u64),
    /// A later row has the address, and left this.
    First(Box<ProfileItem>),
    /// A sign-up that is not confirmed has the address.
    SignedUp(Box<LockItem>),
    /// Another profile has the address.
    Taken(ProfileId),
    /// It breaks a rule together with what is there: of that column, or as a whole.
    Refused(Violation),
    /// Nobody knows yet.
    Again,
}
