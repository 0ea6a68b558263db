//! One sweep.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use muster_core::aws::SdkConfig;
use muster_core::erasure;
use muster_core::failure::Failure;
use muster_core::ids::{ImportId, ProfileId};
use muster_core::import::{CHUNK_PREFIX, ChunkItem, ImportItem, ImportStatus, import_key};
use muster_core::message::{ChunkNudge, MailNudge, PlanNudge};
use muster_core::random::Random;
use muster_core::table::Table;
use muster_core::time::{Clock, Time};

use crate::due::{self, Due, Entry, SHARDS};
use crate::queue::Queue;
use crate::settings::Settings;

/// Entries moved forward at once.
const CONCURRENCY: usize = 16;

/// Finds what is due.
pub struct Sweeper {
    table: Table,
    bulk_mails: Queue,
    imports: Queue,
    chunks: Queue,
    /// Entries that one sweep takes from each shard.
    per_shard: usize,
    clock: Clock,
    random: Random,
}

/// What one sweep sends.
#[derive(Debug, Default)]
struct Nudges {
    mails: Vec<MailNudge>,
    chunks: Vec<ChunkNudge>,
    plans: Vec<PlanNudge>,
}

impl Sweeper {
    /// A sweeper over these clients.
    pub fn new(settings: &Settings, config: &SdkConfig, clock: Clock, random: Random) -> Self {
        let sqs = aws_sdk_sqs::Client::new(config);
        let queue = |url: &str| Queue::new(sqs.clone(), url.to_owned());
        Self {
            table: Table::new(
                aws_sdk_dynamodb::Client::new(config),
                settings.table.clone(),
            ),
            bulk_mails: queue(&settings.bulk_mail_queue_url),
            imports: queue(&settings.import_queue_url),
            chunks: queue(&settings.chunk_queue_url),
            per_shard: settings
                .mails_per_minute
                .div_ceil(usize::from(SHARDS))
                .max(1),
            clock,
            random,
        }
    }

    /// Nudges everything that is due, as far as one minute's share of it.
    ///
    /// # Errors
    /// When AWS does not do its part; the next sweep finds the rest.
    pub async fn sweep(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        let mut nudges = Nudges::default();
        for shard in 0..SHARDS {
            let entries = due::find(&self.table, shard, now, self.per_shard).await?;
            for due in self.take(entries, now).await? {
                self.sort(due, &mut nudges).await?;
            }
        }
        let mails = self.bulk_mails.send(&nudges.mails).await?;
        let chunks = self.chunks.send(&nudges.chunks).await?;
        let plans = self.imports.send(&nudges.plans).await?;
        if mails + chunks + plans > 0 {
            tracing::info!(mails, chunks, plans, "nudged what was due");
        }
        Ok(())
    }

    /// Moves the entries forward and keeps those that were ours to move.
    async fn take(&self, entries: Vec<Entry>, now: Time) -> Result<Vec<Due>, Failure> {
        stream::iter(entries)
            .map(async |entry| {
                Ok(due::take(&self.table, &entry, now)
                    .await?
                    .then(|| entry.due())
                    .flatten())
            })
            .buffered(CONCURRENCY)
            .try_filter_map(async |due| Ok(due))
            .try_collect()
            .await
    }

    async fn sort(&self, due: Due, nudges: &mut Nudges) -> Result<(), Failure> {
        match due {
            Due::Mail(nudge) => nudges.mails.push(nudge),
            Due::Chunk(nudge) => nudges.chunks.push(nudge),
            Due::Erasure(id) => self.erase(id).await,
            Due::Import(id) => {
                if let Some(import) = due::import(&self.table, id).await? {
                    self.sort_import(&import, nudges).await?;
                }
            }
        }
        Ok(())
    }

    /// An erasure that cannot be finished now is due again, and is no reason
    /// to leave the rest of the sweep undone.
    async fn erase(&self, profile_id: ProfileId) {
        match erasure::finish(&self.table, profile_id, &self.random).await {
            Ok(()) => tracing::info!(%profile_id, "finished an erasure that was left"),
            Err(error) => tracing::error!(%profile_id, %error, "an erasure is not finished"),
        }
    }

    /// Who is to look after an import depends on how far it is.
    async fn sort_import(&self, import: &ImportItem, nudges: &mut Nudges) -> Result<(), Failure> {
        match import.status {
            ImportStatus::Queued | ImportStatus::Planning => nudges.plans.push(PlanNudge {
                import_id: import.id,
            }),
            ImportStatus::Reporting => nudges.chunks.extend(last_chunk(import)),
            // While a chunk is left, that chunk is due by itself.
            ImportStatus::Running if self.all_done(import.id).await? => {
                nudges.chunks.extend(last_chunk(import))
            }
            _ => {}
        }
        Ok(())
    }

    async fn all_done(&self, id: ImportId) -> Result<bool, Failure> {
        let chunks: Vec<ChunkItem> = self.table.list(&import_key(id).pk, CHUNK_PREFIX).await?;
        Ok(chunks.iter().all(|chunk| chunk.done))
    }
}

/// The nudge that has an import completed: its chunk is done, so its worker
/// goes straight to completing.
fn last_chunk(import: &ImportItem) -> Option<ChunkNudge> {
    let chunk = import.chunks?.checked_sub(1)?;
    Some(ChunkNudge {
        import_id: import.id,
        chunk,
    })
}
