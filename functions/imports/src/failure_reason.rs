//! Why an import failed as a whole.

use serde::{Deserialize, Serialize};

/// Why an import failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureReason {
    /// Stable, `snake_case`.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
}

impl FailureReason {
    /// A reason with this code and sentence.
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            detail: detail.into(),
        }
    }
}
