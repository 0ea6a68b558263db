//! Mails, as items: outbox entry, idempotency record and delivery status in one.
//!
//! ```text
//!  profile's transaction       mailer claims           SES accepts       SES reports
//!          │                        │                       │                 │
//!          ▼                        ▼                       ▼                 ▼
//!       queued ─────────────────▶ sending ──────────────▶ sent ────────▶ delivered
//!       scheduled, when due ▲  ▲    │ │                                   bounced
//!          attempt counted, │  │    │ └── rejected ─────▶ abandoned
//!          lease taken,     │  │    │                         ▲
//!          secret minted    ┘  └────┘ not now:                │
//!                                     lease released          │
//!       queued, scheduled ─── nobody needs it any more ───────┘
//! ```
//!
//! What SES reports moves a mail forward from wherever it is, also from
//! `queued` and `sending`: if it was accepted, it need not go again.
//!
//! A mail that is `sending` when its lease is over was being sent by somebody
//! who died. It is claimed again; if SES had accepted it and did not report it
//! in time, it goes twice. SES offers no idempotency token, so this one window
//! cannot be closed, only made small and counted.

use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::{Deserialize, Serialize};

use crate::mail::link_token::TokenHash;
use crate::mail::signup_data::SignupData;
use crate::people::locale::Locale;
use crate::platform::due::Kind;
use crate::platform::failure::Failure;
use crate::platform::ids::ProfileId;
use crate::platform::table::{Condition, Key, Table, number, text};
use crate::platform::time::Time;

/// How long the link in a mail works, counted from the send.
pub const LINK_LIFETIME: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// How many of the newest secrets of one mail are remembered: a mail that was
/// sent again after a crash has two links in the world, and both must work.
pub const MAX_TOKEN_HASHES: usize = 5;

/// The number of a profile's first mail.
pub const FIRST: u32 = 1;
/// The number of the reminder, of which there is at most one. The others are
/// counted on the lock, which whoever marks a mail as sent does not know.
pub const REMINDER: u32 = 0;

/// How long the nudge has to do its work before the mail counts as overdue.
const NUDGE_GRACE: Duration = Duration::from_secs(60);

/// What a mail says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailKind {
    /// Asks the owner of an address to confirm it.
    Confirm,
    /// Asks again, once, whoever signed up and has not confirmed.
    Reminder,
    /// Tells somebody who signs up that they have a profile already.
    AlreadyRegistered,
    /// Asks the owner of a profile's new address to confirm it.
    ConfirmChange,
    /// Tells the owner of the old address that there is a new one.
    AddressChanged,
}

impl MailKind {
    /// Whether the mail has a link that confirms its address.
    pub const fn confirms(self) -> bool {
        matches!(self, Self::Confirm | Self::Reminder | Self::ConfirmChange)
    }

    /// Whether its link removes the sign-up that it asks to confirm. A mail to a
    /// new address does not: a typing error is no power over the profile.
    pub const fn disowns(self) -> bool {
        matches!(self, Self::Confirm | Self::Reminder)
    }
}

/// What a mail is at. The module's documentation draws the way between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailStatus {
    /// To be sent, but not before its time.
    Scheduled,
    /// To be sent.
    Queued,
    /// Claimed by a mailer.
    Sending,
    /// Accepted by SES.
    Sent,
    /// Accepted by the recipient's server.
    Delivered,
    /// Came back.
    Bounced,
    /// Will not be sent; the reason says why.
    Abandoned,
}

impl MailStatus {
    /// The status as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Bounced => "bounced",
            Self::Abandoned => "abandoned",
        }
    }

    /// Whether it is still to be sent, or being sent.
    pub const fn is_open(self) -> bool {
        self.is_waiting() || matches!(self, Self::Sending)
    }

    /// Whether nobody has begun to send it.
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::Scheduled | Self::Queued)
    }
}

