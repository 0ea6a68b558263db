//! The route, and what it works with.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use muster_core::aws::SdkConfig;
use muster_core::random::Random;
use muster_core::table::Table;
use muster_core::time::Clock;
use muster_http::frame::framed;

use crate::cache::Cache;
use crate::config::{Config, Reader};
use crate::details;
use crate::gather::Gatherer;
use crate::settings::Settings;
use crate::transport::Transport;

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

/// All routes. Each needs a token, and with which scope is the gateway's business:
/// `template.yaml` says it.
pub fn router(services: Services) -> Router {
    let routes = Router::new().route("/profiles/{id}/details", get(details::read));
    framed(routes).with_state(Arc::new(services))
}
