//! A hook for a captcha: whoever signs up shows a token, and a verifier says
//! what it is worth.
//!
//! reCAPTCHA, hCaptcha, Turnstile and those who imitate them share one
//! protocol: a form with `secret`, `response` and `remoteip` is posted to their
//! `siteverify` address, and JSON with a `success` comes back. Which of them it
//! is, is a parameter of the deployment; without one, no token is asked for.
//!
//! The secret is one of Secrets Manager. If the verifier does not know it, it may have
//! been changed, and is read again.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use muster_core::people::validation::Violation;
use muster_core::platform::aws::POOL_IDLE_TIMEOUT;
use muster_core::platform::failure::Failure;
use muster_http::problem::{FieldError, Kind, Problem};
use muster_http::secrets::{AGE_IN_DOUBT, KeptSecret, USUAL_AGE};
use muster_http::tls;
use serde::Deserialize;

use crate::confirmation::form::FORM;

/// The longest token: Turnstile's are the longest, with 2,048 characters.
pub(crate) const MAX_TOKEN_BYTES: usize = 4096;
/// How long the verifier may think.
const TIMEOUT: Duration = Duration::from_secs(4);
/// More than any verifier has to say.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Which verifier.
#[derive(Clone)]
pub struct CaptchaSettings {
    /// `MUSTER_CAPTCHA_URL`: its `siteverify` address.
    pub url: Uri,
    /// `MUSTER_CAPTCHA_SECRET_NAME`: the name, in Secrets Manager, of what it knows the
    /// site by.
    pub secret_name: String,
}

/// A verifier.
pub struct Captcha {
    url: Uri,
    secret: KeptSecret,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

#[derive(Deserialize)]
struct Verdict {
    success: bool,
    #[serde(default, rename = "error-codes")]
    errors: Vec<String>,
}

/// No verdict is to be had.
#[derive(Debug, thiserror::Error)]
enum NoVerdict {
    #[error("the verifier takes longer than {TIMEOUT:?}")]
    TooSlow(#[from] tokio::time::error::Elapsed),
    #[error("the request cannot be made: {0}")]
    Request(#[from] axum::http::Error),
    #[error("the verifier cannot be reached: {0}")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("the verifier's answer breaks off: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error("the verifier answers with status {0}")]
    Status(u16),
    #[error("the verifier's answer is no verdict: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("{0}")]
    Secret(#[from] Failure),
    #[error("the verifier does not know the secret")]
    UnknownSecret,
}

/// A token, as somebody typed it: or rather, as a widget did.
///
/// # Errors
/// `captcha_failed` for what can be no token.
pub(crate) fn token(text: &str) -> Result<String, Violation> {
    if text.is_empty() || text.len() > MAX_TOKEN_BYTES {
        return Err(failed());
    }
    Ok(text.to_owned())
}

impl Captcha {
    /// A verifier that is asked over TLS with built-in roots.
    ///
    /// # Errors
    /// None that the settings can cause.
    pub fn new(url: Uri, secret: KeptSecret) -> Result<Self, rustls::Error> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client_config()?)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            url,
            secret,
            client: Client::builder(TokioExecutor::new())
                .pool_idle_timeout(POOL_IDLE_TIMEOUT)
                .pool_timer(TokioTimer::new())
                .build(connector),
        })
    }

    /// Has a token verified.
    ///
    /// # Errors
    /// 422 for a missing or worthless one, 503 if there is no verdict: an
    /// attacker who can silence the verifier is not to be let in.
    pub async fn verify(&self, token: Option<&str>, from: Option<IpAddr>) -> Result<(), Problem> {
        let refused = |violation| Problem::invalid(vec![FieldError::at("/captcha", violation)]);
        let Some(token) = token else {
            let violation = Violation::new("missing", "this field is required");
            return Err(refused(violation));
        };
        match self.verdict(token, from).await {
            Ok(verdict) if verdict.success => Ok(()),
            Ok(_) => Err(refused(failed())),
            Err(error) => {
                tracing::error!(%error, metric = "captcha_unavailable", "no captcha can be verified");
                Err(Problem::new(
                    Kind::Unavailable,
                    "the captcha cannot be verified right now; try again",
                ))
            }
        }
    }

    async fn verdict(&self, token: &str, from: Option<IpAddr>) -> Result<Verdict, NoVerdict> {
        let secret = self.secret.text(USUAL_AGE).await?;
        let verdict = self.verdict_with(&secret, token, from).await?;
        if verdict.knows_secret() {
            return Ok(verdict);
        }
        let newer = self.secret.text(AGE_IN_DOUBT).await?;
        if newer == secret {
            return Err(NoVerdict::UnknownSecret);
        }
        let verdict = self.verdict_with(&newer, token, from).await?;
        if verdict.knows_secret() {
            return Ok(verdict);
        }
        Err(NoVerdict::UnknownSecret)
    }

    async fn verdict_with(
        &self,
        secret: &str,
        token: &str,
        from: Option<IpAddr>,
    ) -> Result<Verdict, NoVerdict> {
        let request = Request::post(&self.url)
            .header(header::CONTENT_TYPE, FORM)
            .body(Full::from(form(secret, token, from)))?;
        tokio::time::timeout(TIMEOUT, self.ask(request)).await?
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Verdict, NoVerdict> {
        let response = self.client.request(request).await?;
        let status = response.status();
        if !status.is_success() {
            return Err(NoVerdict::Status(status.as_u16()));
        }
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
        let bytes = body.collect().await.map_err(NoVerdict::Body)?.to_bytes();
        Ok(serde_json::from_slice(&bytes)?)
    }
}

impl Verdict {
    /// As all verifiers say it, and hCaptcha as well of a secret that is another site's.
    fn knows_secret(&self) -> bool {
        let mut errors = self.errors.iter();
        !errors.any(|code| {
            ["invalid-input-secret", "sitekey-secret-mismatch"].contains(&code.as_str())
        })
    }
}

fn form(secret: &str, token: &str, from: Option<IpAddr>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("secret", secret)
        .append_pair("response", token);
    if let Some(from) = from {
        form.append_pair("remoteip", &from.to_string());
    }
    form.finish()
}

fn failed() -> Violation {
    Violation::new(
        "captcha_failed",
        "the captcha was not solved; show a new one",
    )
}
