//! Somebody who wants a turn every now and then.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often. Not by a timer: tokio's are a millisecond late by themselves.
const EVERY: Duration = Duration::from_micros(100);

/// That the last probe is to stop.
pub(crate) static STOP: AtomicBool = AtomicBool::new(false);

/// How late turns came, the least late first.
pub(crate) struct Lags(Vec<Duration>);

/// Wants turns until it is told to stop. Whoever keeps the loop for long keeps
/// several turns from coming, and each of them counts.
pub(crate) async fn probe() -> Lags {
    STOP.store(false, Ordering::Relaxed);
    let mut lags = Vec::with_capacity(1 << 20);
    let mut due = Instant::now() + EVERY;
    while !STOP.load(Ordering::Relaxed) {
        let now = Instant::now();
        while due <= now {
            lags.push(now - due);
            due += EVERY;
        }
        tokio::task::yield_now().await;
    }
    lags.sort();
    Lags(lags)
}

impl Lags {
    /// The lag that so many turns of a thousand do not exceed.
    pub(crate) fn at(&self, per_mille: usize) -> Duration {
        let index = (self.0.len() * per_mille).div_ceil(1000).saturating_sub(1);
        self.0[index]
    }
}

impl fmt::Display for Lags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, per_mille) in [("p50", 500), ("p90", 900), ("p99", 990), ("max", 1000)] {
            let lag = self.at(per_mille).as_secs_f64() * 1000.0;
            write!(f, "{name} {lag:.3} ms  ")?;
        }
        write!(f, "of {} turns", self.0.len())
    }
}
