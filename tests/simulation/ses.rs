//! SES: a recorder, which reports what becomes of each mail as SES does.

use std::time::Duration;

use muster_core::random::Random;
use muster_core::time::Time;
use serde_json::{Value, json};

use crate::story::{BOUNCES, COMPLAINS};

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
    /// Headers beside those that SES makes: null if there are none.
    pub headers: Value,
    /// Which call it was.
    pub call: u64,
    /// When.
    pub at: Time,
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

/// SES took the mail.
pub const SEND: &str = include_str!("../../functions/core/fixtures/ses/send.json");
/// The recipient's server took it.
pub const DELIVERY: &str = include_str!("../../functions/core/fixtures/ses/delivery.json");
/// It came back for good.
pub const BOUNCE: &str = include_str!("../../functions/core/fixtures/ses/bounce-permanent.json");
const COMPLAINT: &str = include_str!("../../functions/core/fixtures/ses/complaint.json");

/// How long the recipient's server, or the recipient, takes at the most.
const SOON: u64 = 10;

/// Every mail that was accepted, in order.
#[derive(Debug, Default)]
pub struct Ses {
    /// The mails.
    pub accepted: Vec<Accepted>,
    /// How many it lets through; all, if there is none.
    pub limiter: Option<Limiter>,
    /// Mails that it turned away.
    pub throttled: usize,
    /// How long a mail takes, besides the way.
    pub takes: Duration,
    /// Whether it reports nothing.
    pub is_silent: bool,
}

/// So many mails a second, and as many at once.
#[derive(Debug)]
pub struct Limiter {
    rate: f64,
    tokens: f64,
    seen: Option<Time>,
}

impl Limiter {
    /// A limiter that has let nothing through lately.
    pub const fn new(rate: f64) -> Self {
        Self {
            rate,
            tokens: rate,
            seen: None,
        }
    }

    /// Whether another mail may go.
    pub fn admits(&mut self, now: Time) -> bool {
        let since = self
            .seen
            .map_or(0, |seen| now.as_millis() - seen.as_millis());
        self.seen = Some(now);
        self.tokens = (self.tokens + self.rate * since as f64 / 1000.0).min(self.rate);
        let admits = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(admits));
        admits
    }
}

impl Ses {
    /// Accepts a `SendEmail`; answers as SES would.
    pub fn accept(&mut self, body: &str, call: u64, process: u64, at: Time) -> String {
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
            headers: request["Content"]["Simple"]["Headers"].clone(),
            call,
            at,
            process,
            token: token.unwrap_or_default(),
            in_window: false,
            recorded: false,
        });
        json!({ "MessageId": format!("ses-{call}") }).to_string()
    }

    /// Why it refuses a `SendEmail` for good: it has no SMTPUTF8.
    pub fn refuses(body: &str) -> Option<&'static str> {
        let request: Value = serde_json::from_str(body).expect("JSON");
        let to = text_of(&request["Destination"]["ToAddresses"][0]);
        let refused = "Local address contains control or whitespace";
        (!to.is_ascii()).then_some(refused)
    }

    /// Whether it lets another mail through.
    pub fn admits(&mut self, now: Time) -> bool {
        let admits = self
            .limiter
            .as_mut()
            .is_none_or(|limiter| limiter.admits(now));
        self.throttled += usize::from(!admits);
        admits
    }

    /// Answers a `GetAccount`, as for an account that is out of the sandbox.
    pub fn account(&self) -> String {
        let rate = self.limiter.as_ref().map_or(14.0, |limiter| limiter.rate);
        json!({
            "SendQuota": {
                "Max24HourSend": 3600.0 * rate,
                "MaxSendRate": rate,
                "SentLast24Hours": self.accepted.len() as f64,
            }
        })
        .to_string()
    }

    /// What SES will report of the mail that it accepted last, each after some
    /// time.
    pub fn reports(&self, random: &Random) -> Vec<(Duration, String)> {
        let Some(mail) = self.accepted.last().filter(|_| !self.is_silent) else {
            return Vec::new();
        };
        let fate: &[&str] = match &*mail.to {
            BOUNCES => &[SEND, BOUNCE],
            COMPLAINS => &[SEND, DELIVERY, COMPLAINT],
            _ => &[SEND, DELIVERY],
        };
        let report = |event: &&str| {
            let after = u64::from_le_bytes(random.bytes()) % (SOON * 1000);
            (Duration::from_millis(after), mail.report(event))
        };
        fate.iter().map(report).collect()
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

    /// A mail is recorded as sent: by who sent it, or because SES reported it.
    pub fn recorded(&mut self, profile_id: &str, number: &str) {
        for mail in &mut self.accepted {
            if mail.profile_id == profile_id && mail.mail == number {
                mail.recorded = true;
            }
        }
    }
}

impl Accepted {
    /// An event of that kind about this mail.
    pub fn report(&self, event: &str) -> String {
        let mut event: Value = serde_json::from_str(event).expect("JSON");
        let mail = &mut event["detail"]["mail"];
        mail["messageId"] = json!(format!("ses-{}", self.call));
        mail["timestamp"] = json!(self.at.to_string());
        mail["tags"]["profile_id"] = json!([self.profile_id]);
        mail["tags"]["mail"] = json!([self.mail]);
        event.to_string()
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
