//! What went wrong, and what to do about it.

use std::fmt;

use muster_core::platform::causes::Causes;

/// A failure that a person reads: never without a next step.
#[derive(Debug, thiserror::Error)]
pub struct Trouble {
    /// What happened.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// Whether it may be over in a moment.
    pub passing: bool,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.what, self.remedy)
    }
}

impl Trouble {
    /// Trouble with its remedy.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
            passing: false,
        }
    }

    /// Trouble that may be over in a moment.
    #[must_use]
    pub fn passing(self) -> Self {
        Self {
            passing: true,
            ..self
        }
    }

    /// Trouble with more to do, or to know.
    #[must_use]
    pub fn and(mut self, more: &str) -> Self {
        self.remedy = format!("{}\n{more}", self.remedy);
        self
    }
}

/// Turns any error into trouble.
pub trait OrTrouble<T> {
    /// Says what was tried, and what to do when it fails.
    ///
    /// # Errors
    /// The trouble, with the error behind it.
    fn or_trouble(self, what: impl fmt::Display, remedy: impl fmt::Display) -> Result<T, Trouble>;
}

impl<T, E: std::error::Error + 'static> OrTrouble<T> for Result<T, E> {
    fn or_trouble(self, what: impl fmt::Display, remedy: impl fmt::Display) -> Result<T, Trouble> {
        self.map_err(|error| {
            let what = format!("{what}: {}", Causes(&error));
            Trouble::new(what, remedy.to_string())
        })
    }
}
