//! An error with all that is behind it.

use std::error::Error;
use std::fmt;

/// An error and the chain of its causes, in one line. (Many an error, `SdkError` above
/// all, says little of itself and leaves what happened to its sources.)
pub struct Causes<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
