//! Circuit breakers: a source that fails again and again is left alone for a while.
//!
//! | state | a call | then |
//! | --- | --- | --- |
//! | closed | goes through | [`FAILURES`] failures in a row open it |
//! | open | is refused | after a while the next call is a probe |
//! | half-open | is refused, as a probe is under way | its success closes the circuit, its failure opens it again |
//!
//! A source that says when it wants to be asked again (`Retry-After`) opens the circuit
//! at once, until then. Each environment of the function has breakers of its own: what
//! it knows it has seen itself.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use muster_core::platform::time::{Clock, Time};

use crate::sources::source_error::Trouble;

/// Failures in a row that open a circuit.
pub const FAILURES: u32 = 5;
/// How long a circuit stays open, and how long a probe is waited for.
pub const OPEN_FOR: Duration = Duration::from_secs(30);
/// The longest that a source may keep itself from being asked.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The breakers of all sources, by their names and where they are.
pub struct Breakers {
    clock: Clock,
    states: Mutex<HashMap<String, State>>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        failures: u32,
    },
    /// A probe that never comes back must not keep the circuit half-open for ever:
    /// half-open is open until the probe is given up.
    Open {
        until: Time,
    },
}

/// The source is left alone until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// When it is asked again.
    pub until: Time,
}

impl Breakers {
    /// All circuits closed.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            states: Mutex::default(),
        }
    }

    /// Whether a source may be asked now. If its circuit was open for long enough,
    /// whoever asks first is the probe.
    ///
    /// # Errors
    /// Until when it may not.
    pub fn permit(&self, source: &str) -> Result<(), Open> {
        let now = self.clock.now();
        let mut states = self.states();
        match states.get_mut(source) {
            Some(State::Open { until }) if *until > now => Err(Open { until: *until }),
            Some(State::Open { until }) => {
                *until = now.after(OPEN_FOR);
                Ok(())
            }
            Some(State::Closed { .. }) | None => Ok(()),
        }
    }

    /// Learns how asking a source went.
    pub fn learn(&self, source: &str, trouble: Option<&Trouble>) {
        match trouble {
            Some(Trouble::OpenCircuit { .. }) => {}
            Some(trouble) if trouble.is_a_failure() => {
                self.failed(source, trouble.retry_after().unwrap_or_default());
            }
            Some(_) | None => self.succeeded(source),
        }
    }

    /// A source answered.
    fn succeeded(&self, source: &str) {
        self.states().remove(source);
    }

    /// A source failed, and wants to be left alone for that long.
    fn failed(&self, source: &str, wait: Duration) {
        let now = self.clock.now();
        let asked = now.after(wait.min(LONGEST_RETRY_AFTER));
        let until = asked.max(now.after(OPEN_FOR));
        let mut states = self.states();
        let state = states.entry(source.to_owned());
        let state = state.or_insert(State::Closed { failures: 0 });
        *state = match *state {
            State::Closed { failures } if failures + 1 >= FAILURES => State::Open { until },
            State::Closed { .. } if asked > now => State::Open { until: asked },
            State::Closed { failures } => State::Closed {
                failures: failures + 1,
            },
            // A probe; or a request that was under way already, which is no reason to
            // ask sooner.
            State::Open { until: later } => State::Open {
                until: until.max(later),
            },
        };
    }

    fn states(&self) -> MutexGuard<'_, HashMap<String, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breakers() -> (Breakers, Clock) {
        let clock = Clock::manual(Time::from_millis(0));
        (Breakers::new(clock.clone()), clock)
    }

    #[test]
    fn failures_in_a_row_open_a_circuit_and_no_other() {
        let (breakers, _) = breakers();
        for _ in 1..FAILURES {
            breakers.failed("crm", Duration::ZERO);
        }
        breakers.succeeded("crm");
        for _ in 1..FAILURES {
            breakers.failed("crm", Duration::ZERO);
            assert_eq!(breakers.permit("crm"), Ok(()));
        }
        breakers.failed("crm", Duration::ZERO);
        let until = Time::from_millis(0).after(OPEN_FOR);
        assert_eq!(breakers.permit("crm"), Err(Open { until }));
        assert_eq!(breakers.permit("billing"), Ok(()));
    }

    #[test]
    fn one_probe_decides() {
        let (breakers, clock) = breakers();
        for _ in 0..FAILURES {
            breakers.failed("crm", Duration::ZERO);
        }
        clock.advance(OPEN_FOR);
        assert_eq!(breakers.permit("crm"), Ok(()));
        assert!(breakers.permit("crm").is_err(), "a second probe");
        breakers.failed("crm", Duration::ZERO);
        clock.advance(OPEN_FOR);
        assert_eq!(breakers.permit("crm"), Ok(()));
        breakers.succeeded("crm");
        assert_eq!(breakers.permit("crm"), Ok(()));
        assert_eq!(breakers.permit("crm"), Ok(()));
    }

    #[test]
    fn a_probe_that_never_comes_back_is_given_up() {
        let (breakers, clock) = breakers();
        breakers.failed("crm", Duration::from_secs(1));
        clock.advance(Duration::from_secs(1));
        assert_eq!(breakers.permit("crm"), Ok(()));
        assert!(breakers.permit("crm").is_err());
        clock.advance(OPEN_FOR);
        assert_eq!(breakers.permit("crm"), Ok(()));
    }

    #[test]
    fn a_failure_that_comes_late_does_not_shorten_it() {
        let (breakers, clock) = breakers();
        breakers.failed("crm", LONGEST_RETRY_AFTER);
        breakers.failed("crm", Duration::ZERO);
        clock.advance(LONGEST_RETRY_AFTER - Duration::from_secs(1));
        assert!(breakers.permit("crm").is_err());
        clock.advance(Duration::from_secs(1));
        assert_eq!(breakers.permit("crm"), Ok(()));
    }

    #[test]
    fn a_source_says_when_it_wants_to_be_asked_but_not_never() {
        let (breakers, clock) = breakers();
        breakers.failed("crm", Duration::from_secs(7));
        clock.advance(Duration::from_secs(6));
        assert!(breakers.permit("crm").is_err());
        clock.advance(Duration::from_secs(1));
        assert_eq!(breakers.permit("crm"), Ok(()));
        breakers.failed("crm", Duration::MAX);
        clock.advance(LONGEST_RETRY_AFTER);
        assert_eq!(breakers.permit("crm"), Ok(()));
    }
}
