//! `make up`

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::error::ProvideErrorMetadata;
use muster_cli::trouble::{OrTrouble, Trouble};
use muster_core::aws::AwsSettings;
use muster_core::settings::Variables;

use crate::console::Console;
use crate::deployment::deploy;
use crate::emulator;
use crate::environment::Environment;
use crate::operator;
use crate::place::{CREDENTIAL, Place, REGION};
use crate::sources::Sources;

/// `SenderAddress` of the `local` environment in `samconfig.toml`.
const SENDER: &str = "muster@example.com";

/// Starts the stack, deploys the template and leaves `env` behind. On a stack
/// that runs already, it deploys what changed.
///
/// # Errors
/// Whatever did not work, and what to do about it.
pub async fn up(place: &Place, console: &Console) -> Result<Environment, Trouble> {
    std::fs::create_dir_all(&place.dir).or_trouble(
        format!("{} cannot be made", place.dir.display()),
        "Check that the folder can be written to.",
    )?;
    console
        .step("Starting the local stack", emulator::start(place))
        .await?;
    // The details do not start without their document.
    Sources::at(&place.endpoint())?.make().await?;
    let outputs = console
        .step("Deploying template.yaml", deploy(place))
        .await?;
    verify_sender(place).await?;
    let machine = operator::machine(place, &outputs).await?;
    let environment = Environment::of(place, &outputs, &machine).await?;
    environment.write(&place.file("env"))?;
    Ok(environment)
}

/// Says where everything is.
pub fn tell(environment: &Environment, place: &Place, console: &Console) {
    let known = |name| environment.get(name).unwrap_or("?").to_owned();
    console.heading("Muster is up");
    console.line(format!("  API      {}", known("MUSTER_API_URL")));
    console.line(format!(
        "  uploads  s3://{}/uploads/",
        known("MUSTER_UPLOADS_BUCKET")
    ));
    console.line(format!("  env      {}", place.file("env").display()));
    console.line("\n  make inbox shows the mails, make down stops it all.");
}

/// SDK settings for the stack.
///
/// # Errors
/// None for a place that [`Place::find`] found.
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

/// SES sends for nobody it does not know.
async fn verify_sender(place: &Place) -> Result<(), Trouble> {
    let ses = Client::new(&aws_settings(&place.endpoint())?.sdk_config());
    let identity = ses.create_email_identity().email_identity(SENDER);
    unless_there(identity.send().await, "AlreadyExistsException").or_trouble(
        "the sender's identity cannot be made",
        "make down, then try again.",
    )
}

/// What is there already, which the emulator says by `code`, need not be made.
pub(crate) fn unless_there<T, E: ProvideErrorMetadata>(
    made: Result<T, E>,
    code: &str,
) -> Result<(), E> {
    match made {
        Err(error) if error.code() != Some(code) => Err(error),
        _ => Ok(()),
    }
}
