//! Time, from one place.
//!
//! Nothing else in Muster asks the operating system for the time, so a test
//! can hold the clock still or push it forward.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment in UTC, to the millisecond.
///
/// Stored as a number (milliseconds since 1970), so that conditions can
/// compare it; shown as RFC 3339 with exactly three decimals, so that the
/// texts sort as the moments do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(i64);

impl Time {
    /// The moment `millis` milliseconds after 1970-01-01T00:00:00Z.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, as DynamoDB's time-to-live counts them.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The moment `duration` later.
    #[must_use]
    pub const fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_millis() as i64))
    }

    /// The moment `duration` earlier.
    #[must_use]
    pub const fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_millis() as i64))
    }

    /// To the second and without punctuation, as AWS writes what it signs:
    /// `20151229T000000Z`.
    pub fn to_basic(self) -> String {
        let text = Self(self.as_seconds() * 1000).to_string();
        text.replace(['-', ':'], "").replace(".000", "")
    }
}

/// For those who know no other time.
impl From<Time> for SystemTime {
    fn from(time: Time) -> Self {
        Self::UNIX_EPOCH + Duration::from_millis(u64::try_from(time.0).unwrap_or(0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

/// Where the time comes from: the system, or a test's hand.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The clock of the machine.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until it is told to [`advance`](Self::advance).
    pub fn manual(now: Time) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(now.as_millis()))))
    }

    /// The present moment.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks")]
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::System => Time(Timestamp::now().as_millisecond()),
            Source::Manual(millis) => Time(millis.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock forward; the system's clock takes no orders.
    pub fn advance(&self, duration: Duration) {
        if let Source::Manual(millis) = &self.0 {
            millis.fetch_add(duration.as_millis() as i64, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_sort_as_the_moments_do() {
        let whole = Time::from_millis(1_000);
        let part = Time::from_millis(1_500);
        assert_eq!(whole.to_string(), "1970-01-01T00:00:01.000Z");
        assert!(whole.to_string() < part.to_string());
    }

    #[test]
    fn a_basic_text_has_no_milliseconds() {
        let time = Time::from_millis(1_451_347_200_999);
        assert_eq!(time.to_basic(), "20151229T000000Z");
        assert_eq!(
            SystemTime::from(time),
            SystemTime::UNIX_EPOCH + Duration::from_millis(1_451_347_200_999)
        );
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(Time::from_millis(5));
        assert_eq!(clock.now(), Time::from_millis(5));
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Time::from_millis(1_005));
    }
}
