//! Dead letters cleared away: tried again, or thrown away.
//!
//! ```text
//!  dead-letter queue           us            the queue that gave them up
//!         │      receive       │                         │
//!         │ ─────────────────▶ │      send the same      │
//!         │                    │ ──────────────────────▶ │
//!         │      delete        │                         │
//!         │ ◀───────────────── │                         │
//! ```
//!
//! Deleted is what was sent, and nothing else. So whatever dies in between, no
//! letter is lost; one that was sent and not deleted goes twice, which does no
//! harm: a message is a nudge. Throwing away is the same without the sending.
//!
//! SQS can do both by itself, but only with all letters of a queue at once, at
//! some time of its own, without saying how many there were.

use std::collections::BTreeSet;

use muster_core::platform::failure::Failure;

use crate::dead_letters::messages::{DeadLetters, Held, TIME};
use crate::dead_letters::selection::Selection;
use crate::queues::attributes::Attributes;
use crate::settings::Queue;

/// The most letters that are cleared in one go: as many as a batch takes.
const ROUND: usize = 10;

/// What becomes of letters that are cleared away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Sent to the queue they came from.
    Redrive,
    /// Thrown away.
    Purge,
}

impl Fate {
    /// Its name in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Purge => "purge",
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleared {
    /// Letters that met their fate.
    pub count: usize,
    /// Letters that were meant and are still there; of all, about.
    pub remaining: usize,
    /// Ids of which there was no letter to be seen.
    pub not_found: Vec<String>,
}

/// How far it is.
#[derive(Default)]
struct Progress {
    /// Ids of letters that met their fate.
    done: BTreeSet<String>,
    /// Letters that are ours for now, to be put back.
    held: Held,
}

impl DeadLetters {
    /// Clears letters away.
    ///
    /// # Errors
    /// When SQS does not do its part before anything was done. If something
    /// was, that is told, and the rest remains.
    pub async fn clear(
        &self,
        queue: &Queue,
        which: &Selection,
        fate: Fate,
    ) -> Result<Cleared, Failure> {
        let mut progress = Progress::default();
        let result = self.go_on(queue, which, fate, &mut progress).await;
        self.put_back(queue, progress.held.values()).await;
        let whole = match result {
            Err(error) if progress.done.is_empty() => return Err(error),
            Err(error) => {
                tracing::warn!(queue = queue.name, %error, "dead letters remain");
                false
            }
            Ok(whole) => whole,
        };
        Ok(match which {
            Selection::All if whole => cleared(&progress, progress.held.len(), Vec::new()),
            Selection::All => cleared(&progress, self.left(queue).await, Vec::new()),
            Selection::Some(ids) => {
                let missed = ids.difference(&progress.done).cloned();
                let (absent, there): (Vec<_>, Vec<_>) =
                    missed.partition(|id| whole && !progress.held.contains_key(id));
                cleared(&progress, there.len(), absent)
            }
        })
    }

    /// Goes through the queue, and says whether it came to the end of it.
    async fn go_on(
        &self,
        queue: &Queue,
        which: &Selection,
        fate: Fate,
        progress: &mut Progress,
    ) -> Result<bool, Failure> {
        let end = self.clock.now().after(TIME);
        while self.clock.now() < end {
            if matches!(which, Selection::Some(ids) if ids.is_subset(&progress.done)) {
                return Ok(true);
            }
            let letters = self.receive(queue, ROUND).await?;
            if letters.is_empty() {
                return Ok(true);
            }
            let ours = letters.iter().map(|l| (l.id.clone(), l.clone()));
            progress.held.extend(ours);
            let meant = letters.into_iter().filter(|letter| which.has(&letter.id));
            let mut meant: Vec<_> = meant.collect();
            if fate == Fate::Redrive {
                meant = self.send(queue, meant).await?;
                let sent = meant.iter().map(|letter| letter.id.clone());
                progress.done.extend(sent);
            }
            for id in self.delete(queue, &meant).await? {
                progress.held.remove(&id);
                progress.done.insert(id);
            }
        }
        Ok(false)
    }

    /// About how many letters there are; at least the one that we know of.
    async fn left(&self, queue: &Queue) -> usize {
        let attributes = Attributes::get(&self.sqs, &queue.dead_letters_url).await;
        attributes.map_or(0, |found| found.messages()).max(1)
    }
}

fn cleared(progress: &Progress, remaining: usize, not_found: Vec<String>) -> Cleared {
    Cleared {
        count: progress.done.len(),
        remaining,
        not_found,
    }
}
