//! An event, read off its message: what EventBridge hands on of SES.
//!
//! Which mail it is about, the tags say that the mailer put on it. An event
//! without them, or of a kind that we did not ask for, is no event of ours: it
//! goes to the dead letters, for somebody to look at.

use std::collections::HashMap;

use crate::mail::nudge::MailNudge;
use crate::people::undeliverable::Cause;
use crate::platform::time::Time;
use jiff::Timestamp;
use serde::Deserialize;

/// What SES says of a mail that it did not try to deliver, as the address is on a
/// suppression list: the account's, a tenant's, or its own.
const SUPPRESSED: [&str; 3] = [
    "OnAccountSuppressionList",
    "OnTenantSuppressionList",
    "Suppressed",
];

/// The one kind of feedback that is no complaint: it takes one back.
const NOT_SPAM: &str = "not-spam";

/// The longest reason that is kept, in characters: what a mail server has to
/// say may go on for kilobytes.
const MAX_REASON_CHARS: usize = 300;

/// What SES reports of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which mail.
    pub mail: MailNudge,
    /// What SES calls it.
    pub ses_message_id: String,
    /// When SES took it.
    pub sent_at: Time,
    /// What became of it.
    pub news: News,
}

/// What became of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// SES took it.
    Sent,
    /// The recipient's server does not take it yet; SES goes on trying.
    Delayed(String),
    /// The recipient's server took it.
    Delivered,
    /// It did not arrive. For good, or because SES gave up trying.
    Bounced {
        /// Why nothing more is to go there, if the address is to blame.
        blamed: Option<Cause>,
        /// What the recipient's server said.
        reason: String,
    },
    /// The recipient calls it spam.
    Complained(String),
    /// SES found a virus in what it had taken.
    Rejected(String),
}

impl News {
    /// Why nothing more is to go where it comes from, if so, and what was said.
    pub fn refusal(&self) -> Option<(Cause, &str)> {
        match self {
            Self::Bounced { blamed, reason } => blamed.map(|cause| (cause, &**reason)),
            Self::Complained(reason) => Some((Cause::Complained, reason)),
            Self::Sent | Self::Delayed(_) | Self::Delivered | Self::Rejected(_) => None,
        }
    }
}

