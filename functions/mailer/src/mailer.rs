//! What becomes of a nudge.
//!
//! | found | then |
//! | --- | --- |
//! | no mail, message younger than a transaction can take | visible again in 2 s, then when it is older |
//! | no mail, older | acknowledged, counted |
//! | sent, abandoned, expired, or another's to send | acknowledged |
//! | no turn free, or sending paused | put off, acknowledged |
//! | SES not now, or no connection to it | postponed, acknowledged |
//! | SES refuses the mail | abandoned with the reason, acknowledged |
//! | SES gave no answer | left leased until the lease is over, acknowledged |
//! | message not readable, table not reachable, panic | left to SQS: retried, dead-lettered in the end |

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use muster_core::mail::nudge::MailNudge;
use muster_core::mail::send_rate::{Lane, Pace, Turns};
use muster_core::platform::aws::{OPERATION_TIMEOUT, SdkConfig};
use muster_core::platform::batch::{Answer, NamelessRecord, Queues, receives};
use muster_core::platform::failure::Failure;
use muster_core::platform::queue::NotANudge;
use muster_core::platform::random::Random;
use muster_core::platform::table::Table;
use muster_core::platform::time::{Clock, Time};

use crate::letter::{self, Letter, Links};
use crate::mails::{Claim, Claimed, Mails};
use crate::ses::{NotSent, Ses};
use crate::settings::Settings;

/// How soon a nudge that overtook its transaction is tried again.
const OVERTAKEN: Duration = Duration::from_secs(2);

/// Turns nudges into mails.
pub struct Mailer {
    mails: Mails,
    pace: Pace,
    ses: Ses,
    queues: Queues,
    settings: Settings,
    clock: Clock,
}

