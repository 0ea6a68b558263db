//! Mails that are due, to the mailer, as fast as SES takes them.
//!
//! | mails | to | how many | when |
//! | --- | --- | --- | --- |
//! | somebody waits for: lost nudges, back-offs that are over | mail queue | what SES takes until the next sweep | spread over that time |
//! | nobody waits for: imports, reminders | bulk mail queue | the same, at most so many a minute, and not the day's last | on from where the last sweep ended |
//!
//! So the queues stay short however much is due, and what is to be called off
//! is still in the table.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use muster_core::mail::nudge::MailNudge;
use muster_core::mail::send_rate::{Feed, Pace, Quota};
use muster_core::platform::aws::SdkConfig;
use muster_core::platform::due::Kind;
use muster_core::platform::failure::Failure;
use muster_core::platform::table::Table;
use muster_core::platform::time::{Clock, Time};

use crate::due::{self, CONCURRENCY, Due, Entry};
use crate::queue::Queue;
use crate::settings::Settings;

/// What SES allows to every account, until it says more of ours.
const EVERY_ACCOUNT: Quota = Quota {
    rate: 1.0,
    a_day: 200.0,
    sent: 0.0,
};

/// Feeds the mailer.
pub(crate) struct Feeder {
    table: Table,
    pace: Pace,
    ses: aws_sdk_sesv2::Client,
    urgent: Queue,
    bulk: Queue,
    /// Microseconds between two bulk mails, at the least.
    slowest: i64,
    paused: bool,
    clock: Clock,
}

impl Feeder {
    /// A feeder over these clients.
    pub(crate) fn new(settings: &Settings, config: &SdkConfig, table: Table, clock: Clock) -> Self {
        let sqs = aws_sdk_sqs::Client::new(config);
        let minute = Duration::from_secs(60).as_micros() as i64;
        Self {
            pace: Pace::new(table.clone(), clock.clone()),
            table,
            ses: aws_sdk_sesv2::Client::new(config),
            urgent: Queue::new(sqs.clone(), settings.mail_queue_url.clone()),
            bulk: Queue::new(sqs, settings.bulk_mail_queue_url.clone()),
            slowest: minute / settings.mails_per_minute.max(1),
            paused: settings.mail_paused,
            clock,
        }
    }

    /// Feeds one sweep's share of what is due; says how many mails that was.
    ///
    /// # Errors
    /// When AWS does not do its part; the next sweep finds the rest.
    pub(crate) async fn feed(&self) -> Result<usize, Failure> {
        if self.paused {
            return Ok(0);
        }
        let quota = self.ask_ses().await;
        let known = self.pace.look().await?;
        if let Some(quota) = quota.or_else(|| known.is_none().then_some(EVERY_ACCOUNT)) {
            self.pace.refresh(quota).await?;
        }
        let Some(allowance) = self.pace.look().await? else {
            return Ok(0);
        };
        let now = self.clock.now();
        let urgent = allowance.urgent(now);
        let entries = self.find(Kind::Mail, urgent.count, now).await?;
        let fed = self.send(&self.urgent, &urgent, entries, now).await?;
        let bulk = allowance.bulk(now, self.slowest);
        let entries = self.find(Kind::BulkMail, bulk.count, now).await?;
        if entries.is_empty() || !self.pace.fed(&bulk, entries.len()).await? {
            return Ok(fed);
        }
        Ok(fed + self.send(&self.bulk, &bulk, entries, now).await?)
    }

    /// What the account may send, if SES says so.
    async fn ask_ses(&self) -> Option<Quota> {
        let answer = self.ses.get_account().send().await;
        let account = answer.map_err(|error| Failure::of("GetAccount", error));
        match account.map(|account| account.send_quota) {
            Ok(Some(quota)) if quota.max_send_rate > 0.0 => Some(Quota {
                rate: quota.max_send_rate,
                a_day: quota.max24_hour_send,
                sent: quota.sent_last24_hours,
            }),
            Ok(_) => {
                tracing::warn!("SES names no rate");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "SES does not say how fast mails may go");
                None
            }
        }
    }

    /// At most so many entries that are due, of all partitions about alike.
    async fn find(&self, kind: Kind, limit: usize, now: Time) -> Result<Vec<Entry>, Failure> {
        let mut entries = Vec::new();
        // So that a small limit does not always end before the same ones.
        let mut partitions = kind.partitions();
        let minute = usize::try_from(now.as_seconds() / 60).unwrap_or(0);
        let first = minute % partitions.len();
        partitions.rotate_left(first);
        for (index, partition) in partitions.iter().enumerate() {
            let share = (limit - entries.len()).div_ceil(partitions.len() - index);
            if share > 0 {
                entries.extend(due::find(&self.table, partition, now, share).await?);
            }
        }
        Ok(entries)
    }

    /// Moves the entries forward and nudges those that were ours to move.
    async fn send(
        &self,
        queue: &Queue,
        feed: &Feed,
        entries: Vec<Entry>,
        now: Time,
    ) -> Result<usize, Failure> {
        let nudges: Vec<(MailNudge, Duration)> = stream::iter(entries.into_iter().enumerate())
            .map(async |(place, entry)| self.take(&entry, feed.delay(place, now), now).await)
            .buffered(CONCURRENCY)
            .filter_map(async |nudge| nudge)
            .collect()
            .await;
        queue.send(&nudges).await
    }

    /// Moves an entry forward, if it is ours to move. One that cannot be moved is
    /// found by the next sweep, and holds up none of those that were.
    async fn take(
        &self,
        entry: &Entry,
        delay: Duration,
        now: Time,
    ) -> Option<(MailNudge, Duration)> {
        match (due::take(&self.table, entry, now).await, entry.due()) {
            (Ok(true), Some(Due::Mail(nudge))) => Some((nudge, delay)),
            (Ok(_), _) => None,
            (Err(error), _) => {
                tracing::warn!(%error, "a mail is fed by the next sweep");
                None
            }
        }
    }
}
