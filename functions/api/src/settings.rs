//! What the API is told by its environment.

use axum::http::Uri;
use muster_core::platform::aws::AwsSettings;
use muster_core::platform::settings::{SettingsError, Variables};

use crate::cross_site::Site;
use crate::edge::EdgeSettings;
use crate::signup::captcha::CaptchaSettings;
use crate::signup::rate_limits::Limits;

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
    /// `MUSTER_SIGNUPS_PER_ADDRESS`, `MUSTER_SIGNUP_MAILS_PER_HOUR`,
    /// `MUSTER_SIGNUP_MAILS_PER_DOMAIN`
    pub limits: Limits,
    /// `MUSTER_CAPTCHA_URL`, `MUSTER_CAPTCHA_SECRET_NAME`: neither, or both.
    pub captcha: Option<CaptchaSettings>,
    /// `MUSTER_VIEWER_ADDRESS_HEADER`, `MUSTER_ORIGIN_SECRET_NAME`: neither, or both.
    pub edge: Option<EdgeSettings>,
    /// `MUSTER_PUBLIC_URL`, without which it is the API's own address.
    pub site: Site,
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
            mails_per_domain: variables.required_number("MUSTER_SIGNUP_MAILS_PER_DOMAIN"),
        };
        let captcha = variables
            .optional_parsed("MUSTER_CAPTCHA_URL")
            .map(|url| CaptchaSettings {
                url,
                secret_name: variables.required("MUSTER_CAPTCHA_SECRET_NAME"),
            });
        let edge = variables
            .optional_parsed("MUSTER_VIEWER_ADDRESS_HEADER")
            .map(|address_header| EdgeSettings {
                address_header,
                secret_name: variables.required("MUSTER_ORIGIN_SECRET_NAME"),
            });
        let public: Option<Uri> = variables.optional_parsed("MUSTER_PUBLIC_URL");
        let site = Site {
            public: public.and_then(|url| url.into_parts().authority),
        };
        let settings = Self {
            aws: AwsSettings::read(&mut variables),
            table: variables.required("MUSTER_TABLE"),
            mail_queue_url: variables.required("MUSTER_MAIL_QUEUE_URL"),
            import_queue_url: variables.required("MUSTER_IMPORT_QUEUE_URL"),
            uploads_bucket: variables.required("MUSTER_UPLOADS_BUCKET"),
            max_file_bytes: variables.required_number("MUSTER_IMPORT_MAX_FILE_BYTES"),
            limits,
            captcha,
            edge,
            site,
        };
        variables.finish()?;
        Ok(settings)
    }
}
