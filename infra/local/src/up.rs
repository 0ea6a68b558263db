//! `make up`

use aws_sdk_sesv2::Client;
use muster_cli::trouble::{OrTrouble, Trouble};

use crate::already_exists::ok_if_exists;
use crate::aws_settings::aws_settings;
use crate::console::Console;
use crate::deployment::deploy;
use crate::emulator;
use crate::environment::Environment;
use crate::operator;
use crate::place::Place;
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
    let credentials = operator::client_credentials(place, &outputs).await?;
    let environment = Environment::of(place, &outputs, &credentials).await?;
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

/// SES sends for nobody it does not know.
async fn verify_sender(place: &Place) -> Result<(), Trouble> {
    let ses = Client::new(&aws_settings(&place.endpoint())?.sdk_config());
    let identity = ses.create_email_identity().email_identity(SENDER);
    ok_if_exists(identity.send().await, "AlreadyExistsException").or_trouble(
        "the sender's identity cannot be made",
        "make down, then try again.",
    )
}