/// A mail as it is stored.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct MailItem {
    /// Whose it is.
    pub profile_id: ProfileId,
    /// Which of the profile's mails.
    pub number: u32,
    /// What it says.
    pub kind: MailKind,
    /// What it is at.
    pub status: MailStatus,
    /// Where it goes: the address as it was typed when the mail was written.
    pub to: String,
    /// The lock of that address.
    pub email_key: String,
    /// How it greets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The language that it is to be in, if we know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// The mail of the sign-up that its link confirms. Absent: what the profile
    /// holds, which is what the first sign-up said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signup_mail: Option<u32>,
    /// What was said in the later sign-up that this mail was written for, until
    /// one of the profile's links is followed or an operator takes the profile on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signup: Option<SignupData>,
    /// As many bytes as `signup` would have, in a mail that must not hold it, until
    /// the mailer claims it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filler: Option<SignupData>,
    /// Before when it is not to be sent, if it is scheduled. (`due_at` is when
    /// somebody looks after it, and moves on when somebody does.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// Attempts to send it that reached SES.
    pub attempts: u32,
    /// Who is sending it, and until when nobody else may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_owner: Option<String>,
    /// End of the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Time>,
    /// SHA-256 of the secrets of its links, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_hashes: Vec<TokenHash>,
    /// Those of a mail whose profile is confirmed: they only say so again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used_token_hashes: Vec<TokenHash>,
    /// Until when its links work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links_until: Option<Time>,
    /// The id SES gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ses_message_id: Option<String>,
    /// Why it was abandoned, or why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was written.
    pub created_at: Time,
    /// When SES took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Time>,
    /// As the profile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// Partition of the `due` index, while anything is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_shard: Option<String>,
    /// When somebody should look after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<String>,
}

/// To whom a mail goes.
#[derive(Clone, Copy)]
pub struct Recipient<'a> {
    /// Whose mail it is.
    pub profile_id: ProfileId,
    /// The address, as it was typed.
    pub to: &'a str,
    /// The address, as it is compared.
    pub email_key: &'a str,
    /// How the person is greeted, if we know.
    pub name: Option<&'a str>,
    /// The language that the person is written to in, if we know.
    pub locale: Option<&'a Locale>,
    /// As the profile's.
    pub expires_at: Option<i64>,
}

impl MailItem {
    /// A mail whose nudge is on its way.
    pub fn new(kind: MailKind, number: u32, recipient: Recipient<'_>, now: Time) -> Self {
        Self {
            profile_id: recipient.profile_id,
            number,
            kind,
            status: MailStatus::Queued,
            to: recipient.to.to_owned(),
            email_key: recipient.email_key.to_owned(),
            name: recipient.name.map(str::to_owned),
            locale: recipient.locale.cloned(),
            signup_mail: None,
            signup: None,
            filler: None,
            not_before: None,
            attempts: 0,
            lease_owner: None,
            lease_until: None,
            token_hashes: Vec::new(),
            used_token_hashes: Vec::new(),
            links_until: None,
            ses_message_id: None,
            reason: None,
            created_at: now,
            sent_at: None,
            expires_at: recipient.expires_at,
            due_shard: Some(Kind::Mail.of_profile(recipient.profile_id)),
            due_at: Some(now.after(NUDGE_GRACE).to_string()),
        }
    }

    /// The mail that reminds of this one, if its link is not followed: once,
    /// of a profile's first mail, and while there is a profile to confirm.
    pub fn reminder(&self, sent_at: Time, after: Duration) -> Option<Self> {
        let at = sent_at.after(after);
        let in_time = self.expires_at.is_none_or(|end| at.as_seconds() < end);
        let is_first = self.kind == MailKind::Confirm && self.number == FIRST;
        let reminds = is_first && in_time && !after.is_zero();
        reminds.then(|| {
            let recipient = Recipient {
                profile_id: self.profile_id,
                to: &self.to,
                email_key: &self.email_key,
                name: self.name.as_deref(),
                locale: self.locale.as_ref(),
                expires_at: self.expires_at,
            };
            Self {
                due_shard: Some(Kind::BulkMail.of_profile(self.profile_id)),
                ..Self::new(MailKind::Reminder, REMINDER, recipient, sent_at).scheduled(at)
            }
        })
    }

    /// The same mail, not to be sent before that time.
    #[must_use]
    pub fn scheduled(self, at: Time) -> Self {
        Self {
            status: MailStatus::Scheduled,
            not_before: Some(at),
            due_at: Some(at.to_string()),
            ..self
        }
    }

