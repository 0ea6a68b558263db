//! What the gateway hands over, read in one way only.
//!
//! The gateway picks the route, and with it the scope that a token needs, by
//! the path as it came. `lambda_http` makes a URL of it, as a browser would:
//! `/imports/..\profiles` becomes `/profiles`, a client's `X-Forwarded-Proto`
//! may bring a path of its own, and what no URL can hold makes it panic.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use lambda_http::request::LambdaRequest;
use lambda_http::{LambdaEvent, RequestExt};

use crate::problem::{Kind, Problem};

/// The headers that would become part of the URL; nobody asks for them here.
const OF_URL: [&str; 2] = ["host", "x-forwarded-proto"];

/// The event, with nothing in it that `lambda_http` cannot make a URL of.
pub fn readable(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    if let LambdaRequest::ApiGatewayV2(request) = &mut event.payload {
        for name in OF_URL {
            request.headers.remove(name);
        }
        let query = request.raw_query_string.take();
        request.raw_query_string = query.map(|query| escaped(&query));
    }
    event
}

/// With `%XX` for what a query cannot hold (RFC 3986 section 3.4): the gateway
/// passes it on as it came.
fn escaped(query: &str) -> String {
    let escape = |byte: u8| {
        if byte.is_ascii_graphic() && !b"\"#<>".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    query.bytes().map(escape).collect()
}

/// A path that reads otherwise than it came is the address of nothing.
pub async fn as_it_came(request: Request, next: Next) -> Response {
    let path = request.raw_http_path();
    // Without a gateway there is no such path.
    if path.is_empty() || path == request.uri().path() {
        return next.run(request).await;
    }
    Problem::new(Kind::NotFound, "there is nothing at this address").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::extract::RawQuery;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use lambda_http::tower::ServiceExt;
    use lambda_http::{Adapter, Context};
    use serde_json::{Value, json};

    /// What the function answers to an event: status and body.
    async fn answer(path: &str, query: &str, headers: Value) -> (u64, String) {
        let event = json!({
            "version": "2.0",
            "routeKey": "GET /imports/{id}",
            "rawPath": path,
            "rawQueryString": query,
            "headers": headers,
            "requestContext": {
                "domainName": "api.example.com",
                "stage": "$default",
                "timeEpoch": 0,
                "http": { "method": "GET", "path": path },
            },
            "isBase64Encoded": false,
        });
        let event = LambdaEvent::new(serde_json::from_value(event).unwrap(), Context::default());
        let api = Router::new()
            .route(
                "/imports",
                get(async |RawQuery(query)| query.unwrap_or_default()),
            )
            .route("/profiles", get(async || "people"))
            .layer(from_fn(as_it_came));
        let service = Adapter::from(api).map_request(readable);
        let response = serde_json::to_value(service.oneshot(event).await.unwrap()).unwrap();
        let body = response["body"].as_str().unwrap_or_default();
        (response["statusCode"].as_u64().unwrap(), body.to_owned())
    }

    #[tokio::test]
    async fn a_path_leads_to_what_the_gateway_saw_and_nowhere_else() {
        assert_eq!(answer("/profiles", "", json!({})).await.0, 200);
        for path in [
            "/imports/..\\profiles",
            "/imports\\..\\profiles",
            "/imports/../profiles",
            "/imports/%2e%2e/profiles",
            "/x/..\\..\\profiles",
            "/./profiles",
            "/pro\nfiles",
            "/profiles?x",
            "/profiles#x",
        ] {
            let (status, body) = answer(path, "", json!({})).await;
            assert_eq!(status, 404, "{path}: {body}");
        }
    }

    #[tokio::test]
    async fn a_header_is_no_part_of_the_address() {
        for proto in [
            "https://x/profiles?",
            "https://x/profiles#",
            "http",
            ":",
            "",
        ] {
            let headers = json!({ "x-forwarded-proto": proto, "host": "x/profiles?" });
            let answer = answer("/imports", "", headers).await;
            assert_eq!(answer, (200, String::new()), "{proto}");
        }
    }

    #[tokio::test]
    async fn a_query_may_hold_anything() {
        for (query, read) in [
            ("a=1&b=%20+/?", "a=1&b=%20+/?"),
            ("<script>\"#", "%3Cscript%3E%22%23"),
            ("\u{e9} \0", "%C3%A9%20%00"),
        ] {
            let answer = answer("/imports", query, json!({})).await;
            assert_eq!(answer, (200, read.to_owned()));
        }
    }
}
