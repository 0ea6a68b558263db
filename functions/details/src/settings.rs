//! What the details are told by their environment.

use muster_core::aws::AwsSettings;
use muster_core::settings::{SettingsError, Variables};

use crate::config::Place;
use crate::document::Over;

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
    /// `MUSTER_SOURCES_LOCAL`: whether sources may be on this machine, and without
    /// TLS.
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
        let settings = Self {
            aws: AwsSettings::read(&mut variables),
            table: variables.required("MUSTER_TABLE"),
            place: match (file, parameter) {
                (Some(path), _) => Place::File(path.into()),
                (None, Some(name)) => Place::Parameter(name),
                (None, None) => Place::Nowhere,
            },
            over: match variables.parsed("MUSTER_SOURCES_LOCAL", false) {
                true => Over::Local,
                false => Over::Tls,
            },
        };
        variables.finish()?;
        Ok(settings)
    }
}
