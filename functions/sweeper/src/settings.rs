//! What the sweeper is told by its environment.

use muster_core::aws::AwsSettings;
use muster_core::settings::{SettingsError, Variables};

/// The sweeper's settings.
#[derive(Clone)]
pub struct Settings {
    /// Region, credentials, endpoint.
    pub aws: AwsSettings,
    /// `MUSTER_TABLE`
    pub table: String,
    /// `MUSTER_BULK_MAIL_QUEUE_URL`: mails to send.
    pub bulk_mail_queue_url: String,
    /// `MUSTER_IMPORT_QUEUE_URL`: imports to plan.
    pub import_queue_url: String,
    /// `MUSTER_CHUNK_QUEUE_URL`: chunks to import.
    pub chunk_queue_url: String,
    /// `MUSTER_MAILS_PER_MINUTE`: the most mails that one sweep feeds.
    pub mails_per_minute: usize,
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
            bulk_mail_queue_url: variables.required("MUSTER_BULK_MAIL_QUEUE_URL"),
            import_queue_url: variables.required("MUSTER_IMPORT_QUEUE_URL"),
            chunk_queue_url: variables.required("MUSTER_CHUNK_QUEUE_URL"),
            mails_per_minute: variables.required_number("MUSTER_MAILS_PER_MINUTE"),
        };
        variables.finish()?;
        Ok(settings)
    }
}
