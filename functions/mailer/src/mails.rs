//! The mail item's side of sending: who may, and what came of it.
//!
//! Every update demands that the item is there and, once claimed, that the
//! lease is still ours. So nothing that was erased comes back, and of two
//! mailers with the same nudge one sends.

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use muster_core::failure::Failure;
use muster_core::mail::{LINK_LIFETIME, MAX_TOKEN_HASHES, MailItem, MailStatus, mail_key};
use muster_core::message::MailNudge;
use muster_core::random::Random;
use muster_core::table::{Table, Updated, decode, number, run, text};
use muster_core::time::{Clock, Time};
use muster_core::token::Token;

/// How long nobody else may send a mail that was claimed: the function's
/// time-out (30 s) and a margin, so that a lease never ends under somebody
/// who is still at work.
const LEASE: Duration = Duration::from_secs(45);

/// The shortest and the longest time until a postponed mail is due again.
const SHORTEST_BACK_OFF: Duration = Duration::from_secs(30);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(15 * 60);

/// The mails in the table.
pub struct Mails {
    table: Table,
    clock: Clock,
    random: Random,
}

/// What a claim found.
#[derive(Debug)]
pub enum Claim {
    /// Ours to send.
    Claimed(Box<Claimed>),
    /// No such mail (yet).
    Absent,
    /// Somebody else's to send, or nothing left to do.
    Settled(MailStatus),
}

/// A mail that is ours to send until the lease is over.
#[derive(Debug)]
pub struct Claimed {
    /// The mail.
    pub mail: MailItem,
    /// The secret for its link.
    pub token: Token,
    owner: String,
}

impl Mails {
    /// Mails of that table.
    pub const fn new(table: Table, clock: Clock, random: Random) -> Self {
        Self {
            table,
            clock,
            random,
        }
    }

    /// Claims a mail: counts the attempt, takes the lease, mints the secret,
    /// all in one conditional update.
    ///
    /// The mail is due again when the lease is over: if we die, it is found.
    ///
    /// # Errors
    /// When the table cannot be reached, or the item cannot be understood.
    pub async fn claim(&self, nudge: MailNudge) -> Result<Claim, Failure> {
        let now = self.clock.now();
        let lease_until = now.after(LEASE);
        let token = Token::mint(nudge.profile_id, nudge.mail, &self.random);
        let owner = self.random.name();
        let update = self
            .update(nudge)
            .condition_expression(
                "attribute_exists(pk) \
                 AND (attribute_not_exists(expires_at) OR expires_at > :seconds) \
                 AND (#status = :queued OR (#status = :scheduled AND not_before <= :now) \
                      OR (#status = :sending AND lease_until < :now))",
            )
            .update_expression(
                "SET #status = :sending, lease_owner = :owner, lease_until = :until, \
                     links_until = :links, due_at = :due, attempts = attempts + :one, \
                     token_hashes = list_append(:hash, if_not_exists(token_hashes, :none))",
            )
            .expression_attribute_values(":queued", text(MailStatus::Queued.as_str()))
            .expression_attribute_values(":scheduled", text(MailStatus::Scheduled.as_str()))
            .expression_attribute_values(":sending", text(MailStatus::Sending.as_str()))
            .expression_attribute_values(":owner", text(&owner))
            .expression_attribute_values(":now", number(now.as_millis()))
            .expression_attribute_values(":seconds", number(now.as_seconds()))
            .expression_attribute_values(":until", number(lease_until.as_millis()))
            .expression_attribute_values(":links", number(now.after(LINK_LIFETIME).as_millis()))
            .expression_attribute_values(":due", text(lease_until.to_string()))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(
                ":hash",
                AttributeValue::L(vec![text(token.hash().as_str())]),
            )
            .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
            .return_values(ReturnValue::AllNew);
        match run(update).await? {
            Updated::Done(item) => {
                let mail = decode(item)?;
                Ok(Claim::Claimed(Box::new(Claimed { mail, token, owner })))
            }
            Updated::Refused(None) => Ok(Claim::Absent),
            Updated::Refused(Some(item)) => Ok(Claim::Settled(decode::<MailItem>(item)?.status)),
        }
    }

