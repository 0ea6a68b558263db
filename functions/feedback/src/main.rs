//! The feedback function's process: settings, clients, run.

use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use muster_core::platform::random::Random;
use muster_core::platform::settings::Variables;
use muster_core::platform::time::Clock;
use muster_feedback::feedback::Feedback;
use muster_feedback::settings::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let settings = Settings::read(Variables::of_process())?;
    let config = settings.aws.sdk_config();
    let feedback = Feedback::new(&settings, &config, Clock::system(), Random::system());
    let feedback = &feedback;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        feedback.answer(event.payload).await.map_err(Error::from)
    }))
    .await
}
