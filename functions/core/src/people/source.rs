//! How a profile came to be.

use serde::{Deserialize, Serialize};

/// How a profile came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The person signed up.
    Signup,
    /// An operator made it through the API.
    Operator,
    /// It was a row of an import.
    Import,
}
