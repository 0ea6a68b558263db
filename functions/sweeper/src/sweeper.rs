//! One sweep.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use muster_core::people::erasure;
use muster_core::platform::aws::SdkConfig;
use muster_core::platform::due::Kind;
use muster_core::platform::failure::Failure;
use muster_core::platform::random::Random;
use muster_core::platform::table::Table;
use muster_core::platform::time::{Clock, Time};
use muster_imports::nudges::{ChunkNudge, PlanNudge};

use crate::due::{self, CONCURRENCY, Due, Entry};
use crate::feeder::Feeder;
use crate::queue::Queue;
use crate::settings::Settings;

/// Chunks, imports and erasures that one sweep takes from each partition: each
/// may be a minute's work for somebody.
const AT_ONCE: usize = 400;
/// Erasures under way at once.
const ERASURES_AT_ONCE: usize = 4;
/// No erasure is begun with less time than this.
const TIME_FOR_AN_ERASURE: Duration = Duration::from_secs(10);

/// Finds what is due.
pub struct Sweeper {
    table: Table,
    feeder: Feeder,
    imports: Queue,
    chunks: Queue,
    clock: Clock,
    random: Random,
}

/// What one sweep sends, besides mails.
#[derive(Debug, Default)]
struct Nudges {
    chunks: Vec<ChunkNudge>,
    plans: Vec<PlanNudge>,
}

impl Nudges {
    fn add(&mut self, due: Due) {
        match due {
            Due::Chunk(nudge) => self.chunks.push(nudge),
            Due::Import(import_id) => self.plans.push(PlanNudge { import_id }),
            // In partitions of other kinds.
            Due::Mail(_) | Due::Erasure(_) => {}
        }
    }
}

impl Sweeper {
    /// A sweeper over these clients.
    pub fn new(settings: &Settings, config: &SdkConfig, clock: Clock, random: Random) -> Self {
        let sqs = aws_sdk_sqs::Client::new(config);
        let queue = |url: &str| Queue::new(sqs.clone(), url.to_owned());
        let table = Table::new(
            aws_sdk_dynamodb::Client::new(config),
            settings.table.clone(),
        );
        Self {
            feeder: Feeder::new(settings, config, table.clone(), clock.clone()),
            table,
            imports: queue(&settings.import_queue_url),
            chunks: queue(&settings.chunk_queue_url),
            clock,
            random,
        }
    }

    /// Nudges what is due, of mails as far as one sweep's share of it, and then
    /// erases until the process is nearly stopped. That one of the three cannot be
    /// done is no reason to leave the others undone.
    ///
    /// # Errors
    /// When AWS does not do its part; the next sweep finds the rest.
    pub async fn sweep(&self, deadline: Time) -> Result<(), Failure> {
        let work = self.work().await;
        let mails = self.feeder.feed().await;
        let erased = self.erase(deadline.before(TIME_FOR_AN_ERASURE)).await;
        let ((chunks, plans), mails, erased) = (work?, mails?, erased?);
        if mails + chunks + plans + erased > 0 {
            tracing::info!(mails, chunks, plans, erased, "nudged what was due");
        }
        Ok(())
    }

    /// Nudges chunks and imports.
    async fn work(&self) -> Result<(usize, usize), Failure> {
        let now = self.clock.now();
        let mut nudges = Nudges::default();
        for partition in Kind::Work.partitions() {
            let entries = due::find(&self.table, &partition, now, AT_ONCE).await?;
            for due in self.take(entries, now).await {
                nudges.add(due);
            }
        }
        let chunks = self.chunks.send(&at_once(nudges.chunks)).await?;
        let plans = self.imports.send(&at_once(nudges.plans)).await?;
        Ok((chunks, plans))
    }

    /// Finishes erasures that somebody left; says how many. Each is moved forward
    /// only when it is begun, so that the next sweep begins with the others.
    async fn erase(&self, until: Time) -> Result<usize, Failure> {
        let now = self.clock.now();
        let mut erased = 0;
        for partition in Kind::Erasure.partitions() {
            let entries = due::find(&self.table, &partition, now, AT_ONCE).await?;
            erased += stream::iter(entries)
                .take_while(|_| std::future::ready(self.clock.now() < until))
                .map(|entry| self.erase_one(entry))
                .buffer_unordered(ERASURES_AT_ONCE)
                .filter(|erased| std::future::ready(*erased))
                .count()
                .await;
        }
        Ok(erased)
    }

    /// An erasure that cannot be finished now is due again, and is no reason
    /// to leave the rest of the sweep undone.
    async fn erase_one(&self, entry: Entry) -> bool {
        let now = self.clock.now();
        let Some(Due::Erasure(profile_id)) = self.take(vec![entry], now).await.pop() else {
            return false;
        };
        let time = erasure::PATIENCE;
        let finished =
            erasure::finish(&self.table, profile_id, time, &self.clock, &self.random).await;
        match &finished {
            Ok(()) => tracing::info!(%profile_id, "finished an erasure that was left"),
            Err(error) => tracing::error!(%profile_id, %error, "an erasure is not finished"),
        }
        finished.is_ok()
    }

    /// Moves the entries forward and keeps those that were ours to move. One that
    /// cannot be moved is found by the next sweep, and holds up none of those that
    /// were.
    async fn take(&self, entries: Vec<Entry>, now: Time) -> Vec<Due> {
        stream::iter(entries)
            .map(
                async |entry| match due::take(&self.table, &entry, now).await {
                    Ok(taken) => taken.then(|| entry.due()).flatten(),
                    Err(error) => {
                        tracing::warn!(%error, "what is due is found by the next sweep");
                        None
                    }
                },
            )
            .buffered(CONCURRENCY)
            .filter_map(async |due| due)
            .collect()
            .await
    }
}

fn at_once<T>(nudges: Vec<T>) -> Vec<(T, Duration)> {
    let now = |nudge| (nudge, Duration::ZERO);
    nudges.into_iter().map(now).collect()
}
