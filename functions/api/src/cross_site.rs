//! Forms of other sites: refused. Else a page that people open for another reason could
//! have their browsers ask for mails, each from an address of its own.
//!
//! Browsers say where a form is from: all of today in `Sec-Fetch-Site`, older ones in
//! `Origin`. What says neither is no such browser, and is let through. JSON needs no
//! guard: a browser asks first whether another site may send it, and is told nothing.

use std::sync::Arc;

use crate::problems::of_another_site;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use muster_http::body::{JSON, is};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Where the pages are.
#[derive(Debug, Clone)]
pub struct Site {
    /// Host and port of the public address, if the deployment has one of its own.
    /// Otherwise it is the one that a request names.
    pub public: Option<Authority>,
}

impl Site {
    fn is_elsewhere(&self, headers: &HeaderMap) -> bool {
        match (headers.get(SEC_FETCH_SITE), headers.get(header::ORIGIN)) {
            // None: by the person's own hand, as by reloading the page.
            (Some(site), _) => site != "same-origin" && site != "none",
            (None, Some(origin)) => !self.is_here(origin, headers),
            (None, None) => false,
        }
    }

    fn is_here(&self, origin: &HeaderValue, headers: &HeaderMap) -> bool {
        let Some((_, origin)) = origin.to_str().ok().and_then(|text| text.split_once("://")) else {
            return false;
        };
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let public = self.public.as_ref().map(Authority::as_str);
        let mut here = [host, public].into_iter().flatten();
        here.any(|here| here.eq_ignore_ascii_case(origin))
    }
}

/// Refuses what a page of another site sends.
pub(crate) async fn refuse_forms_of_others(
    State(site): State<Arc<Site>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let is_form = request.method() == Method::POST && !is(JSON, headers);
    if is_form && site.is_elsewhere(headers) {
        return of_another_site().into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_elsewhere(headers: &[(&'static str, &'static str)]) -> bool {
        let site = Site {
            public: Some(Authority::from_static("profiles.example.com")),
        };
        let headers = headers.iter().map(|(name, value)| {
            let value = HeaderValue::from_static(value);
            (HeaderName::from_static(name), value)
        });
        site.is_elsewhere(&headers.collect())
    }

    #[test]
    fn a_browser_says_where_a_form_is_from() {
        for (site, elsewhere) in [
            ("same-origin", false),
            ("none", false),
            ("same-site", true),
            ("cross-site", true),
            ("", true),
        ] {
            assert_eq!(
                is_elsewhere(&[("sec-fetch-site", site)]),
                elsewhere,
                "{site}"
            );
            // It is the browser's last word.
            let both = [("sec-fetch-site", site), ("origin", "null")];
            assert_eq!(is_elsewhere(&both), elsewhere, "{site}");
        }
    }

    #[test]
    fn an_older_one_says_of_which_origin() {
        let host = ("host", "api.example.com:8443");
        for (origin, elsewhere) in [
            ("https://api.example.com:8443", false),
            ("https://profiles.example.com", false),
            ("https://Profiles.Example.com", false),
            ("https://api.example.com", true),
            ("https://evil.example", true),
            ("https://profiles.example.com.evil.example", true),
            ("null", true),
            ("", true),
        ] {
            assert_eq!(
                is_elsewhere(&[host, ("origin", origin)]),
                elsewhere,
                "{origin}"
            );
        }
        assert!(!is_elsewhere(&[host]));
        assert!(!is_elsewhere(&[]));
    }
}
