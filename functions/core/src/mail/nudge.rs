//! A message of a mail queue.

use serde::{Deserialize, Serialize};

use crate::platform::ids::ProfileId;
use crate::platform::queue::{NotANudge, read};

/// "There may be a mail to send."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailNudge {
    /// Whose mail.
    pub profile_id: ProfileId,
    /// Which of the profile's mails.
    pub mail: u32,
}

impl MailNudge {
    /// Reads a message of a mail queue.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn read(body: &str) -> Result<Self, NotANudge> {
        read(
            body,
            r#"a mail nudge ({"profile_id": "<uuid>", "mail": 1})"#,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_a_contract() {
        let wire = r#"{"profile_id":"019aafb0-0000-7000-8000-000000000000","mail":1}"#;
        let nudge = MailNudge::read(wire).unwrap();
        assert_eq!(serde_json::to_string(&nudge).unwrap(), wire);
    }

    #[test]
    fn another_message_is_refused_with_what_was_expected() {
        for (body, why) in [
            ("", "EOF"),
            ("{}", "missing field `profile_id`"),
            (r#"{"profile_id":"x","mail":1}"#, "UUID"),
            (r#"{"import_id":"x"}"#, "unknown field `import_id`"),
        ] {
            let error = MailNudge::read(body).unwrap_err().to_string();
            let expected = r#"expected a mail nudge ({"profile_id": "<uuid>", "mail": 1})"#;
            assert!(error.starts_with(expected), "{error}");
            assert!(error.contains(why), "{error}");
        }
    }
}
