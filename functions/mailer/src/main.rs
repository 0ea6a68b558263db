//! The mailer's process: settings, clients, run.

use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use muster_core::platform::random::Random;
use muster_core::platform::settings::Variables;
use muster_core::platform::time::Clock;
use muster_mailer::mailer::Mailer;
use muster_mailer::settings::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let settings = Settings::read(Variables::of_process())?;
    let config = settings.aws.sdk_config();
    let mailer = Mailer::new(settings, &config, Clock::system(), Random::system());
    let mailer = &mailer;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        mailer.answer(event.payload).await.map_err(Error::from)
    }))
    .await
}