/// The message is no event of ours.
#[derive(Debug, thiserror::Error)]
pub enum NotAnEvent {
    /// It does not have the shape of one, or it is of a kind that nobody asked
    /// for.
    #[error(
        "expected an SES event from EventBridge ({{\"detail\": {{\"eventType\": …, \"mail\": …}}}}): {0}"
    )]
    Shape(#[from] serde_json::Error),
    /// It is about a mail that the mailer did not send.
    #[error("the mail has no usable tag {0}")]
    Untagged(&'static str),
}

impl Event {
    /// Reads a message's body.
    ///
    /// # Errors
    /// See [`NotAnEvent`].
    pub fn parse(body: &str) -> Result<Self, NotAnEvent> {
        let Envelope { detail } = serde_json::from_str(body)?;
        Ok(Self {
            mail: MailNudge {
                profile_id: detail.mail.tag("profile_id")?,
                mail: detail.mail.tag("mail")?,
            },
            ses_message_id: detail.mail.message_id,
            sent_at: Time::from_millis(detail.mail.timestamp.as_millisecond()),
            news: detail.what.news(),
        })
    }
}

/// What EventBridge wraps around it says nothing that the rule has not looked at.
#[derive(Deserialize)]
struct Envelope {
    detail: Detail,
}

#[derive(Deserialize)]
struct Detail {
    mail: About,
    #[serde(flatten)]
    what: What,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    timestamp: Timestamp,
    message_id: String,
    tags: HashMap<String, Vec<String>>,
}

impl About {
    fn tag<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, NotAnEvent> {
        let value = self.tags.get(name).and_then(|values| values.first());
        value
            .and_then(|value| value.parse().ok())
            .ok_or(NotAnEvent::Untagged(name))
    }
}

#[derive(Deserialize)]
#[serde(tag = "eventType")]
enum What {
    Send,
    Delivery,
    DeliveryDelay {
        #[serde(rename = "deliveryDelay")]
        delay: Delay,
    },
    Bounce {
        bounce: Bounce,
    },
    Complaint {
        complaint: Complaint,
    },
    Reject {
        reject: Reject,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delay {
    delay_type: String,
    #[serde(default)]
    delayed_recipients: Vec<Recipient>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bounce {
    bounce_type: String,
    #[serde(default)]
    bounce_sub_type: String,
    #[serde(default)]
    bounced_recipients: Vec<Recipient>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recipient {
    diagnostic_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Complaint {
    complaint_feedback_type: Option<String>,
    complaint_sub_type: Option<String>,
}

#[derive(Deserialize)]
struct Reject {
    reason: Option<String>,
}

impl What {
    fn news(self) -> News {
        match self {
            Self::Send => News::Sent,
            Self::Delivery => News::Delivered,
            Self::DeliveryDelay { delay } => {
                News::Delayed(reason(&delay.delay_type, &delay.delayed_recipients))
            }
            Self::Bounce { bounce } => bounce.news(),
            Self::Complaint { complaint } => complaint.news(),
            Self::Reject { reject } => {
                let why = reject.reason.unwrap_or_else(|| "no reason".to_owned());
                News::Rejected(reason(&format!("rejected: {why}"), &[]))
            }
        }
    }
}

impl Bounce {
    fn news(self) -> News {
        let kind = format!("{}/{}", self.bounce_type, self.bounce_sub_type);
        // Undetermined is not held against anybody, as transient is not: the
        // next mail shows.
        let blamed = match SUPPRESSED.contains(&&*self.bounce_sub_type) {
            _ if self.bounce_type != "Permanent" => None,
            true => Some(Cause::Suppressed),
            false => Some(Cause::Bounced),
        };
        News::Bounced {
            blamed,
            reason: reason(&kind, &self.bounced_recipients),
        }
    }
}

impl Complaint {
    fn news(self) -> News {
        // An earlier mail was complained about, and this one did not go.
        if let Some(sub_type) = &self.complaint_sub_type
            && SUPPRESSED.contains(&&**sub_type)
        {
            return News::Bounced {
                blamed: Some(Cause::Suppressed),
                reason: reason(&format!("Complaint/{sub_type}"), &[]),
            };
        }
        let kind = self.complaint_feedback_type.or(self.complaint_sub_type);
        let kind = kind.unwrap_or_else(|| "of no kind".to_owned());
        // It is said of a mail that arrived.
        if kind.eq_ignore_ascii_case(NOT_SPAM) {
            return News::Delivered;
        }
        News::Complained(reason(&format!("complaint: {kind}"), &[]))
    }
}

/// A mail of ours has one recipient, so the first one's server has it all.
fn reason(kind: &str, recipients: &[Recipient]) -> String {
    let said = recipients
        .first()
        .and_then(|r| r.diagnostic_code.as_deref());
    let whole = match said {
        Some(said) => format!("{kind}: {said}"),
        None => kind.to_owned(),
    };
    whole.chars().take(MAX_REASON_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(fixture: &str) -> News {
        let event = Event::parse(fixture).unwrap();
        assert_eq!(event.mail.mail, 1);
        assert_eq!(
            event.mail.profile_id.to_string(),
            "019aafb0-0000-7000-8000-000000000000"
        );
        assert!(event.ses_message_id.starts_with("0107019aafb0"));
        assert_eq!(event.sent_at.to_string(), "2025-11-23T10:00:00.000Z");
        event.news
    }

    #[test]
    fn every_event_that_was_asked_for_is_understood() {
        assert_eq!(
            news(include_str!("../../fixtures/ses/send.json")),
            News::Sent
        );
        assert_eq!(
            news(include_str!("../../fixtures/ses/delivery.json")),
            News::Delivered
        );
        assert_eq!(
            news(include_str!("../../fixtures/ses/delivery-delay.json")),
            News::Delayed("MailboxFull: smtp; 452 4.2.2 mailbox full".to_owned())
        );
        assert_eq!(
            news(include_str!("../../fixtures/ses/bounce-permanent.json")),
            News::Bounced {
                blamed: Some(Cause::Bounced),
                reason: "Permanent/General: smtp; 550 5.1.1 user unknown".to_owned()
            }
        );
        assert_eq!(
            news(include_str!("../../fixtures/ses/bounce-transient.json")),
            News::Bounced {
                blamed: None,
                reason: "Transient/MailboxFull: smtp; 452 4.2.2 mailbox full".to_owned()
            }
        );
        assert_eq!(
            news(include_str!("../../fixtures/ses/complaint.json")),
            News::Complained("complaint: abuse".to_owned())
        );
        assert_eq!(
            news(include_str!("../../fixtures/ses/reject.json")),
            News::Rejected("rejected: Bad content".to_owned())
        );
    }

    #[test]
    fn a_mail_that_ses_kept_back_did_not_arrive() {
        let suppressed = |reason: &str| News::Bounced {
            blamed: Some(Cause::Suppressed),
            reason: reason.to_owned(),
        };
        assert_eq!(
            news(include_str!("../../fixtures/ses/bounce-suppressed.json")),
            suppressed(
                "Permanent/OnAccountSuppressionList: Amazon SES did not send the message to \
                 this address because it is on the suppression list for your account."
            )
        );
        let complaint = include_str!("../../fixtures/ses/complaint-suppressed.json");
        let kept_back = news(complaint);
        assert_eq!(kept_back, suppressed("Complaint/OnAccountSuppressionList"));
        assert_eq!(
            kept_back.refusal(),
            Some((Cause::Suppressed, "Complaint/OnAccountSuppressionList"))
        );
    }

    #[test]
    fn who_says_that_it_is_no_spam_does_not_complain() {
        let not_spam = include_str!("../../fixtures/ses/complaint-not-spam.json");
        for event in [not_spam, &not_spam.replace("not-spam", "Not-Spam")] {
            assert_eq!(news(event), News::Delivered);
            assert_eq!(news(event).refusal(), None);
        }
        // Whatever else an ISP reports is held to be a complaint.
        for kind in ["abuse", "fraud", "virus", "other"] {
            let event = not_spam.replace("not-spam", kind);
            let expected = News::Complained(format!("complaint: {kind}"));
            assert_eq!(news(&event), expected);
        }
    }

    #[test]
    fn what_is_no_event_of_ours_is_said_to_be_none() {
        let send = include_str!("../../fixtures/ses/send.json");
        for (other, says) in [
            ("{}".to_owned(), "missing field `detail`"),
            (
                "no JSON".to_owned(),
                "expected an SES event from EventBridge",
            ),
            (
                include_str!("../../fixtures/ses/open.json").to_owned(),
                "unknown variant `Open`",
            ),
            (
                send.replace("profile_id", "other"),
                "no usable tag profile_id",
            ),
            (send.replace("\"1\"", "\"one\""), "no usable tag mail"),
            (send.replace("\"1\"", ""), "no usable tag mail"),
        ] {
            let error = Event::parse(&other).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_long_reason_is_cut() {
        let bounce = include_str!("../../fixtures/ses/bounce-permanent.json");
        let long = bounce.replace("user unknown", &"ä".repeat(5000));
        let News::Bounced { reason, .. } = Event::parse(&long).unwrap().news else {
            panic!("no bounce");
        };
        assert_eq!(reason.chars().count(), MAX_REASON_CHARS);
    }
}
