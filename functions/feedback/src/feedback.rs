//! What becomes of an event.
//!
//! | reported | the mail | its profile |
//! | --- | --- | --- |
//! | sent, delayed, delivered | moves forward | |
//! | bounced because SES gave up trying, rejected | moves forward, with the reason | |
//! | bounced for good, complained about | moves forward, with the reason | `undeliverable`, if it still has the address; what waits for it is abandoned |
//! | of a mail that is gone | acknowledged, counted | |
//! | not readable, not of ours | left to SQS: dead-lettered in the end | |

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use aws_sdk_dynamodb::types::TransactWriteItem;
use muster_core::aws::SdkConfig;
use muster_core::batch::{Answer, NamelessRecord, Queues};
use muster_core::failure::Failure;
use muster_core::mail::{MailItem, MailStatus, mail_key};
use muster_core::profile::{Dossier, ProfileItem, ProfileStatus, list, lock_key, profile_key};
use muster_core::random::Random;
use muster_core::report::{Event, News, NotAnEvent};
use muster_core::step::Step;
use muster_core::table::{Condition, NotCommitted, Table, Updated, encode_value, number, text};
use muster_core::time::Clock;

use crate::settings::Settings;

/// How often an event looks again when something else came in between.
const TRIES: u32 = 4;
/// The most waiting mails that one transaction abandons, beside profile, lock
/// and the mail that came back. Nobody has as many.
const MOST_MAILS: usize = 90;

/// Takes what SES reports.
pub struct Feedback {
    table: Table,
    queues: Queues,
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
        match event.news {
            News::Bounced {
                permanent: true, ..
            }
            | News::Complained(_) => self.give_up(&event).await?,
            _ => self.note(&event).await?,
        }
        Ok(())
    }

    /// Moves the mail, and nothing else.
    async fn note(&self, event: &Event) -> Result<(), Failure> {
        let step = Step::of(&event.news);
        let key = mail_key(event.mail.profile_id, event.mail.mail);
        let (expression, condition) = (expression(&step), condition(event, &step));
        match self.table.change_if(&key, &expression, &condition).await? {
            Updated::Done(_) => log(event, step.to),
            Updated::Refused(Some(_)) => {}
            Updated::Refused(None) => absent(event),
        }
        Ok(())
    }

    /// Moves the mail, and lets nothing more go where it came back from.
    async fn give_up(&self, event: &Event) -> Result<(), Failure> {
        let mut cancelled = Vec::new();
        for _ in 0..TRIES {
            let dossier = Dossier::read(&self.table, event.mail.profile_id).await?;
            let mut mails = dossier.mails.iter();
            let Some(mail) = mails.find(|mail| mail.number == event.mail.mail) else {
                absent(event);
                return Ok(());
            };
            let actions = self.actions(event, mail, &dossier)?;
            if actions.is_empty() {
                return Ok(());
            }
            match self.table.transact(actions, &self.random.name()).await {
                Ok(()) => {
                    log(event, Step::of(&event.news).to);
                    return Ok(());
                }
                Err(NotCommitted::Failed(failure)) => return Err(failure),
                // A mailer, an operator or the owner was faster: look again.
                Err(NotCommitted::Cancelled(reasons)) => cancelled = reasons,
            }
        }
        Err(NotCommitted::Cancelled(cancelled).into())
    }

    fn actions(
        &self,
        event: &Event,
        mail: &MailItem,
        dossier: &Dossier,
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        let mut actions = Vec::new();
        let step = Step::of(&event.news);
        if step.moves(mail) {
            let condition = condition(event, &step);
            actions.push(
                self.table
                    .change(&mail.key(), &expression(&step), &condition)?,
            );
        }
        // It may have another address by now, which is not to blame.
        let blamed = dossier.present(self.clock.now()).filter(|profile| {
            profile.email_key == mail.email_key && profile.status != ProfileStatus::Undeliverable
        });
        if let Some(profile) = blamed {
            actions.extend(self.mark(profile, dossier)?);
            let others = dossier.mails.iter().rev();
            let open = others
                .filter(|other| other.status.is_open() && other.number != mail.number)
                .take(MOST_MAILS);
            for other in open {
                actions.push(self.abandon(other)?);
            }
        }
        Ok(actions)
    }

    /// Profile and lock know that nothing is to go there. Whoever writes a mail
    /// counts it on the lock, so none is written in between.
    fn mark(
        &self,
        profile: &ProfileItem,
        dossier: &Dossier,
    ) -> Result<[TransactWriteItem; 2], Failure> {
        let undeliverable = ProfileStatus::Undeliverable;
        let unchanged = Condition::new("version = :seen AND #status = :status")
            .with(":seen", number(profile.version))
            .with(":status", profile.status.into())
            .with(":undeliverable", undeliverable.into())
            .with(":version", number(profile.version + 1))
            .with(":now", number(self.clock.now().as_millis()))
            .with(":feedback", text("feedback"))
            .with(":list", text(list(undeliverable, profile.id)));
        let no_other_mail = Condition::new("profile_id = :id AND mails = :mails")
            .with(":id", text(profile.id.to_string()))
            .with(":mails", number(dossier.last_mail()))
            .with(":yes", encode_value(&true)?);
        Ok([
            self.table.change(
                &profile_key(profile.id),
                "SET #status = :undeliverable, version = :version, updated_at = :now, \
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

    /// Also one that is being sent: who sends it may have died, and it would be
    /// sent again.
    fn abandon(&self, mail: &MailItem) -> Result<TransactWriteItem, Failure> {
        let unchanged = Condition::new("#status = :seen")
            .with(":seen", text(mail.status.as_str()))
            .with(":abandoned", text(MailStatus::Abandoned.as_str()))
            .with(":reason", text("nothing can go to the address any more"));
        self.table.change(
            &mail.key(),
            "SET #status = :abandoned, reason = :reason \
             REMOVE due_shard, due_at, lease_owner, lease_until",
            &unchanged,
        )
    }
}

/// What a step does to a mail's item.
fn expression(step: &Step<'_>) -> String {
    let reason = if step.reason.is_some() {
        ", reason = :reason REMOVE"
    } else {
        " REMOVE reason,"
    };
    format!(
        "SET #status = :to, ses_message_id = if_not_exists(ses_message_id, :ses), \
             sent_at = if_not_exists(sent_at, :sent_at){reason} \
             due_shard, due_at, lease_owner, lease_until"
    )
}

/// When it may, with the values of [`expression`].
fn condition(event: &Event, step: &Step<'_>) -> Condition {
    let condition = step
        .condition()
        .with(":to", text(step.to.as_str()))
        .with(":ses", text(&event.ses_message_id))
        .with(":sent_at", number(event.sent_at.as_millis()));
    match step.reason {
        Some(reason) => condition.with(":reason", text(reason)),
        None => condition,
    }
}

fn log(event: &Event, status: MailStatus) {
    tracing::info!(
        profile_id = %event.mail.profile_id, mail = event.mail.mail, status = status.as_str(), "mail reported"
    );
}

/// Erased, or expired: expected, so counted and not alarmed on.
fn absent(event: &Event) {
    tracing::info!(
        metric = "event_without_mail", profile_id = %event.mail.profile_id, mail = event.mail.mail, "no such mail"
    );
}
