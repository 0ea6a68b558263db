//! The exit status of a command.

use std::process::ExitCode;

/// The exit status of a command that returned no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// All that was asked for was done.
    Done,
    /// An import is over, and refused some of its rows.
    RowsRefused,
    /// Ctrl-C stopped it.
    Interrupted,
    /// SIGTERM stopped it.
    Terminated,
}

impl ExitStatus {
    /// The code that the shell sees. An error is 1, and a command line that does not parse is 2.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::RowsRefused => 3,
            // 128 and the number of the signal, as shells have it.
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        status.code().into()
    }
}
