//! How often, and for how long, a transaction is tried again.

use std::time::Duration;

use muster_core::platform::failure::Failure;
use muster_core::platform::random::Random;
use muster_core::platform::time::{Clock, Time};

/// Tries of one transaction that is throttled or in conflict.
const MAX_TRIES: u32 = 8;
/// The back-off before the second try; doubled before each further one.
const FIRST_BACK_OFF: Duration = Duration::from_millis(50);

/// What is left of it, for one transaction.
#[derive(Debug)]
pub(crate) struct Patience<'a> {
    tries: u32,
    until: Time,
    clock: &'a Clock,
    random: &'a Random,
}

impl<'a> Patience<'a> {
    /// Patience until that time: the end of a lease, behind which somebody else
    /// may be at it.
    pub(crate) const fn until(until: Time, clock: &'a Clock, random: &'a Random) -> Self {
        Self {
            tries: 0,
            until,
            clock,
            random,
        }
    }

    /// Whether there is time for a try.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.clock.now() < self.until {
            return Ok(());
        }
        Err(Failure::Unavailable {
            operation: "TransactWriteItems",
            source: "the lease on the chunk is nearly over".into(),
        })
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// The failure, if it is none that passes, or has not passed for too long.
    pub(crate) async fn wait(&mut self, failure: Failure) -> Result<(), Failure> {
        self.tries += 1;
        if !failure.is_transient() || self.tries == MAX_TRIES {
            return Err(failure);
        }
        let longest = FIRST_BACK_OFF * 2_u32.pow(self.tries);
        tokio::time::sleep(self.random.up_to(longest)).await;
        self.check()
    }
}
