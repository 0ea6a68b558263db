//! What becomes of an event.
//!
//! | reported | the mail | its profile |
//! | --- | --- | --- |
//! | sent, delayed, delivered | moves forward | |
//! | bounced because SES gave up trying, rejected | moves forward, with the reason | |
//! | bounced for good, complained about | moves forward, with the reason | `undeliverable`, whatever its status, if it still has the address and mail has not been let go there again since; what waits for it is abandoned |
//! | complaint taken back (`not-spam`) | delivered | |
//! | of a mail that is gone | acknowledged, counted | |
//! | not readable, not of ours | left to SQS: dead-lettered in the end | |

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use aws_sdk_dynamodb::types::TransactWriteItem;
use muster_core::mail::item::{MailItem, REMINDER};
use muster_core::mail::ses_event::{Event, NotAnEvent};
use muster_core::mail::status_transition::Step;
use muster_core::people::email_lock::lock_key;
use muster_core::people::profile::{ProfileItem, list_undeliverable, profile_key};
use muster_core::people::profile_with_mails::Dossier;
use muster_core::people::undeliverable::Undeliverable;
use muster_core::platform::aws::SdkConfig;
use muster_core::platform::batch::{Answer, NamelessRecord, Queues};
use muster_core::platform::failure::Failure;
use muster_core::platform::random::Random;
use muster_core::platform::table::{Condition, NotCommitted, Table, encode_value, number, text};
use muster_core::platform::time::Clock;

use crate::settings::Settings;

/// How often an event looks again when something else came in between.
const TRIES: u32 = 4;
/// The most waiting mails that one transaction abandons, beside profile, lock
/// and the mail that came back. Nobody has as many.
const MOST_MAILS: usize = 90;

/// Why a mail is given up of which another one was refused.
const REFUSED: &str = "nothing can go to the address any more";

/// Takes what SES reports.
pub struct Feedback {
    table: Table,
    queues: Queues,
    reminder_after: Duration,
    clock: Clock,
    random: Random,
}

