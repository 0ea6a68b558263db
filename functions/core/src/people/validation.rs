//! What is wrong with a value that somebody typed.

/// One broken rule: a stable code for programs, a sentence for people.
///
/// The same value breaks the same rule with the same words whether it came
/// in JSON or in a CSV; where it stood (a JSON pointer, a line and a column)
/// is the caller's to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Stable, `snake_case`, part of the public contract.
    pub code: &'static str,
    /// A sentence that says what would be accepted. Never echoes the value.
    pub detail: String,
}

impl Violation {
    /// A violation with this code and sentence.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}