    /// The action that gives up a mail that is to be sent, or being sent, if it
    /// still is as it was seen. (Who sends it may have died, and it would be sent
    /// again.)
    ///
    /// # Errors
    /// None that a caller of ours can cause.
    pub fn call_off(&self, table: &Table, reason: &str) -> Result<TransactWriteItem, Failure> {
        self.give_up(table, reason, "")
    }

    /// The same of a mail whose profile is [kept](Self::keep).
    ///
    /// # Errors
    /// None that a caller of ours can cause.
    pub fn call_off_and_keep(
        &self,
        table: &Table,
        reason: &str,
    ) -> Result<TransactWriteItem, Failure> {
        self.give_up(table, reason, ", expires_at, signup_mail, signup")
    }

    fn give_up(
        &self,
        table: &Table,
        reason: &str,
        removed: &str,
    ) -> Result<TransactWriteItem, Failure> {
        let unchanged = self
            .unchanged()
            .with(":abandoned", text(MailStatus::Abandoned.as_str()))
            .with(":reason", text(reason));
        let expression = format!(
            "SET #status = :abandoned, reason = :reason \
             REMOVE filler, due_shard, due_at, lease_owner, lease_until{removed}"
        );
        table.change(&self.key(), &expression, &unchanged)
    }

    /// The action that keeps a mail of a sign-up that an operator or an import
    /// takes on: it expires no more, and what a stranger said with it never
    /// applies. If it still is as it was seen: who moves it on may write another.
    ///
    /// # Errors
    /// None that a caller of ours can cause.
    pub fn keep(&self, table: &Table) -> Result<TransactWriteItem, Failure> {
        let expression = "REMOVE expires_at, signup_mail, signup";
        table.change(&self.key(), expression, &self.unchanged())
    }

    fn unchanged(&self) -> Condition {
        Condition::new("#status = :seen").with(":seen", text(self.status.as_str()))
    }

    /// A condition with the one that the mail expires when it did: an operator may
    /// have taken the sign-up on since, and what is written by it would expire.
    #[must_use]
    pub fn expires_as_seen(&self, condition: Condition) -> Condition {
        expires_as_seen(self.expires_at, condition)
    }

    /// The action that has a mail go after all that was called off.
    ///
    /// # Errors
    /// None that a caller of ours can cause.
    pub fn call_on(&self, table: &Table, now: Time) -> Result<TransactWriteItem, Failure> {
        let (status, due) = match self.not_before {
            Some(at) => (MailStatus::Scheduled, at),
            None => (MailStatus::Queued, now),
        };
        let unchanged = Condition::new("#status = :abandoned")
            .with(":abandoned", text(MailStatus::Abandoned.as_str()))
            .with(":status", text(status.as_str()))
            .with(":shard", text(Kind::BulkMail.of_profile(self.profile_id)))
            .with(":due", text(due.to_string()));
        table.change(
            &self.key(),
            "SET #status = :status, due_shard = :shard, due_at = :due REMOVE reason",
            &unchanged,
        )
    }

    /// Its key.
    pub fn key(&self) -> Key {
        mail_key(self.profile_id, self.number)
    }
}

/// Personal data: a mail in a log is whose it is and what it is at.
impl fmt::Debug for MailItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailItem")
            .field("profile_id", &self.profile_id)
            .field("number", &self.number)
            .field("kind", &self.kind)
            .field("status", &self.status)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// A condition with the one that an item expires when it did, or still never.
#[must_use]
pub fn expires_as_seen(expires_at: Option<i64>, condition: Condition) -> Condition {
    match expires_at {
        Some(at) => condition
            .and("expires_at = :expires_at")
            .with(":expires_at", number(at)),
        None => condition.and("attribute_not_exists(expires_at)"),
    }
}

/// What the sort keys of mails start with.
pub const MAIL_PREFIX: &str = "MAIL#";

/// The key of a profile's `number`th mail.
pub fn mail_key(profile: ProfileId, number: u32) -> Key {
    Key {
        pk: format!("PROFILE#{profile}"),
        sk: format!("{MAIL_PREFIX}{number}"),
    }
}
