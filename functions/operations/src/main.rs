//! The operations' process: settings, clients, run.

use lambda_http::tower::ServiceExt;
use lambda_http::{Adapter, Error, lambda_runtime, tracing};
use muster_core::platform::settings::Variables;
use muster_core::platform::time::Clock;
use muster_http::gateway::readable;
use muster_operations::router::router;
use muster_operations::services::Services;
use muster_operations::settings::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let settings = Settings::read(Variables::of_process())?;
    let config = settings.aws.sdk_config();
    let services = Services::new(&settings, &config, Clock::system());
    let api = Adapter::from(router(services)).map_request(readable);
    lambda_runtime::run(api).await
}
