//! How long something took, again and again.

use std::fmt;
use std::time::Duration;

/// Durations, the shortest first.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    /// The time that so many of a hundred do not exceed.
    pub(crate) fn at(&self, percent: usize) -> Duration {
        let index = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0[index]
    }

    /// Beside a time that none of them can be shorter than: by what factor they are
    /// longer, and by how much.
    pub(crate) const fn beside(&self, least: Duration) -> Beside<'_> {
        Beside { times: self, least }
    }
}

/// Times beside a shorter one.
pub(crate) struct Beside<'a> {
    times: &'a Times,
    least: Duration,
}

impl fmt::Display for Beside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = self.least.as_secs_f64();
        for (name, percent) in [("p50", 50), ("p99", 99), ("max", 100)] {
            let time = self.times.at(percent).as_secs_f64();
            let (factor, millis) = (time / least, (time - least) * 1000.0);
            write!(f, "{name} x {factor:.3} ({millis:+7.2} ms)  ")?;
        }
        write!(f, "of {} rounds", self.times.0.len())
    }
}