/// An event that comes back.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error(transparent)]
    NotAnEvent(#[from] NotAnEvent),
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Feedback {
    /// Feedback over these clients.
    pub fn new(settings: &Settings, config: &SdkConfig, clock: Clock, random: Random) -> Self {
        let table = Table::new(
            aws_sdk_dynamodb::Client::new(config),
            settings.table.clone(),
        );
        let queue_urls = vec![settings.feedback_queue_url.clone()];
        Self {
            table,
            queues: Queues::new(aws_sdk_sqs::Client::new(config), queue_urls),
            reminder_after: settings.reminder_after,
            clock,
            random,
        }
    }

    /// Answers a batch, each record for itself.
    ///
    /// # Errors
    /// When a record has no id.
    pub async fn answer(&self, event: SqsEvent) -> Result<SqsBatchResponse, NamelessRecord> {
        self.queues
            .answer(event, |record| self.record(record))
            .await
    }

    async fn record(&self, record: SqsMessage) -> Answer {
        match self.take(&record).await {
            Ok(()) => Answer::Done,
            Err(Unanswered::Failed(failure)) if failure.is_transient() => {
                tracing::warn!(error = %failure, "event comes again");
                Answer::retry_with_back_off(&record)
            }
            Err(error) => {
                let message_id = record.message_id.as_deref();
                tracing::error!(message_id, %error, "event left to the queue");
                Answer::Retry
            }
        }
    }

    async fn take(&self, record: &SqsMessage) -> Result<(), Unanswered> {
        let event = Event::parse(record.body.as_deref().unwrap_or_default())?;
        let mut cancelled = Vec::new();
        for _ in 0..TRIES {
            let dossier = Dossier::read(&self.table, event.mail.profile_id).await?;
            let mut mails = dossier.mails.iter();
            let Some(mail) = mails.find(|mail| mail.number == event.mail.mail) else {
                absent(&event);
                return Ok(());
            };
            let actions = self.actions(&event, mail, &dossier)?;
            if actions.is_empty() {
                return Ok(());
            }
            match self.table.transact(actions, &self.random.name()).await {
                Ok(()) => {
                    log(&event);
                    return Ok(());
                }
                Err(NotCommitted::Failed(failure)) => return Err(failure.into()),
                // A mailer, an operator or the owner was faster: look again.
                Err(NotCommitted::Cancelled(reasons)) => cancelled = reasons,
            }
        }
        Err(Failure::from(NotCommitted::Cancelled(cancelled)).into())
    }

    /// What is to be done about an event: nothing, if it has nothing new.
    fn actions(
        &self,
        event: &Event,
        mail: &MailItem,
        dossier: &Dossier,
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        let mut actions = Vec::new();
        let step = Step::of(&event.news);
        if step.is_made(mail) {
            return Ok(actions);
        }
        if step.moves(mail) {
            actions.push(self.step(event, &step, mail)?);
            actions.extend(self.reminder(event, mail, dossier)?);
        }
        let Some((cause, reason)) = event.news.refusal() else {
            return Ok(actions);
        };
        let now = self.clock.now();
        let undeliverable = Undeliverable {
            since: now,
            cause,
            reason: reason.to_owned(),
        };
        // It may have another address by now, which is not to blame.
        let blamed = dossier.present(now).filter(|profile| {
            profile.email_key == mail.email_key
                && profile.undeliverable.is_none()
                && profile
                    .reachable_since
                    .is_none_or(|since| since <= event.sent_at)
        });
        if let Some(profile) = blamed {
            actions.extend(self.mark(profile, dossier, &undeliverable)?);
            let others = dossier.mails.iter().rev();
            let open = others
                .filter(|other| other.status.is_open() && other.number != mail.number)
                .filter(|other| other.email_key == mail.email_key)
                .take(MOST_MAILS);
            for other in open {
                actions.push(other.call_off(&self.table, REFUSED)?);
            }
        }
        Ok(actions)
    }

    fn step(
        &self,
        event: &Event,
        step: &Step<'_>,
        mail: &MailItem,
    ) -> Result<TransactWriteItem, Failure> {
        let unchanged = Condition::new("#status = :seen")
            .with(":seen", text(mail.status.as_str()))
            .with(":to", text(step.to.as_str()))
            .with(":ses", text(&event.ses_message_id))
            .with(":sent_at", number(event.sent_at.as_millis()));
        // A reminder that is written with it expires as this mail was seen to.
        let unchanged = mail.expires_as_seen(unchanged);
        let (unchanged, reason) = match step.reason {
            Some(reason) => (
                unchanged.with(":reason", text(reason)),
                ", reason = :reason REMOVE",
            ),
            None => (unchanged, " REMOVE reason,"),
        };
        let expression = format!(
            "SET #status = :to, ses_message_id = if_not_exists(ses_message_id, :ses), \
                 sent_at = if_not_exists(sent_at, :sent_at){reason} \
                 due_shard, due_at, lease_owner, lease_until"
        );
        self.table.change(&mail.key(), &expression, &unchanged)
    }

    /// Whoever marks a first mail as sent writes the reminder: if its mailer
    /// died, that is us.
    fn reminder(
        &self,
        event: &Event,
        mail: &MailItem,
        dossier: &Dossier,
    ) -> Result<Option<TransactWriteItem>, Failure> {
        let is_reminded = dossier.mails.iter().any(|mail| mail.number == REMINDER);
        if !mail.status.is_open() || is_reminded || event.news.refusal().is_some() {
            return Ok(None);
        }
        let reminder = mail.reminder(event.sent_at, self.reminder_after);
        reminder
            .map(|reminder| {
                self.table
                    .put(&reminder.key(), &reminder, &Condition::absent())
            })
            .transpose()
    }

    /// Profile and lock know that nothing is to go there. Whoever writes a mail
    /// counts it on the lock, so none is written in between.
    fn mark(
        &self,
        profile: &ProfileItem,
        dossier: &Dossier,
        undeliverable: &Undeliverable,
    ) -> Result<[TransactWriteItem; 2], Failure> {
        let unchanged = profile
            .unchanged()
            .with(":undeliverable", encode_value(undeliverable)?)
            .with(":version", number(profile.version + 1))
            .with(":now", number(undeliverable.since.as_millis()))
            .with(":feedback", text("feedback"))
            .with(":list", text(list_undeliverable(profile.id)));
        let no_other_mail = Condition::new("profile_id = :id AND mails = :mails")
            .with(":id", text(profile.id.to_string()))
            .with(":mails", number(dossier.last_mail()))
            .with(":yes", encode_value(&true)?);
        Ok([
            self.table.change(
                &profile_key(profile.id),
                "SET undeliverable = :undeliverable, version = :version, updated_at = :now, \
                     updated_by = :feedback, #list = :list",
                &unchanged,
            )?,
            self.table.change(
                &lock_key(&profile.email_key),
                "SET undeliverable = :yes",
                &no_other_mail,
            )?,
        ])
    }
}

fn log(event: &Event) {
    let status = Step::of(&event.news).to.as_str();
    tracing::info!(
        profile_id = %event.mail.profile_id, mail = event.mail.mail, status, "mail reported"
    );
}

/// Erased, or expired: expected, so counted and not alarmed on.
fn absent(event: &Event) {
    tracing::info!(
        metric = "event_without_mail", profile_id = %event.mail.profile_id, mail = event.mail.mail, "no such mail"
    );
}
