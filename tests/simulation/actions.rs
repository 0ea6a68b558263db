//! What people and operators do in a scenario.

use std::collections::BTreeMap;

/// The name that [`Action::Edit`] gives a profile.
pub const EDITED: &str = "Edited";

/// One thing that somebody does, again and again until the answer says that it
/// is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Signs up.
    SignUp(&'static str),
    /// Signs up with a name and attributes, perhaps with somebody else's address.
    SignUpAs {
        /// The address.
        address: &'static str,
        /// The name, which the attributes repeat.
        name: &'static str,
    },
    /// Asks for the mail again.
    Resend(&'static str),
    /// Follows the link of the newest mail to that address, as soon as there is
    /// one.
    Confirm(&'static str),
    /// Follows the other link: somebody else signed the address up.
    RejectSignup(&'static str),
    /// An operator creates a profile, with an `Idempotency-Key`.
    Create(&'static str),
    /// An operator gives a profile another address.
    Move {
        /// The old one.
        from: &'static str,
        /// The new one.
        to: &'static str,
    },
    /// An operator names the profile of that address [`EDITED`].
    Edit(String),
    /// An operator erases the profile of that address.
    Erase(String),
    /// Uploads a CSV straight to the bucket.
    Upload {
        /// The object.
        key: String,
        /// The file.
        csv: Vec<u8>,
        /// The object's metadata.
        options: BTreeMap<&'static str, String>,
    },
    /// An operator creates an import, and uploads its file.
    Import {
        /// The options of the import.
        options: BTreeMap<&'static str, String>,
        /// Whether it waits to be started.
        manual: bool,
        /// The file.
        csv: Vec<u8>,
    },
    /// An operator starts the import.
    Start,
    /// An operator cancels the import.
    Cancel,
    /// An operator resumes the import.
    Resume,
}

/// An action on an import that is done: the rules of an import depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompletedAction {
    /// An operator edited the profile of that address after its row was imported.
    Edited(String),
    /// An operator erased the profile of that address after its row was imported.
    Erased(String),
    /// An operator resumed the import: it stood still from the first time to the
    /// second (milliseconds since 1970).
    Resumed(i64, i64),
}
