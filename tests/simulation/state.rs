//! What the processes of a run share: the services, the log, the clock and the faults.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use muster_core::platform::random::Random;
use muster_core::platform::time::{Clock, Time};
use tokio::time::Instant;

use crate::actions::CompletedAction;
use crate::bug::Bug;
use crate::chains::Chain;
use crate::dynamodb::DynamoDb;
use crate::environment::setting;
use crate::faults::Schedule;
use crate::log::Log;
use crate::queues::Queues;
use crate::s3::S3;
use crate::ses::Ses;

/// How long a call takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latency {
    /// As long as chance has it: in simulated time, where it costs nothing.
    Drawn,
    /// As long as its work.
    Off,
    /// Always as long, by its operation, whatever its work, which must be
    /// shorter: what is left for a stopwatch is the caller's own doing.
    Constant {
        /// From the call to its answer.
        answer: Duration,
        /// As much longer if the answer is that an address is known: a leak,
        /// planted to be found.
        planted: Duration,
    },
}

/// What all processes of a run share.
pub struct Shared {
    /// The table.
    pub dynamodb: DynamoDb,
    /// The bucket.
    pub s3: S3,
    /// The mails.
    pub ses: Ses,
    /// The queues.
    pub queues: Queues,
    /// What was invoked until each process handles what it handles now.
    pub chains: BTreeMap<u64, Chain>,
    /// The calls.
    pub log: Log,
    /// What goes wrong.
    pub schedule: Schedule,
    /// The bug that was planted.
    pub bug: Option<Bug>,
    /// How long a call takes.
    pub latency: Latency,
    /// How many items the table reads in a call; the others it leaves unprocessed.
    pub reads_at_once: usize,
    /// What the processes are told by their environment besides what they are
    /// told anyway.
    pub settings: BTreeMap<&'static str, String>,
    /// What parameters and secrets say, by their names.
    pub parameters: BTreeMap<String, String>,
    /// What people did to rows of imports.
    pub completed_actions: Vec<CompletedAction>,
    /// Answers whose work took longer than [`Latency::Constant`] allows.
    pub late: u64,
    /// Decides what is left to chance.
    pub random: Random,
    clock: Clock,
    epoch: Time,
    started: Instant,
}

impl Shared {
    /// A world before its first call.
    pub fn new(
        dynamodb: DynamoDb,
        queues: Queues,
        schedule: Schedule,
        bug: Option<Bug>,
        clock: Clock,
        random: Random,
    ) -> Self {
        Self {
            dynamodb,
            s3: S3::new(),
            ses: Ses::default(),
            queues,
            chains: BTreeMap::new(),
            log: Log::default(),
            schedule,
            bug,
            latency: Latency::Drawn,
            reads_at_once: 100,
            settings: BTreeMap::new(),
            parameters: BTreeMap::new(),
            completed_actions: Vec::new(),
            late: 0,
            random,
            epoch: clock.now(),
            clock,
            started: Instant::now(),
        }
    }

    /// Sets the functions' clock to the simulated time, and tells it.
    pub fn now(&self) -> Time {
        let now = self.epoch.after(self.elapsed());
        let behind = now.as_millis() - self.clock.now().as_millis();
        self.clock
            .advance(Duration::from_millis(u64::try_from(behind).unwrap_or(0)));
        now
    }

    /// How long ago the first call could have come.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// When a moment comes, as tokio counts.
    pub fn instant(&self, time: Time) -> Instant {
        let millis = time.as_millis() - self.epoch.as_millis();
        self.started + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

/// The world, to be looked at and changed by one at a time.
#[derive(Clone)]
pub struct State(Arc<Mutex<Shared>>);

impl State {
    /// Shares a world.
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(Mutex::new(shared)))
    }

    /// What a process is told by its environment.
    pub fn setting(&self, name: &str) -> Option<String> {
        let own = self.lock().settings.get(name).cloned();
        own.or_else(|| setting(name))
    }

    /// The world, for a moment.
    pub fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
