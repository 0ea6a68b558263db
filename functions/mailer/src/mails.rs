//! The mail item's side of sending: who may, and what came of it.
//!
//! Every update demands that the item is there and, once claimed, that the
//! lease is still ours. So nothing that was erased comes back, and of two
//! mailers with the same nudge one sends.

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use muster_core::mail::item::{LINK_LIFETIME, MAX_TOKEN_HASHES, MailItem, MailStatus, mail_key};
use muster_core::mail::link_token::Token;
use muster_core::mail::nudge::MailNudge;
use muster_core::platform::failure::Failure;
use muster_core::platform::random::Random;
use muster_core::platform::table::{
    Condition, NotCommitted, Table, Updated, condition_failed, decode, number, run, text,
};
use muster_core::platform::time::{Clock, Time};

/// How long nobody else may send a mail that was claimed: the function's
/// time-out (30 s) and a margin, so that a lease never ends under somebody
/// who is still at work.
const LEASE: Duration = Duration::from_secs(45);

/// The shortest and the longest time until a postponed mail is due again.
const SHORTEST_BACK_OFF: Duration = Duration::from_secs(30);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(15 * 60);

/// When a mail that found no turn free is due again: at one of the next sweeps.
const PUT_OFF: Duration = Duration::from_secs(30);

/// How often a mail is marked as sent with its reminder before it is without.
const TRIES: u32 = 4;

/// The mails in the table.
pub struct Mails {
    table: Table,
    reminder_after: Duration,
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
    pub const fn new(table: Table, reminder_after: Duration, clock: Clock, random: Random) -> Self {
        Self {
            table,
            reminder_after,
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
                     token_hashes = list_append(:hash, if_not_exists(token_hashes, :none)) \
                 REMOVE filler",
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
        match run(update).await?.or_leased_to(&owner) {
            Updated::Done(item) => {
                let mail = decode(item)?;
                Ok(Claim::Claimed(Box::new(Claimed { mail, token, owner })))
            }
            Updated::Refused(None) => Ok(Claim::Absent),
            Updated::Refused(Some(item)) => Ok(Claim::Settled(decode::<MailItem>(item)?.status)),
        }
    }

    /// SES took it. With a profile's first mail the reminder is written, in the
    /// same transaction: whoever makes it needless (a click, an erasure, a
    /// bounce) changes this mail too, and finds either both or none.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn sent(&self, claimed: &Claimed, ses_message_id: &str) -> Result<(), Failure> {
        let now = self.clock.now();
        let sent = ours(claimed)
            .with(":status", text(MailStatus::Sent.as_str()))
            .with(":ses", text(ses_message_id))
            .with(":now", number(now.as_millis()));
        let expression = format!(
            "SET #status = :status, ses_message_id = :ses, sent_at = :now \
             REMOVE reason, due_shard, due_at, {}",
            released(claimed)
        );
        let Some(reminder) = claimed.mail.reminder(now, self.reminder_after) else {
            return self.settle(claimed, &expression, &sent).await;
        };
        // Who took its sign-up on since has all mails expire no more, and this one
        // would.
        let as_seen = claimed.mail.expires_as_seen(sent.clone());
        let actions = vec![
            self.table
                .change(&claimed.mail.key(), &expression, &as_seen)?,
            self.table
                .put(&reminder.key(), &reminder, &Condition::absent())?,
        ];
        for _ in 0..TRIES {
            match self
                .table
                .transact(actions.clone(), &self.random.name())
                .await
            {
                Ok(()) => return Ok(()),
                Err(NotCommitted::Failed(failure)) => return Err(failure),
                Err(NotCommitted::Cancelled(reasons)) if reasons.iter().any(condition_failed) => {
                    break;
                }
                // Another transaction came in between.
                Err(NotCommitted::Cancelled(_)) => {}
            }
        }
        // Not ours any more, reminded already, or an operator's since. That it was
        // sent is worth more than the reminder in any case.
        self.settle(claimed, &expression, &sent).await
    }

