//! The planner's process: settings, clients, run.

use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use muster_core::platform::random::Random;
use muster_core::platform::settings::Variables;
use muster_core::platform::time::{Clock, Time};
use muster_import_planner::cutter::ChunkSize;
use muster_import_planner::planner::Planner;
use muster_import_planner::settings::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let settings = Settings::read(Variables::of_process())?;
    let config = settings.aws.sdk_config();
    let planner = Planner::new(
        &settings,
        &config,
        ChunkSize::default(),
        Clock::system(),
        Random::system(),
    );
    let planner = &planner;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        let deadline = Time::from_millis(i64::try_from(event.context.deadline).unwrap_or(i64::MAX));
        planner
            .answer(event.payload, deadline)
            .await
            .map_err(Error::from)
    }))
    .await
}
