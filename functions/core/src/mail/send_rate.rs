//! How fast mails go: what SES allows, shared by all mailers.
//!
//! One item holds the next free turn. A mailer takes a turn for each nudge of
//! its batch by one conditional update, which pushes the next free turn on, and
//! sends each mail when its turn has come. (That is the generic cell rate
//! algorithm, a token bucket whose whole state is one moment.)
//!
//! ```text
//!  now     taken by others      taken now       free
//!   ├──────┬────┬────┬────┬────┼────┬────┬────┼─ ─ ─
//!                                             └ the next free turn
//! ```
//!
//! | lane | takes turns | sends |
//! | --- | --- | --- |
//! | bulk | up to [`BULK_AHEAD`] ahead, if more mails of the day are left than its reserve | at its turn |
//! | interactive | up to [`INTERACTIVE_AHEAD`] ahead, if any mail of the day is left | before its turn, by what SES bears at once |
//!
//! So a mail that somebody waits for passes those that nobody waits for, and
//! their sum keeps to the rate. Who finds no turn waits for none: the mail is
//! due again later.
//!
//! SES is taken to let as many mails through at once as it does in a second.
//! Sent by turns that are 1/R apart, and none more than E before its turn, at
//! most `R(t + E) + 1` mails go in any time `t`: within `Rt + R`, what such a
//! limiter lets through, as long as E is at most `1 - 1/R`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::platform::failure::Failure;
use crate::platform::table::{Condition, Key, Table, Updated, decode, number};
use crate::platform::time::{Clock, Time};

/// How far ahead bulk takes turns: as long as a mailer waits for one.
pub const BULK_AHEAD: Duration = Duration::from_millis(1500);
/// How far ahead mails that somebody waits for take turns: well below the
/// mailer's time-out, with the sending to come.
pub const INTERACTIVE_AHEAD: Duration = Duration::from_secs(5);

/// For how long the sweeper feeds bulk: until the next sweep, and a little
/// longer, as a sweep may be late.
const BULK_FED: Duration = Duration::from_secs(75);
/// For how long it feeds what somebody waits for: less than until the next.
const URGENT_FED: Duration = Duration::from_secs(45);

/// The share of SES's rate that we use: others may send from the account.
const OUR_SHARE: f64 = 0.99;
/// The share of `1 - 1/R` that we dare to send early by: a mail is a little
/// while on its way.
const EARLY_SHARE: f64 = 0.9;
/// The part of a day's mails that bulk leaves to people who wait.
const RESERVED_PART: i64 = 10;

const MICROS: i64 = 1_000_000;
/// Others that may take turns in between.
const TRIES: u32 = 8;

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Somebody waits for the mail.
    Interactive,
    /// Nobody does.
    Bulk,
}

/// What SES says of the account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    /// Mails a second.
    pub rate: f64,
    /// Mails in 24 hours; negative if there is no limit.
    pub a_day: f64,
    /// Of these, sent already.
    pub sent: f64,
}

/// What may be sent, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// Microseconds between two turns.
    interval: i64,
    /// The next free turn, in microseconds since 1970.
    next_at: i64,
    /// Mails that may still go today.
    left: i64,
    /// Those of them that bulk leaves alone.
    reserve: i64,
    /// Until when bulk has been fed.
    fed_until: Time,
}

/// Hands out turns.
pub struct Pace {
    table: Table,
    clock: Clock,
    /// As it was when we last saw it.
    known: Mutex<Option<Allowance>>,
}

/// Turns of one batch.
#[derive(Debug)]
pub struct Turns {
    /// The first one, in microseconds since 1970.
    first: i64,
    interval: i64,
    count: usize,
    used: AtomicUsize,
}

/// What the sweeper may feed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feed {
    /// When the first mail is to go.
    pub from: Time,
    /// Microseconds between two of them.
    pub interval: i64,
    /// How many.
    pub count: usize,
    seen: Time,
}

impl Quota {
    fn interval(self) -> i64 {
        // Never zero, however fast: below a microsecond there is no pace.
        ((MICROS as f64 / (self.rate * OUR_SHARE)) as i64).max(1)
    }

    /// An account without a limit has one that nobody reaches.
    fn a_day(self) -> i64 {
        if self.a_day < 0.0 {
            i64::MAX / 2
        } else {
            self.a_day as i64
        }
    }
}

