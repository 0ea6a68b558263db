//! What the API is told by its environment.

use muster_core::aws::AwsSettings;
use muster_core::settings::{SettingsError, Variables};

use crate::captcha::CaptchaSettings;
use crate::rates::Limits;

/// The API's settings.
#[derive(Clone)]
pub struct Settings {
    /// Region, credentials, endpoint.
    pub aws: AwsSettings,
    /// `MUSTER_TABLE`
    pub table: String,
    /// `MUSTER_MAIL_QUEUE_URL`
    pub mail_queue_url: String,
    /// `MUSTER_IMPORT_QUEUE_URL`
    pub import_queue_url: String,
    /// `MUSTER_UPLOADS_BUCKET`
    pub uploads_bucket: String,
    /// `MUSTER_IMPORT_MAX_FILE_BYTES`
    pub max_file_bytes: u64,
    /// `MUSTER_SIGNUPS_PER_ADDRESS`, `MUSTER_SIGNUP_MAILS_PER_HOUR`
    pub limits: Limits,
    /// `MUSTER_CAPTCHA_URL`, `MUSTER_CAPTCHA_SECRET`: neither, or both.
    pub captcha: Option<CaptchaSettings>,
}

impl Settings {
    /// Reads all of it.
    ///
    /// # Errors
    /// Names every variable that is missing.
    pub fn read(mut variables: Variables<'_>) -> Result<Self, SettingsError> {
        let limits = Limits {
            per_network_address: variables.required_number("MUSTER_SIGNUPS_PER_ADDRESS"),
            mails_per_hour: variables.required_number("MUSTER_SIGNUP_MAILS_PER_HOUR"),
        };
        let captcha = variables
            .optional_parsed("MUSTER_CAPTCHA_URL")
            .map(|url| CaptchaSettings {
                url,
                secret: variables.required("MUSTER_CAPTCHA_SECRET"),
            });
        let settings = Self {
            aws: AwsSettings::read(&mut variables),
            table: variables.required("MUSTER_TABLE"),
            mail_queue_url: variables.required("MUSTER_MAIL_QUEUE_URL"),
            import_queue_url: variables.required("MUSTER_IMPORT_QUEUE_URL"),
            uploads_bucket: variables.required("MUSTER_UPLOADS_BUCKET"),
            max_file_bytes: variables.required_number("MUSTER_IMPORT_MAX_FILE_BYTES"),
            limits,
            captcha,
        };
        variables.finish()?;
        Ok(settings)
    }
}
