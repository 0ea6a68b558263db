//! What the feedback function is told by its environment.

use muster_core::aws::AwsSettings;
use muster_core::settings::{SettingsError, Variables};

/// The feedback function's settings.
#[derive(Clone)]
pub struct Settings {
    /// Region, credentials, endpoint.
    pub aws: AwsSettings,
    /// `MUSTER_TABLE`
    pub table: String,
    /// `MUSTER_FEEDBACK_QUEUE_URL`: what SES reports.
    pub feedback_queue_url: String,
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
            feedback_queue_url: variables.required("MUSTER_FEEDBACK_QUEUE_URL"),
        };
        variables.finish()?;
        Ok(settings)
    }
}