impl Allowance {
    fn new(quota: Quota) -> Self {
        Self {
            interval: quota.interval(),
            next_at: 0,
            left: quota.a_day() - quota.sent as i64,
            reserve: quota.a_day() / RESERVED_PART,
            fed_until: Time::from_millis(0),
        }
    }

    /// How many of so many turns are to be had.
    fn room(&self, count: usize, lane: Lane, now: i64) -> usize {
        let ahead = now + lane.ahead() - self.next_at.max(now);
        let turns = if ahead < 0 {
            0
        } else {
            ahead / self.interval + 1
        };
        let mails = self.left - self.kept_back(lane);
        usize::try_from(turns.min(mails)).unwrap_or(0).min(count)
    }

    const fn kept_back(&self, lane: Lane) -> i64 {
        match lane {
            Lane::Interactive => 0,
            Lane::Bulk => self.reserve,
        }
    }

    /// How much before its turn a mail of that lane may go.
    fn early(&self, lane: Lane) -> i64 {
        match lane {
            Lane::Interactive => ((MICROS - self.interval).max(0) as f64 * EARLY_SHARE) as i64,
            Lane::Bulk => 0,
        }
    }

    /// The turns from that moment on.
    fn turns(&self, first: i64, count: usize, lane: Lane) -> Turns {
        Turns {
            first: first - self.early(lane),
            interval: self.interval,
            count,
            used: AtomicUsize::new(0),
        }
    }

    /// What the sweeper may feed of mails that somebody waits for.
    pub fn urgent(&self, now: Time) -> Feed {
        let turns = URGENT_FED.as_micros() as i64 / self.interval;
        Feed {
            from: now,
            interval: self.interval,
            count: usize::try_from(turns.min(self.left)).unwrap_or(0),
            seen: self.fed_until,
        }
    }

    /// What it may feed of those that nobody waits for, with at least so many
    /// microseconds between two of them: on from where the last sweep ended.
    pub fn bulk(&self, now: Time, slowest: i64) -> Feed {
        let interval = self.interval.max(slowest);
        let from = self.fed_until.max(now);
        let time = (now.after(BULK_FED).as_millis() - from.as_millis()) * 1000;
        // What was fed and has not been sent yet is no longer left.
        let under_way = (from.as_millis() - now.as_millis()) * 1000 / interval;
        let mails = self.left - self.reserve - under_way;
        Feed {
            from,
            interval,
            count: usize::try_from((time / interval).min(mails)).unwrap_or(0),
            seen: self.fed_until,
        }
    }
}

impl Lane {
    const fn ahead(self) -> i64 {
        let ahead = match self {
            Self::Interactive => INTERACTIVE_AHEAD,
            Self::Bulk => BULK_AHEAD,
        };
        ahead.as_micros() as i64
    }
}

impl Turns {
    /// As many as are asked for, all at once: nobody knows SES's rate yet.
    pub const fn at_once(count: usize) -> Self {
        Self {
            first: 0,
            interval: 0,
            count,
            used: AtomicUsize::new(0),
        }
    }

    /// None.
    pub const fn none() -> Self {
        Self::at_once(0)
    }

    /// How long it is to the next turn of these that nobody uses; `None` if
    /// they are used up.
    pub fn next(&self, now: Time) -> Option<Duration> {
        let index = self.used.fetch_add(1, Ordering::Relaxed);
        (index < self.count).then(|| {
            let turn = self.first + self.interval * index as i64;
            let wait = turn - now.as_millis() * 1000;
            Duration::from_micros(u64::try_from(wait).unwrap_or(0))
        })
    }
}

impl Feed {
    /// How long after now the mail at that place is to go.
    pub fn delay(&self, place: usize, now: Time) -> Duration {
        let at = self.from.as_millis() * 1000 + self.interval * place as i64;
        let wait = at - now.as_millis() * 1000;
        Duration::from_micros(u64::try_from(wait).unwrap_or(0))
    }
}

impl Pace {
    /// The pace that is kept in that table.
    pub const fn new(table: Table, clock: Clock) -> Self {
        Self {
            table,
            clock,
            known: Mutex::new(None),
        }
    }

