//! What the feedback function is told by its environment.

use std::time::Duration;

use muster_core::platform::aws::AwsSettings;
use muster_core::platform::settings::{SettingsError, Variables};

/// The feedback function's settings.
#[derive(Clone)]
pub struct Settings {
    /// Region, credentials, endpoint.
    pub aws: AwsSettings,
    /// `MUSTER_TABLE`
    pub table: String,
    /// `MUSTER_FEEDBACK_QUEUE_URL`: what SES reports.
    pub feedback_queue_url: String,
    /// `MUSTER_REMINDER_HOURS`: how long after a profile's first mail it is
    /// reminded of it; 0 for never.
    pub reminder_after: Duration,
}

impl Settings {
    /// Reads all of it.
    ///
    /// # Errors
    /// Names every variable that is missing or malformed.
    pub fn read(mut variables: Variables<'_>) -> Result<Self, SettingsError> {
        let settings = Self {
            aws: AwsSettings::read(&mut variables),
            table: variables.required("MUSTER_TABLE"),
            feedback_queue_url: variables.required("MUSTER_FEEDBACK_QUEUE_URL"),
            reminder_after: variables.required_hours("MUSTER_REMINDER_HOURS"),
        };
        variables.finish()?;
        Ok(settings)
    }
}
