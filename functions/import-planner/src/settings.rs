//! What the planner is told by its environment.

use muster_core::platform::aws::AwsSettings;
use muster_core::platform::settings::{SettingsError, Variables};
use muster_imports::csv::records;
use muster_imports::options::Presets;

use crate::cutter::Limits;

/// The planner's settings.
#[derive(Clone)]
pub struct Settings {
    /// Region, credentials, endpoint.
    pub aws: AwsSettings,
    /// `MUSTER_TABLE`
    pub table: String,
    /// `MUSTER_IMPORT_QUEUE_URL`: S3's events.
    pub import_queue_url: String,
    /// `MUSTER_CHUNK_QUEUE_URL`: chunks to import.
    pub chunk_queue_url: String,
    /// `MUSTER_IMPORT_PRESETS`: what folders say of the files in them.
    pub presets: Presets,
    /// `MUSTER_IMPORT_CHUNKS_AT_ONCE`: how many chunks of one import are in the
    /// queue at most.
    pub lanes: u32,
    /// `MUSTER_IMPORT_MAX_FILE_BYTES`, `MUSTER_IMPORT_MAX_ROWS`,
    /// `MUSTER_IMPORT_MAX_LINE_BYTES`, `MUSTER_IMPORT_MAX_FIELD_BYTES`,
    /// `MUSTER_IMPORT_MAX_COLUMNS`: what a file may be.
    pub limits: Limits,
}

impl Settings {
    /// Reads all of it.
    ///
    /// # Errors
    /// Names every variable that is missing.
    pub fn read(mut variables: Variables<'_>) -> Result<Self, SettingsError> {
        let settings = Self {
            aws: AwsSettings::read(&mut variables),
            table: variables.required("MUSTER_TABLE"),
            import_queue_url: variables.required("MUSTER_IMPORT_QUEUE_URL"),
            chunk_queue_url: variables.required("MUSTER_CHUNK_QUEUE_URL"),
            presets: variables.required_as("MUSTER_IMPORT_PRESETS"),
            lanes: variables.required_number("MUSTER_IMPORT_CHUNKS_AT_ONCE"),
            limits: Limits {
                bytes: variables.required_number("MUSTER_IMPORT_MAX_FILE_BYTES"),
                rows: variables.required_number("MUSTER_IMPORT_MAX_ROWS"),
                record: records::Limits {
                    line: variables.required_number("MUSTER_IMPORT_MAX_LINE_BYTES"),
                    field: variables.required_number("MUSTER_IMPORT_MAX_FIELD_BYTES"),
                    columns: variables.required_number("MUSTER_IMPORT_MAX_COLUMNS"),
                },
            },
        };
        variables.finish()?;
        Ok(settings)
    }
}
