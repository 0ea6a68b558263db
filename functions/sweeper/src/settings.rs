//! What the sweeper is told by its environment.

use muster_core::platform::aws::AwsSettings;
use muster_core::platform::settings::{SettingsError, Variables};

/// The sweeper's settings.
#[derive(Clone)]
pub struct Settings {
    /// Region, credentials, endpoint.
    pub aws: AwsSettings,
    /// `MUSTER_TABLE`
    pub table: String,
    /// `MUSTER_MAIL_QUEUE_URL`: mails that somebody waits for.
    pub mail_queue_url: String,
    /// `MUSTER_BULK_MAIL_QUEUE_URL`: mails that nobody waits for.
    pub bulk_mail_queue_url: String,
    /// `MUSTER_IMPORT_QUEUE_URL`: imports to plan.
    pub import_queue_url: String,
    /// `MUSTER_CHUNK_QUEUE_URL`: chunks to import.
    pub chunk_queue_url: String,
    /// `MUSTER_MAILS_PER_MINUTE`: the most mails that nobody waits for.
    pub mails_per_minute: i64,
    /// `MUSTER_MAIL_PAUSED`: whether no mail is to go (`true` or `false`).
    pub mail_paused: bool,
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
            mail_queue_url: variables.required("MUSTER_MAIL_QUEUE_URL"),
            bulk_mail_queue_url: variables.required("MUSTER_BULK_MAIL_QUEUE_URL"),
            import_queue_url: variables.required("MUSTER_IMPORT_QUEUE_URL"),
            chunk_queue_url: variables.required("MUSTER_CHUNK_QUEUE_URL"),
            mails_per_minute: variables.required_number("MUSTER_MAILS_PER_MINUTE"),
            mail_paused: variables.parsed("MUSTER_MAIL_PAUSED", false),
        };
        variables.finish()?;
        Ok(settings)
    }
}
