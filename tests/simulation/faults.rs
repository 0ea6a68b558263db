//! What goes wrong, at which call.

use std::fmt;

use muster_core::platform::random::Random;

/// What can go wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// "Too many requests."
    Throttle,
    /// "Our fault", status 500.
    ServerError,
    /// A transaction meets another one.
    Conflict,
    /// No connection opens: nothing was sent.
    NoConnection,
    /// Nothing was done and no answer comes.
    TimeoutBefore,
    /// It was done and no answer comes.
    TimeoutAfter,
    /// It was done and the connection breaks.
    DroppedReply,
    /// It was done and the answer cannot be read.
    MalformedReply,
    /// The process dies just before the call.
    KillBefore,
    /// The process dies just after it.
    KillAfter,
}

/// Every kind.
pub const FAULTS: [Fault; 10] = [
    Fault::Throttle,
    Fault::ServerError,
    Fault::Conflict,
    Fault::NoConnection,
    Fault::TimeoutBefore,
    Fault::TimeoutAfter,
    Fault::DroppedReply,
    Fault::MalformedReply,
    Fault::KillBefore,
    Fault::KillAfter,
];

impl Fault {
    /// Whether the call does its work before it goes wrong.
    pub const fn is_after(self) -> bool {
        matches!(
            self,
            Self::TimeoutAfter | Self::DroppedReply | Self::MalformedReply | Self::KillAfter
        )
    }

    /// Whether the process dies of it.
    pub const fn kills(self) -> bool {
        matches!(self, Self::KillBefore | Self::KillAfter)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Throttle => "throttle",
            Self::ServerError => "server error",
            Self::Conflict => "transaction conflict",
            Self::NoConnection => "no connection",
            Self::TimeoutBefore => "time-out before",
            Self::TimeoutAfter => "time-out after",
            Self::DroppedReply => "dropped reply",
            Self::MalformedReply => "malformed reply",
            Self::KillBefore => "kill before",
            Self::KillAfter => "kill after",
        })
    }
}

/// Which call goes wrong, and how.
#[derive(Debug, Clone)]
pub enum Schedule {
    /// None.
    Clean,
    /// One.
    Single {
        /// Which call.
        call: u64,
        /// How.
        fault: Fault,
    },
    /// Each with a chance, until the faults are used up.
    Rate {
        /// The chance of each call, in thousandths.
        per_mille: u64,
        /// How many at the most.
        left: u64,
        /// Which kinds, each as often as it stands here.
        kinds: &'static [Fault],
        /// Which and how.
        random: Random,
    },
    /// Every call of an operation.
    Operation {
        /// As the log names it.
        name: &'static str,
        /// How.
        fault: Fault,
    },
    /// One more than another schedule has: at a call that is only made because
    /// something went wrong before.
    Also {
        /// The other one.
        other: Box<Self>,
        /// Which call.
        call: u64,
        /// How.
        fault: Fault,
    },
}

impl Schedule {
    /// What goes wrong with this call.
    pub fn at(&mut self, call: u64, operation: &str) -> Option<Fault> {
        match self {
            Self::Clean => None,
            Self::Operation { name, fault } => (*name == operation).then_some(*fault),
            Self::Single {
                call: chosen,
                fault,
            } => (call == *chosen).then_some(*fault),
            Self::Also {
                other,
                call: chosen,
                fault,
            } => {
                let planned = other.at(call, operation);
                if call == *chosen {
                    Some(*fault)
                } else {
                    planned
                }
            }
            Self::Rate {
                per_mille,
                left,
                kinds,
                random,
            } => {
                let draw = u64::from_le_bytes(random.bytes());
                let hit = draw % 1000 < *per_mille && *left > 0;
                *left -= u64::from(hit);
                hit.then(|| kinds[usize::from(u16::from_le_bytes(random.bytes())) % kinds.len()])
            }
        }
    }
}
