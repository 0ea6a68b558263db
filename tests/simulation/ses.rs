//! SES: a recorder.

use serde_json::{Value, json};

/// A mail that SES accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Whose mail, by its tags.
    pub profile_id: String,
    /// Which of the profile's mails.
    pub mail: String,
    /// To whom it goes.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// Which call it was.
    pub call: u64,
    /// The process that sent it.
    pub process: u64,
    /// The token of its link.
    pub token: String,
    /// Whether something went wrong between the acceptance and the record of
    /// it: the one window in which a mail may go again.
    pub in_window: bool,
    /// Whether it has been recorded as sent.
    pub recorded: bool,
}

/// Every mail that was accepted, in order.
#[derive(Debug, Default)]
pub struct Ses {
    /// The mails.
    pub accepted: Vec<Accepted>,
}

impl Ses {
    /// Accepts a `SendEmail`; answers as SES would.
    pub fn accept(&mut self, body: &str, call: u64, process: u64) -> String {
        let request: Value = serde_json::from_str(body).expect("JSON");
        let tag = |name: &str| {
            let tags = request["EmailTags"].as_array().into_iter().flatten();
            let value = tags
                .clone()
                .find(|tag| tag["Name"] == name)
                .map(|tag| &tag["Value"]);
            value.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let text = request["Content"]["Simple"]["Body"]["Text"]["Data"]
            .as_str()
            .unwrap_or_default();
        let token = text
            .split_whitespace()
            .find_map(|word| word.split_once("token="))
            .map(|(_, token)| token.to_owned());
        self.accepted.push(Accepted {
            profile_id: tag("profile_id"),
            mail: tag("mail"),
            to: text_of(&request["Destination"]["ToAddresses"][0]),
            subject: text_of(&request["Content"]["Simple"]["Subject"]["Data"]),
            text: text.to_owned(),
            call,
            process,
            token: token.unwrap_or_default(),
            in_window: false,
            recorded: false,
        });
        json!({ "MessageId": format!("ses-{call}") }).to_string()
    }

    /// Something went wrong in a process: whatever it had accepted and not yet
    /// recorded is in the window.
    pub fn went_wrong(&mut self, process: u64) {
        for mail in &mut self.accepted {
            if mail.process == process && !mail.recorded {
                mail.in_window = true;
            }
        }
    }

    /// A process recorded a mail as sent.
    pub fn recorded(&mut self, process: u64, profile_id: &str, number: &str) {
        for mail in &mut self.accepted {
            if mail.process == process && mail.profile_id == profile_id && mail.mail == number {
                mail.recorded = true;
            }
        }
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
