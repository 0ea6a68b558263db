//! An error with all that is behind it.

use std::error::Error;
use std::fmt;
use std::iter::successors;

/// An error, its cause, the cause of that, and so on.
pub fn chain<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    successors(Some(error), |&error| error.source())
}

/// An error and its causes, in one line. (Many an error, `SdkError` above all, says
/// little of itself and leaves what happened to its sources.)
pub struct Causes<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        chain(self.0)
            .skip(1)
            .try_for_each(|cause| write!(f, ": {cause}"))
    }
}
