//! SES: a recorder, which reports what becomes of each mail as SES does.
//!
//! An address whose mail bounces or is complained about gets onto the account's
//! suppression list. What is sent to it from then on is accepted, as SES accepts
//! it, and is not delivered; the list keeps it until somebody takes it off.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_core::platform::random::Random;
use muster_core::platform::time::Time;
use serde_json::{Value, json};

use crate::addresses::{BOUNCES, COMPLAINS};
use crate::answer::{Answer, ses_error};

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
    /// Whether it was not delivered, as the address was on the suppression list.
    pub suppressed: bool,
}

/// SES took the mail.
pub const SEND: &str = include_str!("../../functions/core/fixtures/ses/send.json");
/// The recipient's server took it.
pub const DELIVERY: &str = include_str!("../../functions/core/fixtures/ses/delivery.json");
/// It came back for good.
pub const BOUNCE: &str = include_str!("../../functions/core/fixtures/ses/bounce-permanent.json");
/// The recipient calls it spam.
pub const COMPLAINT: &str = include_str!("../../functions/core/fixtures/ses/complaint.json");
const BOUNCE_SUPPRESSED: &str =
    include_str!("../../functions/core/fixtures/ses/bounce-suppressed.json");
const COMPLAINT_SUPPRESSED: &str =
    include_str!("../../functions/core/fixtures/ses/complaint-suppressed.json");

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
    /// The suppression list: addresses, each with why it is there.
    pub suppressed: BTreeMap<String, Why>,
}

/// Why an address is on the suppression list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A mail came back for good.
    Bounced,
    /// A mail was called spam.
    Complained,
}

impl Why {
    /// Why an event puts an address there, if it does.
    fn of(event: &Value) -> Option<Self> {
        let (bounce, complaint) = (&event["detail"]["bounce"], &event["detail"]["complaint"]);
        let kept_back = |sub_type: &Value| *sub_type == "OnAccountSuppressionList";
        if bounce["bounceType"] == "Permanent" && !kept_back(&bounce["bounceSubType"]) {
            return Some(Self::Bounced);
        }
        let complains = complaint.is_object()
            && !kept_back(&complaint["complaintSubType"])
            && complaint["complaintFeedbackType"] != "not-spam";
        complains.then_some(Self::Complained)
    }
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
        let to = text_of(&request["Destination"]["ToAddresses"][0]);
        self.accepted.push(Accepted {
            profile_id: tag("profile_id"),
            mail: tag("mail"),
            suppressed: self.why_suppressed(&to).is_some(),
            to,
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
    /// time. The suppression list has the address at once.
    pub fn reports(&mut self, random: &Random) -> Vec<(Duration, String)> {
        let Some(mail) = self.accepted.last().filter(|_| !self.is_silent) else {
            return Vec::new();
        };
        let why = self.why_suppressed(&mail.to).filter(|_| mail.suppressed);
        let fate: &[&str] = match (why, &*mail.to) {
            (Some(Why::Bounced), _) => &[SEND, BOUNCE_SUPPRESSED],
            (Some(Why::Complained), _) => &[SEND, COMPLAINT_SUPPRESSED],
            (None, BOUNCES) => &[SEND, BOUNCE],
            (None, COMPLAINS) => &[SEND, DELIVERY, COMPLAINT],
            (None, _) => &[SEND, DELIVERY],
        };
        let report = |event: &&str| {
            let after = u64::from_le_bytes(random.bytes()) % (SOON * 1000);
            (Duration::from_millis(after), mail.report(event))
        };
        let reports: Vec<_> = fate.iter().map(report).collect();
        for (_, event) in &reports {
            self.suppress(event);
        }
        reports
    }

    /// What SES does when it reports this of a mail: a bounce or a complaint puts
    /// the address onto the suppression list.
    pub fn suppress(&mut self, event: &str) {
        let event: Value = serde_json::from_str(event).unwrap_or_default();
        let tag = |name: &str| event["detail"]["mail"]["tags"][name][0].as_str();
        let (profile, number) = (tag("profile_id"), tag("mail"));
        let mut accepted = self.accepted.iter();
        let mail =
            accepted.find(|mail| Some(&*mail.profile_id) == profile && Some(&*mail.mail) == number);
        if let (Some(mail), Some(why)) = (mail, Why::of(&event)) {
            self.suppressed.insert(mail.to.clone(), why);
        }
    }

    /// Why it does not deliver to an address. It heeds its list whatever the case
    /// of the letters, and keeps each spelling as an entry of its own (Amazon SES
    /// Developer Guide, "Using the account-level suppression list").
    fn why_suppressed(&self, to: &str) -> Option<Why> {
        let mut entries = self.suppressed.iter();
        entries
            .find(|(address, _)| address.eq_ignore_ascii_case(to))
            .map(|(_, why)| *why)
    }

    /// Answers a `DeleteSuppressedDestination`: it takes no address with a slash
    /// (aws/aws-sdk#158).
    pub fn unsuppress(&mut self, path: &str) -> Answer {
        let (_, address) = path.rsplit_once('/').expect("an address");
        let address = decoded(address);
        if address.contains('/') {
            return ses_error(400, "BadRequestException", "Invalid email address");
        }
        match self.suppressed.remove(&address) {
            Some(_) => Answer::json(200, "{}"),
            None => ses_error(404, "NotFoundException", "on purpose"),
        }
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

/// A part of a path, without its `%XX`.
fn decoded(part: &str) -> String {
    let mut pieces = part.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (code, rest) = piece.split_at(2);
        bytes.push(u8::from_str_radix(code, 16).expect("hexadecimal"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).expect("a text")
}