    /// SES took it.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn sent(&self, claimed: &Claimed, ses_message_id: &str) -> Result<(), Failure> {
        let now = self.clock.now();
        let update = self
            .settle(claimed)
            .update_expression(format!(
                "SET #status = :status, ses_message_id = :ses, sent_at = :now \
                 REMOVE due_shard, due_at, {RELEASED}"
            ))
            .expression_attribute_values(":status", text(MailStatus::Sent.as_str()))
            .expression_attribute_values(":ses", text(ses_message_id))
            .expression_attribute_values(":now", number(now.as_millis()));
        settled(update).await
    }

    /// It will never be sent.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn abandon(&self, claimed: &Claimed, reason: &str) -> Result<(), Failure> {
        let update = self
            .settle(claimed)
            .update_expression(format!(
                "SET #status = :status, reason = :reason REMOVE due_shard, due_at, {RELEASED}"
            ))
            .expression_attribute_values(":status", text(MailStatus::Abandoned.as_str()))
            .expression_attribute_values(":reason", text(reason));
        settled(update).await
    }

    /// Not now: the lease is given back, the attempt is not counted, and the
    /// mail is due again after a back-off.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn postpone(&self, claimed: &Claimed, reason: &str) -> Result<(), Failure> {
        let due = self.next_try(claimed.mail.created_at);
        let update = self
            .settle(claimed)
            .update_expression(format!(
                "SET #status = :status, reason = :reason, due_at = :due, \
                     attempts = attempts - :one REMOVE {RELEASED}"
            ))
            .expression_attribute_values(":status", text(MailStatus::Queued.as_str()))
            .expression_attribute_values(":reason", text(reason))
            .expression_attribute_values(":due", text(due.to_string()))
            .expression_attribute_values(":one", number(1));
        settled(update).await
    }

    /// The back-off grows with the mail's age, as attempts that SES never saw
    /// are not counted; the second half of it is jitter.
    fn next_try(&self, created_at: Time) -> Time {
        let now = self.clock.now();
        let age = u64::try_from(now.as_millis() - created_at.as_millis()).unwrap_or(0);
        let half = Duration::from_millis(age / 2).clamp(SHORTEST_BACK_OFF, LONGEST_BACK_OFF) / 2;
        now.after(half + self.random.up_to(half))
    }

    /// An update of a mail that is still ours.
    fn settle(&self, claimed: &Claimed) -> UpdateItemFluentBuilder {
        self.update(MailNudge {
            profile_id: claimed.mail.profile_id,
            mail: claimed.mail.number,
        })
        .condition_expression(
            "attribute_exists(pk) AND lease_owner = :owner AND #status = :sending",
        )
        .expression_attribute_values(":owner", text(&claimed.owner))
        .expression_attribute_values(":sending", text(MailStatus::Sending.as_str()))
    }

    fn update(&self, nudge: MailNudge) -> UpdateItemFluentBuilder {
        self.table.update(&mail_key(nudge.profile_id, nudge.mail))
    }
}

/// What goes when a lease is given back: the lease, and the oldest secret if
/// the claim brought one more than is kept. (The claim itself cannot drop it:
/// one expression may not touch a list twice.)
const RELEASED: &str = "lease_owner, lease_until, token_hashes[5]";
const _: () = assert!(
    MAX_TOKEN_HASHES == 5,
    "RELEASED names the place behind the last"
);

/// Runs an update; if its condition fails, the mail is no longer ours and
/// whoever has it decides.
async fn settled(update: UpdateItemFluentBuilder) -> Result<(), Failure> {
    if let Updated::Refused(_) = run(update).await? {
        tracing::warn!("the lease was lost before the mail was settled");
    }
    Ok(())
}