    /// Takes turns for a batch: as many as there are, at most `count`.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn take(&self, count: usize, lane: Lane) -> Result<Turns, Failure> {
        let mut seen = self.known();
        for _ in 0..TRIES {
            let now = self.clock.now().as_millis() * 1000;
            // What is left today may have changed since we looked; turns that
            // were taken stay taken.
            let allowance = match seen.filter(|seen| seen.room(count, lane, now) > 0) {
                Some(allowance) => allowance,
                None => match self.look().await? {
                    Some(allowance) => allowance,
                    None => return Ok(before_the_first_sweep(count, lane)),
                },
            };
            let room = allowance.room(count, lane, now);
            if room == 0 {
                return Ok(Turns::none());
            }
            match self.reserve(&allowance, room, lane, now).await? {
                Updated::Done(item) => {
                    let after: Allowance = decode(item)?;
                    self.remember(after);
                    let first = after.next_at - after.interval * room as i64;
                    return Ok(after.turns(first, room, lane));
                }
                Updated::Refused(item) => seen = item.map(decode).transpose()?,
            }
        }
        Ok(Turns::none())
    }

    /// Pushes the next free turn on, from where it is or, if that is past, from
    /// now: two mailers that saw the same both get turns.
    async fn reserve(
        &self,
        allowance: &Allowance,
        count: usize,
        lane: Lane,
        now: i64,
    ) -> Result<Updated, Failure> {
        let taken = allowance.interval * count as i64;
        let enough = "#interval = :interval AND #left >= :least";
        let (condition, push) = if allowance.next_at >= now {
            let condition =
                Condition::new(format!("next_at BETWEEN :now AND :latest AND {enough}"))
                    .with(
                        ":latest",
                        number(now + lane.ahead() + allowance.interval - taken),
                    )
                    .with(":taken", number(taken));
            (condition, "next_at = next_at + :taken")
        } else {
            let condition = Condition::new(format!("next_at < :now AND {enough}"))
                .with(":then", number(now + taken));
            (condition, "next_at = :then")
        };
        let condition = condition
            .with(":now", number(now))
            .with(":interval", number(allowance.interval))
            .with(":least", number(allowance.kept_back(lane) + count as i64))
            .with(":count", number(count));
        let expression = format!("SET {push}, #left = #left - :count");
        self.table.change_if(&key(), &expression, &condition).await
    }

    /// Takes note of what SES says of the account.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn refresh(&self, quota: Quota) -> Result<(), Failure> {
        let fresh = Allowance::new(quota);
        let values = Condition::new("attribute_exists(pk)")
            .with(":interval", number(fresh.interval))
            .with(":left", number(fresh.left))
            .with(":reserve", number(fresh.reserve));
        let expression = "SET #interval = :interval, #left = :left, reserve = :reserve";
        let changed = self.table.change_if(&key(), expression, &values).await?;
        if let Updated::Refused(_) = changed {
            self.table.put_if_absent(&key(), &fresh).await?;
        }
        Ok(())
    }

    /// What may be sent, as it is now; `None` before the first sweep.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn look(&self) -> Result<Option<Allowance>, Failure> {
        self.table.get(&key()).await
    }

    /// Says that so many mails of a feed go; `false` if another sweeper was
    /// faster.
    ///
    /// # Errors
    /// When the table cannot be reached.
    pub async fn fed(&self, feed: &Feed, count: usize) -> Result<bool, Failure> {
        let lasts = Duration::from_micros(u64::try_from(feed.interval).unwrap_or(0));
        let until = feed
            .from
            .after(lasts * u32::try_from(count).unwrap_or(u32::MAX));
        let unchanged = Condition::new("fed_until = :seen")
            .with(":seen", number(feed.seen.as_millis()))
            .with(":until", number(until.as_millis()));
        let expression = "SET fed_until = :until";
        let fed = self.table.change_if(&key(), expression, &unchanged).await?;
        Ok(matches!(fed, Updated::Done(_)))
    }

    fn known(&self) -> Option<Allowance> {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, allowance: Allowance) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(allowance);
    }
}

/// A deployment's first minute: people do not wait for it, and nobody has fed
/// bulk yet.
const fn before_the_first_sweep(count: usize, lane: Lane) -> Turns {
    match lane {
        Lane::Interactive => Turns::at_once(count),
        Lane::Bulk => Turns::none(),
    }
}

