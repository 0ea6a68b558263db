//! Messages of the import queue and the chunk queue.

use serde::{Deserialize, Serialize};

use muster_core::platform::ids::ImportId;
use muster_core::platform::queue::{NotANudge, read};

/// "There may be a chunk to import."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkNudge {
    /// Of which import.
    pub import_id: ImportId,
    /// Which of its chunks.
    pub chunk: u32,
}

impl ChunkNudge {
    /// Reads a message of the chunk queue.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn read(body: &str) -> Result<Self, NotANudge> {
        read(
            body,
            r#"a chunk nudge ({"import_id": "<uuid>", "chunk": 0})"#,
        )
    }
}

/// "There may be an import to plan." Goes to the queue that S3's events go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanNudge {
    /// Which import.
    pub import_id: ImportId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_a_contract() {
        let wire = r#"{"import_id":"019aafb0-0000-7000-8000-000000000000","chunk":7}"#;
        let nudge = ChunkNudge::read(wire).unwrap();
        assert_eq!(serde_json::to_string(&nudge).unwrap(), wire);
    }

    #[test]
    fn another_message_is_refused_with_what_was_expected() {
        let error = ChunkNudge::read("[]").unwrap_err().to_string();
        let expected = r#"expected a chunk nudge ({"import_id": "<uuid>", "chunk": 0})"#;
        assert!(error.starts_with(expected), "{error}");
    }
}
