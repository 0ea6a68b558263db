//! More mails due than can go: how fast they go all the same, and how long
//! those wait that somebody waits for.
//!
//! The functions' own code in simulated time, with nothing going wrong: a
//! table full of bulk mails that are due, a sweep a minute, three mailers for
//! bulk and one for people, and an SES that lets so many mails a second through
//! and turns away what is above it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures_util::future::join_all;
use muster_core::people::email::Email;
use muster_core::people::new_profile::NewProfile;
use muster_core::people::person::Attributes;
use muster_core::people::source::Source;
use muster_core::platform::ids::{ImportId, ProfileId};
use muster_core::platform::random::Random;
use muster_core::platform::time::{Clock, Time};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::deployment::empty_world;
use crate::faults::Schedule;
use crate::process::{Function, Outcome, Process};
use crate::queues::{BULK_MAIL, MAIL};
use crate::run::EPOCH;
use crate::ses::Limiter;
use crate::state::State;

/// Processes that send bulk.
const BULK_MAILERS: usize = 3;
/// How long SES takes for a mail.
const SES_TAKES: Duration = Duration::from_millis(50);
/// How often a queue is looked into that is empty.
const POLL: Duration = Duration::from_millis(20);
/// Somebody signs up that often.
const SIGN_UP_EVERY: Duration = Duration::from_secs(3);
/// Until the first sweep has fed and its mails are going.
const WARM_UP: Duration = Duration::from_secs(70);

/// How much is due, and how much may go.
#[derive(Debug, Clone, Copy)]
pub struct Flood {
    /// Mails that are due.
    pub due: usize,
    /// Mails that SES lets through in a second, and at once.
    pub rate: f64,
    /// How long it is looked at.
    pub lasts: Duration,
}

/// What was seen.
#[derive(Debug)]
pub struct Seen {
    /// Mails accepted in each full minute.
    pub a_minute: Vec<usize>,
    /// The most messages that were in the bulk queue.
    pub deepest: usize,
    /// Mails that SES turned away.
    pub throttled: usize,
    /// The part of SES's rate that was used, once it was going.
    pub used: f64,
    /// How long people's mails took from their nudge being seen to SES having
    /// them, the shortest first.
    pub waits: Vec<Duration>,
}

impl Flood {
    /// Lets it happen.
    pub fn run(self) -> Seen {
        fastrand::seed(1);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(self.happen())
    }

    async fn happen(self) -> Seen {
        let place = Place::new(self.rate);
        place.fill(self.due);
        let deepest = std::sync::atomic::AtomicUsize::new(0);
        let bulk = (0..BULK_MAILERS).map(|_| place.read(BULK_MAIL, &deepest));
        let unseen = std::sync::atomic::AtomicUsize::new(0);
        let everything = async {
            tokio::join!(
                place.sweep(),
                place.sign_ups(),
                place.read(MAIL, &unseen),
                join_all(bulk)
            )
        };
        // It goes on for ever; what is seen is seen.
        let _ = timeout(self.lasts, everything).await;
        place.seen(self, deepest.into_inner())
    }
}

/// How long one batch of so many bulk mails takes a mailer, had SES no limit.
pub fn batch_takes(mails: usize) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let place = Place::new(100_000.0);
        place.fill(mails);
        place.sweep_once().await;
        // What it was nudged of, all at once.
        let later = place.state.lock().now().after(Duration::from_secs(60));
        let messages = place.state.lock().queues.receive(BULK_MAIL, mails, later);
        assert_eq!(messages.len(), mails);
        let records: Vec<_> = messages.iter().map(|m| m.record(BULK_MAIL)).collect();
        let mailer = place.process(2, Function::Mailer);
        let start = Instant::now();
        mailer.invoke(json!({ "Records": records })).await;
        let took = start.elapsed();
        assert_eq!(place.state.lock().ses.accepted.len(), mails);
        took
    })
}

struct Place {
    state: State,
    clock: Clock,
    random: Random,
    start: Instant,
}

impl Place {
    fn new(rate: f64) -> Self {
        let (clock, random) = (Clock::manual(EPOCH), Random::seeded(1));
        let state = empty_world(Schedule::Clean, None, &clock, &random);
        {
            let mut state = state.lock();
            state
                .settings
                .insert("MUSTER_REMINDER_HOURS", "0".to_owned());
            let a_minute = format!("{:.0}", rate * 120.0);
            state.settings.insert("MUSTER_MAILS_PER_MINUTE", a_minute);
            state.ses.limiter = Some(Limiter::new(rate));
            state.ses.takes = SES_TAKES;
            state.ses.is_silent = true;
            state.queues.is_punctual = true;
        }
        Self {
            state,
            clock,
            random,
            start: Instant::now(),
        }
    }

