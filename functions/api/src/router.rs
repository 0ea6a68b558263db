//! The routes.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post};
use muster_http::frame::framed;

use crate::confirmation::link::straighten;
use crate::confirmation::{handlers as confirmation, reject};
use crate::cross_site::refuse_forms_of_others;
use crate::edge::only_by_edge;
use crate::health;
use crate::imports::handlers as imports;
use crate::openapi::document;
use crate::profiles::{handlers as profiles, mails, undeliverable};
use crate::services::Services;
use crate::signup::handlers as signup;

/// All routes. Which of them need a token, and with which scope, is the
/// gateway's business: `template.yaml` says it.
pub fn router(services: Services) -> Router {
    let forms = Router::new()
        .route("/signup/resend", post(signup::resend))
        .route(
            "/confirm",
            get(confirmation::show).post(confirmation::confirm),
        )
        .route("/not-me", get(reject::show).post(reject::disown))
        .layer(from_fn_with_state(
            services.site.clone(),
            refuse_forms_of_others,
        ));
    let mut routes = forms
        .route("/health", get(health::read))
        .route("/openapi.json", get(document::serve))
        .route("/signup", post(signup::sign_up))
        .route("/profiles", get(profiles::find).post(profiles::create))
        .route(
            "/profiles/{id}",
            get(profiles::read)
                .patch(profiles::change)
                .delete(profiles::erase),
        )
        .route("/profiles/{id}/mails", get(mails::list))
        .route("/profiles/{id}/resend", post(mails::resend))
        .route(
            "/profiles/{id}/undeliverable",
            delete(undeliverable::remove),
        )
        .route("/imports", get(imports::list).post(imports::create))
        .route("/imports/{id}", get(imports::read))
        .route("/imports/{id}/start", post(imports::start))
        .route("/imports/{id}/cancel", post(imports::cancel))
        .route("/imports/{id}/resume", post(imports::resume))
        .route("/imports/{id}/errors", get(imports::errors));
    if let Some(edge) = services.edge.clone() {
        routes = routes.layer(from_fn_with_state(edge, only_by_edge));
    }
    framed(routes)
        .layer(from_fn(straighten))
        .with_state(Arc::new(services))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    use axum::body::{Body, to_bytes};
    use axum::http::{Request, StatusCode, header};
    use muster_core::platform::aws::AwsSettings;
    use muster_core::platform::random::Random;
    use muster_core::platform::settings::Variables;
    use muster_core::platform::time::{Clock, Time};
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use crate::settings::Settings;

    /// The API over an AWS that nobody runs: whatever answers here was
    /// decided before anything was asked of it.
    fn api() -> Router {
        let variables = Variables::from_fn(|name| {
            Some(match name {
                "AWS_ENDPOINT_URL" => "http://127.0.0.1:1".to_owned(),
                "AWS_REGION" => "eu-central-1".to_owned(),
                "MUSTER_CAPTCHA_URL" | "MUSTER_VIEWER_ADDRESS_HEADER" | "MUSTER_PUBLIC_URL" => {
                    return None;
                }
                "MUSTER_SIGNUPS_PER_ADDRESS"
                | "MUSTER_SIGNUP_MAILS_PER_HOUR"
                | "MUSTER_SIGNUP_MAILS_PER_DOMAIN"
                | "MUSTER_IMPORT_MAX_FILE_BYTES" => "9".to_owned(),
                name => name.to_lowercase(),
            })
        });
        let settings = Settings::read(variables).unwrap();
        let config = settings.aws.sdk_config();
        let clock = Clock::manual(Time::from_millis(0));
        router(Services::new(&settings, &config, clock, Random::seeded(1)).unwrap())
    }

    async fn ask(
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> (StatusCode, Value, Option<String>) {
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Body::from(body.unwrap_or_default().to_owned()))
            .unwrap();
        let response = api().oneshot(request).await.unwrap();
        let allow = response
            .headers()
            .get(header::ALLOW)
            .map(|v| v.to_str().unwrap().to_owned());
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or_default(),
            allow,
        )
    }

    #[tokio::test]
    async fn what_is_wrong_is_said_as_a_problem() {
        for (method, path, body, status, kind) in [
            ("GET", "/nowhere", None, 404, "not-found"),
            ("GET", "/signup", None, 405, "method-not-allowed"),
            ("POST", "/signup", None, 415, "unsupported-media-type"),
            ("POST", "/signup", Some("{"), 400, "malformed-request"),
            ("POST", "/signup", Some("{}"), 422, "invalid-fields"),
            ("POST", "/profiles", Some("{}"), 403, "forbidden"),
            ("GET", "/profiles", None, 403, "forbidden"),
            ("GET", "/profiles/x", None, 403, "forbidden"),
            ("GET", "/imports", None, 403, "forbidden"),
            ("POST", "/imports", Some("{}"), 403, "forbidden"),
            ("GET", "/imports/x", None, 403, "forbidden"),
            ("POST", "/imports/x/start", None, 403, "forbidden"),
            ("POST", "/imports/x/cancel", None, 403, "forbidden"),
            ("POST", "/imports/x/resume", None, 403, "forbidden"),
            ("GET", "/imports/x/errors", None, 403, "forbidden"),
        ] {
            let (found, problem, _) = ask(method, path, body).await;
            assert_eq!(found.as_u16(), status, "{method} {path}: {problem}");
            assert_eq!(
                problem["type"],
                format!("urn:muster:problem:{kind}"),
                "{method} {path}"
            );
            assert_eq!(problem["status"], status);
        }
    }

    #[tokio::test]
    async fn a_wrong_method_is_told_the_right_one() {
        let (_, _, allow) = ask("DELETE", "/signup", None).await;
        assert_eq!(allow.as_deref(), Some("POST"));
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
            let allow = ask("TRACE", path, None).await.2.unwrap();
            let methods: BTreeSet<_> = allow.to_lowercase().split(',').map(str::to_owned).collect();
            routes.insert(path.to_owned(), methods);
        }
        let document: Value = serde_json::to_value(document::document()).unwrap();
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

    #[tokio::test]
    async fn the_document_is_served_and_may_be_kept() {
        let request = Request::get("/openapi.json").body(Body::empty()).unwrap();
        let response = api().oneshot(request).await.unwrap();
        let headers = response.headers();
        assert_eq!(headers[header::CONTENT_TYPE], "application/json");
        assert_eq!(headers[header::CACHE_CONTROL], "public, max-age=300");
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!(bytes, include_str!("../openapi.json"));
    }

    #[tokio::test]
    async fn a_link_that_is_none_gets_a_page() {
        let (status, _, _) = ask("GET", "/confirm?token=x", None).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn an_aws_that_does_not_answer_is_no_secret_and_no_detail() {
        tokio::time::pause();
        let body = json!({ "email": "ada@example.com", "name": "Ada" }).to_string();
        let (status, problem, _) = ask("POST", "/signup", Some(&body)).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(!problem.to_string().contains("127.0.0.1"), "{problem}");
    }

    #[test]
    fn a_start_without_settings_names_them() {
        let error = Settings::read(Variables::from_fn(|_| None))
            .err()
            .unwrap()
            .to_string();
        for name in [
            "AWS_REGION",
            "MUSTER_TABLE",
            "MUSTER_MAIL_QUEUE_URL",
            "MUSTER_IMPORT_MAX_FILE_BYTES",
        ] {
            assert!(error.contains(name), "{error}");
        }
        let mut variables = Variables::from_fn(|_| None);
        AwsSettings::read(&mut variables);
        assert!(variables.finish().is_err());
    }
}
