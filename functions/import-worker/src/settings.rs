//! What the worker is told by its environment.

use muster_core::platform::aws::AwsSettings;
use muster_core::platform::settings::{SettingsError, Variables};

/// The worker's settings.
#[derive(Clone)]
pub struct Settings {
    /// Region, credentials, endpoint.
    pub aws: AwsSettings,
    /// `MUSTER_TABLE`
    pub table: String,
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
            chunk_queue_url: variables.required("MUSTER_CHUNK_QUEUE_URL"),
        };
        variables.finish()?;
        Ok(settings)
    }
}