    /// As an import leaves them.
    fn fill(&self, due: usize) {
        let state = self.state.lock();
        for row in 0..due {
            let profile = NewProfile {
                id: ProfileId::new(EPOCH, &self.random),
                email: Email::parse(&format!("row{row}@example.com")).expect("an address"),
                name: None,
                locale: None,
                attributes: Attributes::default(),
                source: Source::Import,
                created_by: "import".to_owned(),
                confirmed: false,
                row: Some((ImportId::of_event("b", "k", "1"), row as u64)),
                now: EPOCH,
            };
            let mail = profile.confirmation();
            state.dynamodb.put(&mail.key(), &mail);
        }
    }

    fn process(&self, id: usize, function: Function) -> Process {
        Process::start(id as u64, function, &self.state, &self.clock, &self.random)
    }

    async fn sweep(&self) {
        for minute in 1.. {
            sleep_until(self.start + Duration::from_secs(60) * minute).await;
            self.sweep_once().await;
        }
    }

    async fn sweep_once(&self) {
        let sweeper = self.process(0, Function::Sweeper);
        let (_, outcome) = sweeper.invoke(Value::Null).await;
        assert!(matches!(outcome, Outcome::Answered(_)), "{outcome:?}");
    }
    async fn sign_ups(&self) {
        for person in 0.. {
            sleep(SIGN_UP_EVERY).await;
            let body =
                json!({ "email": format!("person{person}@example.org"), "name": "Somebody" });
            let event = json!({ "method": "POST", "path": "/signup", "body": body });
            let outcome = self.process(1, Function::Api).invoke(event).await.1;
            assert!(
                matches!(&outcome, Outcome::Answered(answer) if answer["status"] == 202),
                "{outcome:?}"
            );
        }
    }

    /// A mailer that reads a queue, one batch after the other.
    async fn read(&self, queue: &'static str, deepest: &std::sync::atomic::AtomicUsize) {
        let mut mailer = self.process(2, Function::Mailer);
        loop {
            let messages = {
                let mut state = self.state.lock();
                let now = state.now();
                let depth = state.queues.depth(queue);
                deepest.fetch_max(depth, std::sync::atomic::Ordering::Relaxed);
                state.queues.receive(queue, 10, now)
            };
            if messages.is_empty() {
                sleep(POLL).await;
                continue;
            }
            let records: Vec<_> = messages.iter().map(|m| m.record(queue)).collect();
            let (process, outcome) = mailer.invoke(json!({ "Records": records })).await;
            let Outcome::Answered(answer) = outcome else {
                panic!("the mailer did not answer: {outcome:?}");
            };
            assert_eq!(answer, json!({ "batchItemFailures": [] }));
            let mut state = self.state.lock();
            for message in &messages {
                state.queues.delete(queue, message.receipt());
            }
            mailer = process.expect("a process that is alive");
        }
    }

    fn seen(&self, flood: Flood, deepest: usize) -> Seen {
        let state = self.state.lock();
        let since = |time: Time| time.as_millis() - EPOCH.as_millis();
        let mut minutes = BTreeMap::<i64, usize>::new();
        let mut steady = 0;
        for mail in &state.ses.accepted {
            *minutes.entry(since(mail.at) / 60_000).or_default() += 1;
            steady += usize::from(since(mail.at) >= WARM_UP.as_millis() as i64);
        }
        let nudged = &state.queues.seen_first;
        let mut waits: Vec<Duration> = state
            .ses
            .accepted
            .iter()
            .filter(|mail| mail.to.ends_with("example.org"))
            .filter_map(|mail| {
                let nudged = nudged.get(&mail.profile_id)?;
                u64::try_from(mail.at.as_millis() - nudged.as_millis()).ok()
            })
            .map(Duration::from_millis)
            .collect();
        waits.sort();
        let full = (flood.lasts.as_secs() / 60) as i64;
        Seen {
            a_minute: (1..full)
                .map(|m| minutes.get(&m).copied().unwrap_or(0))
                .collect(),
            deepest,
            throttled: state.ses.throttled,
            used: steady as f64 / (flood.rate * (flood.lasts - WARM_UP).as_secs_f64()),
            waits,
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self.a_minute.iter().max().copied().unwrap_or(0);
        let least = self.a_minute.iter().min().copied().unwrap_or(0);
        writeln!(f, "mails a minute: {least} to {most}")?;
        writeln!(f, "of SES's rate used: {:.1} %", self.used * 100.0)?;
        writeln!(f, "turned away by SES: {}", self.throttled)?;
        writeln!(
            f,
            "messages in the bulk queue, at the most: {}",
            self.deepest
        )?;
        let [half, most] = [500, 990].map(|part| self.wait(part).as_millis());
        write!(
            f,
            "people waited for {} mails: median {half} ms, p99 {most} ms",
            self.waits.len()
        )
    }
}

impl Seen {
    /// The wait that so many in a thousand do not exceed.
    pub fn wait(&self, per_mille: usize) -> Duration {
        let last = self.waits.len().saturating_sub(1);
        let index = (self.waits.len() * per_mille)
            .div_ceil(1000)
            .saturating_sub(1);
        self.waits.get(index.min(last)).copied().unwrap_or_default()
    }
}
