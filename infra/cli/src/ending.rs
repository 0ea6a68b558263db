//! How a command ends.

use std::process::ExitCode;

/// What came of a command that met no trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All that was asked for was done.
    Done,
    /// An import is over, and refused some of its rows.
    RowsRefused,
    /// Ctrl-C stopped it.
    Interrupted,
    /// SIGTERM stopped it.
    Terminated,
}

impl Ending {
    /// What programs are told; 1 is trouble, and 2 what makes no sense.
    pub const fn status(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::RowsRefused => 3,
            // 128 and the number of the signal, as shells have it.
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        ending.status().into()
    }
}
