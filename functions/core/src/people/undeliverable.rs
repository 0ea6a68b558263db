//! Why no mail goes to a profile's address.
//!
//! That an address is somebody's, and that mail gets there, are two facts: who
//! has confirmed an address and then calls a mail spam, or has a mailbox that is
//! closed for a week, has still confirmed it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::platform::time::Time;

/// What happened to a mail, so that no other follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It came back for good.
    Bounced,
    /// It was called spam.
    Complained,
    /// SES did not try: the address is on a suppression list.
    Suppressed,
}

impl Cause {
    /// As it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bounced => "bounced",
            Self::Complained => "complained",
            Self::Suppressed => "suppressed",
        }
    }
}

/// No mail goes to the address. [`LockItem`](crate::people::email_lock::LockItem) says so, too.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undeliverable {
    /// When Muster learned of it.
    pub since: Time,
    /// What happened.
    pub cause: Cause,
    /// What SES or the recipient's server said.
    pub reason: String,
}

/// Servers repeat the address in what they say.
impl fmt::Debug for Undeliverable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undeliverable")
            .field("since", &self.since)
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_does_not_repeat_what_the_server_said() {
        let undeliverable = Undeliverable {
            since: Time::from_millis(0),
            cause: Cause::Bounced,
            reason: "550 no ada@example.com here".to_owned(),
        };
        let log = format!("{undeliverable:?}");
        assert!(!log.contains("ada@"), "{log}");
    }

    #[test]
    fn a_cause_is_shown_as_it_is_stored() {
        for cause in [Cause::Bounced, Cause::Complained, Cause::Suppressed] {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
        }
    }
}
