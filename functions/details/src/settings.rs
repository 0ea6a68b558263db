//! What the details are told by their environment.

use std::net::IpAddr;

use http::Uri;
use muster_core::platform::aws::AwsSettings;
use muster_core::platform::settings::{SettingsError, Variables};

use crate::config::reload::Place;
use crate::sources::addresses::Over;

/// The details' settings.
#[derive(Clone)]
pub struct Settings {
    /// Region, credentials, endpoint.
    pub aws: AwsSettings,
    /// `MUSTER_TABLE`
    pub table: String,
    /// `MUSTER_SOURCES_PARAMETER`, or `MUSTER_SOURCES_FILE`: where the document of the
    /// sources is. Without either there are none.
    pub place: Place,
    /// [`Over::Local`] if `AWS_ENDPOINT_URL` is an emulator on this machine.
    pub over: Over,
}

impl Settings {
    /// Reads all of it.
    ///
    /// # Errors
    /// Names every variable that is missing or malformed.
    pub fn read(mut variables: Variables<'_>) -> Result<Self, SettingsError> {
        let parameter = variables.optional("MUSTER_SOURCES_PARAMETER");
        let file = variables.optional("MUSTER_SOURCES_FILE");
        let aws = AwsSettings::read(&mut variables);
        let settings = Self {
            over: match aws.endpoint().is_some_and(is_loopback) {
                true => Over::Local,
                false => Over::Tls,
            },
            aws,
            table: variables.required("MUSTER_TABLE"),
            place: match (file, parameter) {
                (Some(path), _) => Place::File(path.into()),
                (None, Some(name)) => Place::Parameter(name),
                (None, None) => Place::Nowhere,
            },
        };
        variables.finish()?;
        Ok(settings)
    }
}

/// Whether an address leads to this machine, by its host. On AWS there is no such address
/// to be asked about, as `AWS_ENDPOINT_URL` is not set.
fn is_loopback(address: &str) -> bool {
    let address = address.parse::<Uri>().unwrap_or_default();
    let host = address.host().unwrap_or_default().to_ascii_lowercase();
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    match literal.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        // RFC 6761 section 6.3
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(endpoint: Option<&str>) -> Over {
        let variables = Variables::from_fn(|name| match name {
            "AWS_ENDPOINT_URL" => endpoint.map(str::to_owned),
            "MUSTER_SOURCES_PARAMETER" | "MUSTER_SOURCES_FILE" => None,
            _ => Some("x".to_owned()),
        });
        Settings::read(variables).unwrap().over
    }

    #[test]
    fn sources_are_local_beside_an_emulator_on_this_machine_only() {
        for endpoint in [
            "http://127.0.0.1:4566",
            "http://127.8.8.8:4566/",
            "http://[::1]:4566",
            "http://[::ffff:127.0.0.1]:4566",
            "http://localhost:4566",
            "HTTP://LocalHost:4566",
            "https://aws.localhost",
        ] {
            assert_eq!(over(Some(endpoint)), Over::Local, "{endpoint}");
        }
        for endpoint in [
            "",
            "http://aws.local",
            "https://dynamodb.eu-central-1.amazonaws.com",
            "http://127.0.0.1@evil.example:4566",
            "http://evil.example/127.0.0.1",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "http://notlocalhost",
            "http://localhost.localstack.cloud:4566",
            "http://10.0.0.1:4566",
            "http://0.0.0.0:4566",
            "http://169.254.169.254",
            "http://[::]:4566",
            "no address",
        ] {
            assert_eq!(over(Some(endpoint)), Over::Tls, "{endpoint}");
        }
        assert_eq!(over(None), Over::Tls);
    }
}
