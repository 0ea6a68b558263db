//! `GET /health`.

use crate::openapi::refusals::FromElsewhere;
use axum::Json;
use muster_http::openapi::refusals::Always;
use serde::Serialize;
use utoipa::ToSchema;

/// It runs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    #[schema(inline)]
    status: HealthStatus,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum HealthStatus {
    Ok,
}

/// `GET /health`
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    tag = "service",
    summary = "Whether the API runs",
    description = "Looks at nothing behind it.",
    responses(
        (status = 200, description = "It runs.", body = Health),
        (status = 403, response = FromElsewhere),
        Always,
    ),
)]
pub(crate) async fn read() -> Json<Health> {
    let status = HealthStatus::Ok;
    Json(Health { status })
}
