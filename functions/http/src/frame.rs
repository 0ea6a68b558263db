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
    let response = answer.unwrap_or_else(|_| {
        tracing::error!("a request made its handler panic");
        Problem::internal().into_response()
    });
    let problem = response.extensions().get::<Problem>();
    match (problem, id) {
        (Some(problem), Some(id)) if response.status().is_server_error() => {
            problem.clone().of_request(id).into_response()
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
