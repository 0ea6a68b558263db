//! How a command ends.

use std::process::ExitCode;

/// What came of a command that met no trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All that was asked for was done.
    Done,
    /// An import is over, and refused some of its rows.
    RowsRefused,
    /// Somebody did not want to wait for the end.
    Interrupted,
}

impl Ending {
    /// What programs are told; 1 is trouble, and 2 what makes no sense.
    pub const fn status(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::RowsRefused => 3,
            // As shells say that SIGINT ended something.
            Self::Interrupted => 130,
        }
    }
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        ending.status().into()
    }
}