/// A nudge that comes back.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error(transparent)]
    Undecodable(#[from] NotANudge),
    #[error(transparent)]
    Failed(#[from] Failure),
    #[error("the letter could not be written: {0}")]
    Unwritable(#[from] askama::Error),
    #[error("the nudge overtook its transaction")]
    Overtaken(Duration),
}

impl Mailer {
    /// A mailer over these clients.
    pub fn new(settings: Settings, config: &SdkConfig, clock: Clock, random: Random) -> Self {
        let table = Table::new(
            aws_sdk_dynamodb::Client::new(config),
            settings.table.clone(),
        );
        let queue_urls = vec![
            settings.mail_queue_url.clone(),
            settings.bulk_mail_queue_url.clone(),
        ];
        Self {
            pace: Pace::new(table.clone(), clock.clone()),
            mails: Mails::new(table, settings.reminder_after, clock.clone(), random),
            ses: Ses::new(config, &settings),
            queues: Queues::new(aws_sdk_sqs::Client::new(config), queue_urls),
            settings,
            clock,
        }
    }

    /// Answers a batch, each record for itself.
    ///
    /// # Errors
    /// When a record has no id.
    pub async fn answer(&self, event: SqsEvent) -> Result<SqsBatchResponse, NamelessRecord> {
        let turns = &self.turns(&event).await;
        self.queues
            .answer(event, |record| self.record(record, turns))
            .await
    }

    /// A turn for each record, or for as many as there are turns free.
    async fn turns(&self, event: &SqsEvent) -> Turns {
        if self.settings.mail_paused {
            return Turns::none();
        }
        let (count, lane) = (event.records.len(), self.lane(event));
        match self.pace.take(count, lane).await {
            Ok(turns) => turns,
            Err(error) => {
                tracing::warn!(%error, "nobody knows whose turn it is");
                match lane {
                    // SES has its own limit, and what it turns away is due
                    // again: better than to keep people waiting.
                    Lane::Interactive => Turns::at_once(count),
                    Lane::Bulk => Turns::none(),
                }
            }
        }
    }

    /// A batch is of one queue.
    fn lane(&self, event: &SqsEvent) -> Lane {
        let arn = event
            .records
            .first()
            .and_then(|r| r.event_source_arn.as_deref());
        let bulk = self.settings.bulk_mail_queue_url.rsplit('/').next();
        if arn.and_then(|arn| arn.rsplit(':').next()) == bulk {
            Lane::Bulk
        } else {
            Lane::Interactive
        }
    }

    async fn record(&self, record: SqsMessage, turns: &Turns) -> Answer {
        match self.nudge(&record, turns).await {
            Ok(()) => Answer::Done,
            Err(Unanswered::Overtaken(wait)) => Answer::RetryIn(wait),
            Err(error) => {
                let message_id = record.message_id.as_deref();
                tracing::error!(message_id, %error, "nudge left to the queue");
                Answer::Retry
            }
        }
    }

    async fn nudge(&self, record: &SqsMessage, turns: &Turns) -> Result<(), Unanswered> {
        let nudge = MailNudge::read(record.body.as_deref().unwrap_or_default())?;
        let profile_id = nudge.profile_id;
        let Some(wait) = turns.next(self.clock.now()) else {
            let reason = if self.settings.mail_paused {
                "sending is paused"
            } else {
                "no more mails may go now"
            };
            self.mails.put_off(nudge, reason).await?;
            tracing::info!(metric = "mail_put_off", %profile_id, mail = nudge.mail, reason);
            return Ok(());
        };
        // Before the claim, whose lease is for the sending alone.
        tokio::time::sleep(wait).await;
        match self.mails.claim(nudge).await? {
            Claim::Claimed(claimed) => self.deliver(&claimed).await,
            Claim::Settled(status) => {
                tracing::info!(%profile_id, mail = nudge.mail, status = status.as_str(), "nothing to send");
                Ok(())
            }
            Claim::Absent => match self.wait_for_transaction(record) {
                Some(wait) => Err(Unanswered::Overtaken(wait)),
                None => {
                    // A sign-up that was refused after its nudge left, or a
                    // mail that was erased: expected, so counted and not
                    // alarmed on.
                    tracing::info!(metric = "nudge_without_mail", %profile_id, mail = nudge.mail, "no such mail");
                    Ok(())
                }
            },
        }
    }

    async fn deliver(&self, claimed: &Claimed) -> Result<(), Unanswered> {
        let mail = &claimed.mail;
        let letter = self.letter(claimed)?;
        let outcome = match self.ses.send(mail, &letter).await {
            Ok(ses_message_id) => {
                self.mails.sent(claimed, &ses_message_id).await?;
                "sent"
            }
            Err(NotSent::NotNow(reason)) => {
                self.mails.postpone(claimed, &reason).await?;
                "postponed"
            }
            Err(NotSent::Rejected(reason)) => {
                self.mails.abandon(claimed, &reason).await?;
                "abandoned"
            }
            Err(NotSent::Uncertain(reason)) => {
                tracing::warn!(metric = "send_uncertain", reason, "SES gave no answer");
                "uncertain"
            }
        };
        tracing::info!(
            profile_id = %mail.profile_id, mail = mail.number, attempt = mail.attempts, outcome, "mail handled"
        );
        Ok(())
    }

    fn letter(&self, claimed: &Claimed) -> Result<Letter, askama::Error> {
        let links = Links {
            confirm: self.link("confirm", claimed),
            not_me: self.link("not-me", claimed),
        };
        letter::write(&claimed.mail, links, &self.settings.letterhead)
    }

    fn link(&self, page: &str, claimed: &Claimed) -> String {
        format!(
            "{}/{page}?token={}",
            self.settings.public_url, claimed.token
        )
    }

    /// How long the transaction that writes the mail may still be under way:
    /// the API sends the nudge beside it, not after it. Looked at again soon,
    /// and then once more when it must be over: a nudge has five receives
    /// before it is a dead letter, and one for nothing must not use them up.
    fn wait_for_transaction(&self, record: &SqsMessage) -> Option<Duration> {
        let sent: i64 = record.attributes.get("SentTimestamp")?.parse().ok()?;
        let over = Time::from_millis(sent).after(OPERATION_TIMEOUT);
        let left = u64::try_from(over.as_millis() - self.clock.now().as_millis()).ok()?;
        match (receives(record), Duration::from_millis(left)) {
            (_, Duration::ZERO) => None,
            (1, left) => Some(left.min(OVERTAKEN)),
            (_, left) => Some(left + OVERTAKEN),
        }
    }
}
