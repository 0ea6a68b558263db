//! What the handlers work with.

use crate::dead_letters::messages::DeadLetters;
use crate::settings::{Queue, Settings};
use muster_core::platform::aws::SdkConfig;
use muster_core::platform::table::Table;
use muster_core::platform::time::Clock;
use std::sync::Arc;

/// What the handlers work with.
pub struct Services {
    /// The queues there are.
    pub queues: Vec<Queue>,
    /// How full they are.
    pub sqs: aws_sdk_sqs::Client,
    /// What they gave up.
    pub letters: DeadLetters,
    /// What is known of that.
    pub table: Table,
    /// The time.
    pub clock: Clock,
}

/// What a handler is given.
pub type Shared = axum::extract::State<Arc<Services>>;

impl Services {
    /// Services over these clients.
    pub fn new(settings: &Settings, config: &SdkConfig, clock: Clock) -> Self {
        let sqs = aws_sdk_sqs::Client::new(config);
        Self {
            queues: settings.queues.clone(),
            letters: DeadLetters::new(sqs.clone(), clock.clone()),
            sqs,
            table: Table::new(
                aws_sdk_dynamodb::Client::new(config),
                settings.table.clone(),
            ),
            clock,
        }
    }
}
