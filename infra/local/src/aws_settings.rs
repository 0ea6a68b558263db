//! SDK settings for the emulator.

use muster_cli::trouble::{OrTrouble, Trouble};
use muster_core::platform::aws::AwsSettings;
use muster_core::platform::settings::Variables;

use crate::place::{CREDENTIAL, REGION};

/// SDK settings for the stack at an endpoint.
///
/// # Errors
/// None for a place that [`Place::find`](crate::place::Place::find) found.
pub fn aws_settings(endpoint: &str) -> Result<AwsSettings, Trouble> {
    let mut variables = Variables::from_fn(|name| match name {
        "AWS_REGION" => Some(REGION.to_owned()),
        "AWS_ENDPOINT_URL" => Some(endpoint.to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some(CREDENTIAL.to_owned()),
        _ => None,
    });
    let settings = AwsSettings::read(&mut variables);
    variables.finish().or_trouble(
        "the SDK cannot be set up",
        "This is a bug: please report it.",
    )?;
    Ok(settings)
}
