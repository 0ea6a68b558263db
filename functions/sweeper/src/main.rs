//! The sweeper's process: settings, clients, run.

use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use muster_core::platform::random::Random;
use muster_core::platform::settings::Variables;
use muster_core::platform::time::{Clock, Time};
use muster_sweeper::settings::Settings;
use muster_sweeper::sweeper::Sweeper;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let settings = Settings::read(Variables::of_process())?;
    let config = settings.aws.sdk_config();
    let sweeper = Sweeper::new(&settings, &config, Clock::system(), Random::system());
    let sweeper = &sweeper;
    // What the schedule says of itself does not matter.
    lambda_runtime::run(service_fn(
        move |event: LambdaEvent<serde_json::Value>| async move {
            let deadline = i64::try_from(event.context.deadline).unwrap_or(i64::MAX);
            let deadline = Time::from_millis(deadline);
            sweeper.sweep(deadline).await.map_err(Error::from)
        },
    ))
    .await
}
