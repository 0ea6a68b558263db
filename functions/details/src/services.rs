//! What the handler works with.

use crate::config::reload::{Config, Reader};
use crate::settings::Settings;
use crate::sources::cache::Cache;
use crate::sources::fan_out::Gatherer;
use crate::sources::transport::Transport;
use muster_core::platform::aws::SdkConfig;
use muster_core::platform::random::Random;
use muster_core::platform::table::Table;
use muster_core::platform::time::Clock;
use std::sync::Arc;

/// What the handler works with.
pub struct Services {
    /// Which sources there are.
    pub config: Config,
    /// Asks them.
    pub gatherer: Gatherer,
    /// The profile, and what sources said before.
    pub cache: Cache,
    /// The time.
    pub clock: Clock,
}

/// What a handler is given.
pub type Shared = axum::extract::State<Arc<Services>>;

impl Services {
    /// Services over these clients. They read the document of the sources.
    pub async fn new(
        settings: &Settings,
        config: &SdkConfig,
        transport: Transport,
        clock: Clock,
        random: Random,
    ) -> Self {
        let table = Table::new(
            aws_sdk_dynamodb::Client::new(config),
            settings.table.clone(),
        );
        let reader = Reader::new(settings.place.clone(), settings.over, config);
        Self {
            config: Config::read(reader, clock.clone()).await,
            gatherer: Gatherer::new(transport, clock.clone()),
            cache: Cache::new(table, random),
            clock,
        }
    }
}