    /// It will never be sent.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn abandon(&self, claimed: &Claimed, reason: &str) -> Result<(), Failure> {
        let abandoned = ours(claimed)
            .with(":status", text(MailStatus::Abandoned.as_str()))
            .with(":reason", text(reason));
        let expression = format!(
            "SET #status = :status, reason = :reason REMOVE due_shard, due_at, {}",
            released(claimed)
        );
        self.settle(claimed, &expression, &abandoned).await
    }

    /// Not now: the lease is given back, the attempt is not counted, and the
    /// mail is due again after a back-off.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn postpone(&self, claimed: &Claimed, reason: &str) -> Result<(), Failure> {
        let due = self.next_try(claimed.mail.created_at);
        let postponed = ours(claimed)
            .with(":status", text(MailStatus::Queued.as_str()))
            .with(":reason", text(reason))
            .with(":due", text(due.to_string()))
            .with(":one", number(1));
        let expression = format!(
            "SET #status = :status, reason = :reason, due_at = :due, \
                 attempts = attempts - :one REMOVE {}",
            released(claimed)
        );
        self.settle(claimed, &expression, &postponed).await
    }

    /// It may not go now, so it is not even claimed: due again soon. A mail that
    /// is not to be sent, or not before a later time, stays as it is.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn put_off(&self, nudge: MailNudge, reason: &str) -> Result<(), Failure> {
        let now = self.clock.now();
        let due = now.after(PUT_OFF + self.random.up_to(PUT_OFF));
        let is_due = Condition::new(
            "attribute_exists(due_at) \
             AND (attribute_not_exists(not_before) OR not_before <= :now)",
        )
        .with(":now", number(now.as_millis()))
        .with(":due", text(due.to_string()))
        .with(":reason", text(reason));
        let key = mail_key(nudge.profile_id, nudge.mail);
        let expression = "SET due_at = :due, reason = :reason";
        self.table.change_if(&key, expression, &is_due).await?;
        Ok(())
    }

    /// The back-off grows with the mail's age, as attempts that SES never saw
    /// are not counted; the second half of it is jitter.
    fn next_try(&self, created_at: Time) -> Time {
        let now = self.clock.now();
        let age = u64::try_from(now.as_millis() - created_at.as_millis()).unwrap_or(0);
        let half = Duration::from_millis(age / 2).clamp(SHORTEST_BACK_OFF, LONGEST_BACK_OFF) / 2;
        now.after(half + self.random.up_to(half))
    }

    /// Changes a mail that is still ours; if it is not, it was settled without
    /// us: SES's report was faster, a click, an erasure, or the lease was lost.
    async fn settle(
        &self,
        claimed: &Claimed,
        expression: &str,
        ours: &Condition,
    ) -> Result<(), Failure> {
        let key = claimed.mail.key();
        if let Updated::Refused(_) = self.table.change_if(&key, expression, ours).await? {
            tracing::info!(
                metric = "mail_settled_by_others", profile_id = %claimed.mail.profile_id,
                mail = claimed.mail.number, "the mail was settled by others"
            );
        }
        Ok(())
    }

    fn update(&self, nudge: MailNudge) -> UpdateItemFluentBuilder {
        self.table.update(&mail_key(nudge.profile_id, nudge.mail))
    }
}

/// The mail is still ours.
fn ours(claimed: &Claimed) -> Condition {
    Condition::new("attribute_exists(pk) AND lease_owner = :owner AND #status = :sending")
        .with(":owner", text(&claimed.owner))
        .with(":sending", text(MailStatus::Sending.as_str()))
}

/// What goes when a lease is given back: the lease, and the oldest secret if
/// the claim brought one more than is kept. (The claim itself cannot drop it:
/// one expression may not touch a list twice.)
fn released(claimed: &Claimed) -> String {
    let mut released = "lease_owner, lease_until".to_owned();
    if claimed.mail.token_hashes.len() > MAX_TOKEN_HASHES {
        released.push_str(&format!(", token_hashes[{MAX_TOKEN_HASHES}]"));
    }
    released
}
