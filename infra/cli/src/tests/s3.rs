//! An S3 that does what each test wants it to, and remembers what it was sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::respond;

/// What S3 was asked.
pub(super) struct Got {
    /// `POST /path?query`
    pub asked: String,
    pub headers: HeaderMap,
    /// The parts of a form in their order: name, and what it holds.
    pub parts: Vec<(String, Vec<u8>)>,
}

#[derive(Default)]
struct Script {
    got: Vec<Got>,
    answers: VecDeque<(u16, String)>,
}

/// An S3 on a port of its own.
pub(super) struct S3 {
    url: String,
    script: Arc<Mutex<Script>>,
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let asked = format!("{} {}", request.method(), request.uri());
    let headers = request.headers().clone();
    let mut parts = Vec::new();
    if let Ok(mut form) = Multipart::from_request(request, &()).await {
        while let Some(field) = form.next_field().await.unwrap() {
            let name = field.name().unwrap().to_owned();
            parts.push((name, field.bytes().await.unwrap().to_vec()));
        }
    }
    let (status, body) = {
        let mut script = script.lock().unwrap();
        let got = Got {
            asked,
            headers,
            parts,
        };
        script.got.push(got);
        script.answers.pop_front().expect("an answer")
    };
    respond(status, body).await
}

impl S3 {
    pub(super) async fn that_says(answers: impl IntoIterator<Item = (u16, &str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = answers.into_iter();
        let script = Arc::new(Mutex::new(Script {
            answers: answers
                .map(|(status, body)| (status, body.to_owned()))
                .collect(),
            ..Script::default()
        }));
        let router = Router::new().fallback(answer);
        let router = router.layer(DefaultBodyLimit::disable());
        let router = router.with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, script }
    }

    /// Where an import's file goes, as the API says it.
    pub(super) fn destination(&self) -> Value {
        json!({
            "url": format!("{}/bucket", self.url),
            "fields": { "policy": "eyJ9==", "key": "uploads/_/i.csv", "x-amz-signature": "s" },
            "max_bytes": 1_000_000,
            "expires_at": "2026-11-24T09:00:00.000Z",
        })
    }

    /// Where a report is, as the API says it.
    pub(super) fn report(&self) -> Value {
        json!({
            "url": format!("{}/bucket/reports/i/errors.csv?X-Amz-Signature=secret", self.url),
            "expires_at": "2026-11-24T09:00:00.000Z",
        })
    }

    pub(super) fn got(&self) -> Vec<Got> {
        std::mem::take(&mut self.script.lock().unwrap().got)
    }

    /// Returns once it was asked something.
    pub(super) async fn is_asked(&self) {
        while self.script.lock().unwrap().got.is_empty() {
            tokio::task::yield_now().await;
        }
    }
}
