//! A scenario: what happens in a run, and what must hold when it is over.

use std::fmt;
use std::time::Duration;

use muster_core::platform::random::Random;
use muster_core::platform::table::Item;

use crate::actions::Action;
use crate::state::Shared;

/// Who does what, and when.
#[derive(Debug)]
pub struct Scenario {
    /// Actions that start by themselves, each with its time after the start.
    pub actions: Vec<(Duration, Action)>,
    /// Follow-ups: when the first action is done, the second starts that long after.
    pub then: Vec<(Action, Duration, Action)>,
    /// What must hold in the end, besides the invariants of every run.
    pub rules: Vec<Rule>,
}

/// What must hold when a scenario is over.
pub struct Rule {
    /// What it says.
    pub name: &'static str,
    check: Box<Check>,
}

type Check = dyn Fn(&Shared, &[Item]) -> Vec<String> + Send;

impl Rule {
    /// A rule with a check that returns its findings, one line each.
    pub fn new(
        name: &'static str,
        check: impl Fn(&Shared, &[Item]) -> Vec<String> + Send + 'static,
    ) -> Self {
        let check = Box::new(check);
        Self { name, check }
    }

    /// What does not hold.
    pub fn findings(&self, shared: &Shared, items: &[Item]) -> Vec<String> {
        (self.check)(shared, items)
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A random time of less than `seconds`, after which an action starts.
pub fn within(random: &Random, seconds: u64) -> Duration {
    Duration::from_millis(u64::from_le_bytes(random.bytes()) % (seconds * 1000))
}