fn key() -> Key {
    Key {
        pk: "BUCKET#ses".to_owned(),
        sk: "BUCKET".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Time = Time::from_millis(1_767_268_800_000);
    const NOW: i64 = NOON.as_millis() * 1000;

    fn allowance(rate: f64, a_day: f64, sent: f64) -> Allowance {
        Allowance::new(Quota { rate, a_day, sent })
    }

    #[test]
    fn turns_are_taken_as_far_ahead_as_the_lane_may() {
        let mut at_14 = allowance(14.0, 50_000.0, 0.0);
        assert_eq!(at_14.room(100, Lane::Bulk, NOW), 21);
        assert_eq!(at_14.room(100, Lane::Interactive, NOW), 70);
        assert_eq!(at_14.room(10, Lane::Bulk, NOW), 10, "no more than wanted");
        at_14.next_at = NOW + 1_400_000;
        assert_eq!(at_14.room(100, Lane::Bulk, NOW), 2);
        at_14.next_at = NOW + 1_600_000;
        assert_eq!(at_14.room(100, Lane::Bulk, NOW), 0);
        assert!(at_14.room(100, Lane::Interactive, NOW) > 40, "goes ahead");
    }

    #[test]
    fn an_account_in_the_sandbox_sends_too() {
        let sandbox = allowance(1.0, 200.0, 0.0);
        assert_eq!(sandbox.room(10, Lane::Bulk, NOW), 2);
        assert_eq!(sandbox.early(Lane::Interactive), 0, "it bears one at once");
        let half = allowance(0.5, 200.0, 0.0);
        assert_eq!(half.room(10, Lane::Bulk, NOW), 1);
    }

    #[test]
    fn bulk_leaves_a_tenth_of_the_day_alone() {
        let nearly = allowance(14.0, 200.0, 178.0);
        assert_eq!(nearly.room(10, Lane::Bulk, NOW), 2);
        assert_eq!(nearly.room(10, Lane::Interactive, NOW), 10);
        assert_eq!(nearly.bulk(NOON, 1).count, 2);
        assert_eq!(nearly.urgent(NOON).count, 22);
        let over = allowance(14.0, 200.0, 201.0);
        for lane in [Lane::Bulk, Lane::Interactive] {
            assert_eq!(over.room(10, lane, NOW), 0);
        }
        assert_eq!((over.bulk(NOON, 1).count, over.urgent(NOON).count), (0, 0));
        let unlimited = allowance(14.0, -1.0, 1e9);
        assert_eq!(unlimited.room(10, Lane::Bulk, NOW), 10);
    }

    #[test]
    fn bulk_is_fed_on_from_where_it_was() {
        let mut at_10 = allowance(10.0, 100_000.0, 0.0);
        let feed = at_10.bulk(NOON, 1);
        assert_eq!((feed.from, feed.count), (NOON, 742));
        assert_eq!(feed.delay(0, NOON), Duration::ZERO);
        assert_eq!(feed.delay(741, NOON).as_secs(), 74);
        // A sweep that comes early feeds the little that is missing.
        at_10.fed_until = NOON.after(Duration::from_secs(70));
        let feed = at_10.bulk(NOON, 1);
        assert_eq!(feed.count, 49);
        assert_eq!(feed.delay(0, NOON).as_secs(), 70);
        // So many a minute, however fast SES is.
        assert_eq!(allowance(500.0, 1e6, 0.0).bulk(NOON, 100_000).count, 750);
    }

    #[test]
    fn an_account_that_may_send_nothing_sends_nothing() {
        let paused = allowance(14.0, 0.0, 0.0);
        for lane in [Lane::Bulk, Lane::Interactive] {
            assert_eq!(paused.room(10, lane, NOW), 0);
        }
        assert_eq!(
            (paused.bulk(NOON, 1).count, paused.urgent(NOON).count),
            (0, 0)
        );
    }

    #[test]
    fn what_was_fed_and_has_not_gone_is_not_fed_again() {
        let mut nearly = allowance(10.0, 1000.0, 800.0);
        assert_eq!(nearly.bulk(NOON, 1).count, 100);
        nearly.fed_until = NOON.after(Duration::from_secs(6));
        // Some sixty are under way.
        assert_eq!(nearly.bulk(NOON, 1).count, 41);
    }

    #[test]
    fn turns_are_used_once_each() {
        let turns = allowance(10.0, 1e6, 0.0).turns(NOW + 500_000, 2, Lane::Bulk);
        assert_eq!(turns.next(NOON), Some(Duration::from_millis(500)));
        assert!(turns.next(NOON).is_some_and(|wait| wait.as_millis() == 601));
        assert_eq!(turns.next(NOON), None);
        assert_eq!(Turns::none().next(NOON), None);
        assert_eq!(Turns::at_once(1).next(NOON), Some(Duration::ZERO));
    }
}
