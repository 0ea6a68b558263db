//! What the planner is told by its environment.

use muster_core::aws::AwsSettings;
use muster_core::settings::{SettingsError, Variables};

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
        };
        variables.finish()?;
        Ok(settings)
    }
}
