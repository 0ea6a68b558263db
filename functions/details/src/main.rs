//! The details' process: settings, clients, sources, run.

use lambda_http::tower::ServiceExt;
use lambda_http::{Adapter, Error, lambda_runtime, tracing};
use muster_core::platform::random::Random;
use muster_core::platform::settings::Variables;
use muster_core::platform::time::Clock;
use muster_details::router::router;
use muster_details::services::Services;
use muster_details::settings::Settings;
use muster_details::sources::transport;
use muster_http::gateway::readable;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let settings = Settings::read(Variables::of_process())?;
    let config = settings.aws.sdk_config();
    let transport = transport::over_the_net(settings.over)?;
    let services = Services::new(
        &settings,
        &config,
        transport,
        Clock::system(),
        Random::system(),
    );
    let api = Adapter::from(router(services.await)).map_request(readable);
    lambda_runtime::run(api).await
}
