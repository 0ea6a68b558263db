//! The route.

use crate::handlers;
use crate::services::Services;
use axum::Router;
use axum::routing::get;
use muster_http::frame::framed;
use std::sync::Arc;

/// All routes. Each needs a token, and with which scope is the gateway's business:
/// `template.yaml` says it.
pub fn router(services: Services) -> Router {
    let routes = Router::new().route("/profiles/{id}/details", get(handlers::read));
    framed(routes).with_state(Arc::new(services))
}
