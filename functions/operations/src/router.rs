//! The routes.

use crate::dead_letters::handlers as dead_letters;
use crate::queue_actions::handlers as queue_actions;
use crate::queues::handlers as queues;
use crate::services::Services;
use axum::Router;
use axum::routing::{get, post};
use muster_http::frame::framed;
use std::sync::Arc;

/// All routes. Each needs a token, and with which scope is the gateway's
/// business: `template.yaml` says it.
pub fn router(services: Services) -> Router {
    let routes = Router::new()
        .route("/queues", get(queues::list))
        .route("/queues/{name}/dead-letters", get(dead_letters::list))
        .route("/queues/{name}/dead-letters/{id}", get(dead_letters::read))
        .route(
            "/queues/{name}/dead-letters/redrive",
            post(queue_actions::redrive),
        )
        .route(
            "/queues/{name}/dead-letters/purge",
            post(queue_actions::purge),
        );
    framed(routes).with_state(Arc::new(services))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    use axum::body::{Body, to_bytes};
    use axum::http::{Request, header};
    use lambda_http::tower::ServiceExt;
    use muster_core::platform::settings::Variables;
    use muster_core::platform::time::{Clock, Time};
    use serde_json::Value;
    use utoipa::OpenApi;

    use crate::settings::Settings;

    /// The routes over an AWS that nobody runs: whatever answers here was
    /// decided before anything was asked of it.
    async fn ask(method: &str, path: &str) -> (u16, Value, Option<String>) {
        let variables = Variables::from_fn(|name| {
            Some(match name {
                "AWS_ENDPOINT_URL" => "http://127.0.0.1:1".to_owned(),
                name => name.to_lowercase(),
            })
        });
        let settings = Settings::read(variables).unwrap();
        let config = settings.aws.sdk_config();
        let clock = Clock::manual(Time::from_millis(0));
        let services = Services::new(&settings, &config, clock);
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Body::empty()).unwrap();
        let response = router(services).oneshot(request).await.unwrap();
        let allow = response.headers().get(header::ALLOW);
        let allow = allow.map(|value| value.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        (status, body, allow)
    }

    #[tokio::test]
    async fn what_is_wrong_is_said_as_a_problem() {
        for (method, path, status, kind) in [
            ("GET", "/queues/x", 404, "not-found"),
            ("DELETE", "/queues", 405, "method-not-allowed"),
            ("GET", "/queues", 403, "forbidden"),
            ("GET", "/queues/mail/dead-letters", 403, "forbidden"),
            ("GET", "/queues/mail/dead-letters/x", 403, "forbidden"),
            (
                "POST",
                "/queues/mail/dead-letters/redrive",
                403,
                "forbidden",
            ),
            ("POST", "/queues/mail/dead-letters/purge", 403, "forbidden"),
        ] {
            let (found, problem, _) = ask(method, path).await;
            assert_eq!(found, status, "{method} {path}: {problem}");
            let expected = format!("urn:muster:problem:{kind}");
            assert_eq!(problem["type"], expected, "{method} {path}");
        }
    }

    /// axum does not tell its routes: the paths are read where they are
    /// written, the methods off the `Allow` header.
    #[tokio::test]
    async fn the_document_has_every_route_and_no_other() {
        let source = include_str!("router.rs");
        let (code, _) = source.split_once("#[cfg(test)]").unwrap();
        let mut routes = BTreeMap::new();
        for call in code.split(".route(").skip(1) {
            let path = call.split('"').nth(1).unwrap();
            let allow = ask("TRACE", path).await.2.unwrap();
            let methods: BTreeSet<_> = allow.to_lowercase().split(',').map(str::to_owned).collect();
            routes.insert(path.to_owned(), methods);
        }
        let document = serde_json::to_value(crate::openapi::document::Document::openapi()).unwrap();
        let mut documented = BTreeMap::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            let mut methods: BTreeSet<_> =
                operations.as_object().unwrap().keys().cloned().collect();
            if methods.contains("get") {
                methods.insert("head".to_owned());
            }
            documented.insert(path.clone(), methods);
        }
        assert_eq!(documented, routes);
    }

    #[test]
    fn a_start_without_settings_names_them() {
        let error = Settings::read(Variables::from_fn(|_| None)).err().unwrap();
        for name in ["MUSTER_TABLE", "MUSTER_BULK_MAIL_DLQ_URL"] {
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
