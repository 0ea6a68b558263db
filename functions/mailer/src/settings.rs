//! What the mailer is told by its environment.

use std::time::Duration;

use muster_core::platform::aws::AwsSettings;
use muster_core::platform::settings::{SettingsError, Variables};

use crate::letterhead::Letterhead;

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
    /// `MUSTER_PRODUCT_NAME`, `MUSTER_ACCENT_COLOUR`, `MUSTER_MAIL_FOOTER`,
    /// `MUSTER_DEFAULT_LANGUAGE`: what all mails have in common.
    pub letterhead: Letterhead,
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
    /// Names every variable that is missing or cannot be used.
    pub fn read(mut variables: Variables<'_>) -> Result<Self, SettingsError> {
        let letterhead = Letterhead {
            product: variables.required_as("MUSTER_PRODUCT_NAME"),
            accent: variables.required_as("MUSTER_ACCENT_COLOUR"),
            footer: variables.optional_as("MUSTER_MAIL_FOOTER"),
            language: variables.required_as("MUSTER_DEFAULT_LANGUAGE"),
        };
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
            letterhead,
            reminder_after: variables.required_hours("MUSTER_REMINDER_HOURS"),
            mail_paused: variables.parsed("MUSTER_MAIL_PAUSED", false),
        };
        variables.finish()?;
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(own: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(Variables::from_fn(|name| {
            let own = own.iter().find(|(own, _)| *own == name);
            let value = own.map_or_else(
                || match name {
                    "MUSTER_ACCENT_COLOUR" => "#1d4ed8",
                    "MUSTER_DEFAULT_LANGUAGE" => "de",
                    "MUSTER_MAIL_FOOTER" | "MUSTER_MAIL_PAUSED" => "",
                    "MUSTER_REMINDER_HOURS" => "24",
                    _ => "x",
                },
                |(_, value)| value,
            );
            Some(value.to_owned())
        }))
    }

    #[test]
    fn looks_that_no_mail_can_have_stop_the_start() {
        let letterhead = read(&[]).unwrap().letterhead;
        assert_eq!(letterhead.footer, None);
        let error = read(&[
            ("MUSTER_PRODUCT_NAME", "Muster\nBcc: all"),
            ("MUSTER_ACCENT_COLOUR", "blue"),
            ("MUSTER_MAIL_FOOTER", "Street\r\nTown"),
            ("MUSTER_DEFAULT_LANGUAGE", "German"),
        ]);
        let error = error.map(|_| ()).unwrap_err().to_string();
        for told in [
            "MUSTER_PRODUCT_NAME must be one line",
            "MUSTER_ACCENT_COLOUR must be a colour of the form #rrggbb",
            "MUSTER_MAIL_FOOTER must be one line",
            "MUSTER_DEFAULT_LANGUAGE must be en or de",
        ] {
            assert!(error.contains(told), "{error}");
        }
    }
}
