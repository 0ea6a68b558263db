//! What the mailer is told by its environment.

use std::time::Duration;

use muster_core::aws::AwsSettings;
use muster_core::settings::{SettingsError, Variables};

/// The mailer's settings.
#[derive(Clone)]
pub struct Settings {
    /// Region, credentials, endpoint.
    pub aws: AwsSettings,
    /// `MUSTER_TABLE`
    pub table: String,
    /// `MUSTER_MAIL_QUEUE_URL`: nudges of people who wait.
    pub mail_queue_url: String,
    /// `MUSTER_BULK_MAIL_QUEUE_URL`: nudges of the sweeper.
    pub bulk_mail_queue_url: String,
    /// `MUSTER_PUBLIC_URL`: what links start with, without a slash at the end.
    pub public_url: String,
    /// `MUSTER_SENDER`: the address the mails are from.
    pub sender: String,
    /// `MUSTER_CONFIGURATION_SET`: of SES, where its events are published.
    pub configuration_set: String,
    /// `MUSTER_PRODUCT_NAME`: what the mails call us.
    pub product_name: String,
    /// `MUSTER_REMINDER_HOURS`: how long after a profile's first mail it is
    /// reminded of it; 0 for never.
    pub reminder_after: Duration,
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
            public_url: variables
                .required("MUSTER_PUBLIC_URL")
                .trim_end_matches('/')
                .to_owned(),
            sender: variables.required("MUSTER_SENDER"),
            configuration_set: variables.required("MUSTER_CONFIGURATION_SET"),
            product_name: variables.required("MUSTER_PRODUCT_NAME"),
            reminder_after: variables.required_hours("MUSTER_REMINDER_HOURS"),
            mail_paused: variables.parsed("MUSTER_MAIL_PAUSED", false),
        };
        variables.finish()?;
        Ok(settings)
    }
}
