//! What is around the routes of every function.

use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::Method;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use crate::caller::request_id;
use crate::gateway::as_it_came;
use crate::problem::{Kind, Problem};

/// Routes that answer also what they do not have, and what goes wrong with them.
pub fn framed<S>(routes: Router<S>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    routes
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        // The body is in memory already, and how long it may be is said where
        // it is read: as a problem, like everything else.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(as_it_came))
        .layer(from_fn(own_up))
}

/// Whatever goes wrong on our side is answered as a problem, with the name of
/// the request: also a panic.
async fn own_up(request: Request, next: Next) -> Response {
    let id = request_id(request.extensions());
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answer.unwrap_or_else(|_| {
        tracing::error!("a request made its handler panic");
        Problem::internal().into_response()
    });
    let problem = response.extensions_mut().remove::<Problem>();
    match (problem, id) {
        (Some(problem), Some(id)) if response.status().is_server_error() => {
            problem.of_request(id).into_response()
        }
        _ => response,
    }
}

async fn not_found() -> Problem {
    Problem::new(Kind::NotFound, "there is nothing at this address")
}

async fn method_not_allowed(method: Method) -> Problem {
    Problem::new(
        Kind::MethodNotAllowed,
        format!("{method} cannot be done here; the Allow header says what can"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::{StatusCode, header};
    use axum::routing::get;
    use lambda_http::request::RequestContext;
    use lambda_http::tower::ServiceExt;
    use serde_json::{Value, json};

    /// What a route that answers with this problem answers.
    async fn answer(problem: Problem) -> (Response, Value) {
        let context = json!({ "timeEpoch": 0, "requestId": "cTTw", "http": { "method": "GET" } });
        let context = RequestContext::ApiGatewayV2(serde_json::from_value(context).unwrap());
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(context);
        let routes = Router::new().route("/", get(async || problem));
        let response = framed(routes).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&body).unwrap();
        (Response::from_parts(parts, Body::empty()), body)
    }

    #[tokio::test]
    async fn who_names_the_request_keeps_all_else_of_a_problem() {
        let problem = Problem::new(Kind::BadGateway, "crm did not answer")
            .with("sources", json!({ "crm": { "status": "timeout" } }))
            .with("merged", json!({}));
        let (response, body) = answer(problem).await;
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(response.headers().get(header::RETRY_AFTER), None);
        let expected = json!({
            "type": "urn:muster:problem:source-failed",
            "title": "A source failed",
            "status": 502,
            "detail": "crm did not answer",
            "request_id": "cTTw",
            "sources": { "crm": { "status": "timeout" } },
            "merged": {},
        });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn when_to_try_again_is_kept_too() {
        let (response, body) = answer(Problem::new(Kind::Unavailable, "later")).await;
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        assert_eq!(body["request_id"], "cTTw");
    }

    #[tokio::test]
    async fn what_is_the_callers_to_mend_has_no_name_of_a_request() {
        let (_, body) = answer(Problem::new(Kind::NotFound, "none")).await;
        assert_eq!(body.get("request_id"), None);
    }
}
