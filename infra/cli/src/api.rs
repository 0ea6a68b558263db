//! The API, asked as an operator.
//!
//! A gateway or a Lambda function that has no room answers 429, 500 or 503, the last two
//! without a word of Muster's. Such a request is sent again if that is safe:
//!
//! | request | sent again after |
//! | --- | --- |
//! | every `GET` | 429, 5xx |
//! | `POST /imports` with its `Idempotency-Key` | 429, 5xx, no answer |
//! | start, cancel, resume of an import: done is done | 429, 5xx |
//! | resume of named chunks, redrive, purge: a second answer would say that they are not there | 429, which the gateway gives before anything is done |

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode, Url};
use serde_json::Value;
use tokio::time::sleep;

use crate::arguments::Access;
use crate::client_credentials::ClientCredentials;
use crate::http;
use crate::token_cache::{Token, TokenCache, default_directory};
use crate::trouble::{OrTrouble, Trouble};

/// The most that the API lists at once.
const PAGE: usize = 100;
/// How often a request is sent at most. At a pace of a second, its answer comes within
/// seven seconds more.
const TRIES: u32 = 4;
/// Every scope that the client has.
const SCOPES: &str = "";

/// The API of one deployment.
pub struct Api {
    http: reqwest::Client,
    address: Url,
    token: Option<String>,
    client: Option<(ClientCredentials, TokenCache)>,
    /// The first pause before a request is sent again.
    pace: Duration,
}

/// When a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Whenever there was no room for it: a second time changes nothing.
    Safe,
    /// Only if it cannot have been begun.
    Unbegun,
    /// Not here: the caller does so.
    Never,
}

impl Repeat {
    fn after(self, status: StatusCode) -> bool {
        match self {
            Self::Safe => no_room(status),
            Self::Unbegun => status == StatusCode::TOO_MANY_REQUESTS,
            Self::Never => false,
        }
    }
}

/// Whether it may be over in a moment.
fn no_room(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

impl Api {
    /// The API that the arguments name.
    ///
    /// # Errors
    /// When they do not name it, or nobody to ask it as.
    pub fn new(access: Access, pace: Duration) -> Result<Self, Trouble> {
        let url = access
            .api_url
            .filter(|url| !url.is_empty())
            .ok_or_else(|| {
                Trouble::new(
                    "nobody says where the API is",
                    "Set MUSTER_API_URL, or give --api-url. On the local stack: \
                 set -a; . .local/env; set +a",
                )
            })?;
        let address = Url::parse(&url)
            .ok()
            .filter(|address| ["http", "https"].contains(&address.scheme()))
            .ok_or_else(|| {
                Trouble::new(
                    format!("MUSTER_API_URL is no address: {url}"),
                    "It looks like https://abc.execute-api.eu-central-1.amazonaws.com",
                )
            })?;
        let token = access.token.filter(|token| !token.is_empty());
        let directory = match access.token_cache {
            None => default_directory(),
            Some(directory) => {
                Some(directory.into()).filter(|path: &PathBuf| !path.as_os_str().is_empty())
            }
        };
        let client = match (access.token_url, access.client_id, access.client_secret) {
            (Some(token_url), Some(id), Some(secret)) => {
                let credentials = ClientCredentials {
                    token_url,
                    id,
                    secret,
                };
                let cache = TokenCache::new(directory.as_deref(), &credentials, SCOPES);
                Some((credentials, cache))
            }
            _ => None,
        };
        if token.is_none() && client.is_none() {
            return Err(Trouble::new(
                "there is no token, and no client to get one with",
                "Set MUSTER_TOKEN; or MUSTER_TOKEN_URL, MUSTER_CLIENT_ID and \
                 MUSTER_CLIENT_SECRET, all three.",
            ));
        }
        Ok(Self {
            http: http::client(&url)?,
            address,
            token,
            client,
            pace,
        })
    }

    /// Reads what is at a path.
    ///
    /// # Errors
    /// What the API says, or why it says nothing.
    pub async fn get(&mut self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Trouble> {
        let request = self.http.get(self.url(path, query));
        self.ask(path, request, Repeat::Safe).await
    }

    /// The same once, for a caller that tries again by itself.
    ///
    /// # Errors
    /// What the API says, or why it says nothing.
    pub async fn get_once(&mut self, path: &[&str]) -> Result<Value, Trouble> {
        let request = self.http.get(self.url(path, &[]));
        self.ask(path, request, Repeat::Never).await
    }

    /// Reads a list page by page, so many items at the most if that is said; answers
    /// with them, and with the cursor of what is left.
    ///
    /// # Errors
    /// What the API says, or why it says nothing.
    pub async fn list(
        &mut self,
        path: &[&str],
        most: Option<usize>,
    ) -> Result<(Vec<Value>, Value), Trouble> {
        let (mut items, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let wanted = most.map(|most| (most - items.len()).min(PAGE).to_string());
            let mut query: Vec<_> = wanted
                .iter()
                .map(|limit| ("limit", limit.as_str()))
                .collect();
            query.extend(cursor.as_str().map(|cursor| ("cursor", cursor)));
            let mut page = self.get(path, &query).await?;
            if let Value::Array(more) = page["items"].take() {
                items.extend(more);
            }
            cursor = page["next_cursor"].take();
            if cursor.is_null() || most.is_some_and(|most| items.len() >= most) {
                return Ok((items, cursor));
            }
        }
    }

    /// Has something done.
    ///
    /// # Errors
    /// What the API says, or why it says nothing.
    pub async fn post(
        &mut self,
        path: &[&str],
        body: Option<&Value>,
        repeat: Repeat,
    ) -> Result<Value, Trouble> {
        let mut request = self.http.post(self.url(path, &[]));
        if let Some(body) = body {
            request = request.json(body);
        }
        self.ask(path, request, repeat).await
    }

    /// Has something made. With the same key the caller may ask again, and it is made
    /// once.
    ///
    /// # Errors
    /// What the API says, or why it says nothing.
    pub async fn create(
        &mut self,
        path: &[&str],
        body: &Value,
        key: &str,
    ) -> Result<Value, Trouble> {
        let request = self.http.post(self.url(path, &[])).json(body);
        let request = request.header("Idempotency-Key", key);
        self.ask(path, request, Repeat::Never).await
    }

    /// An address below the API's, whatever is in its parts.
    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.address.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    async fn ask(
        &mut self,
        path: &[&str],
        mut request: RequestBuilder,
        repeat: Repeat,
    ) -> Result<Value, Trouble> {
        let mut tries = 1;
        loop {
            let again = request.try_clone();
            let (status, answer) = self.send(request).await?;
            if status.is_success() {
                return Ok(answer);
            }
            request = match again {
                Some(again) if tries < TRIES && repeat.after(status) => again,
                _ => return Err(refusal(status, &answer, path)),
            };
            sleep(self.pace * (1 << (tries - 1))).await;
            tries += 1;
        }
    }

    /// Sends a request with a token. One that is refused for its token was not done; it
    /// is sent again until a fresh token is refused, too.
    async fn send(&mut self, mut request: RequestBuilder) -> Result<(StatusCode, Value), Trouble> {
        loop {
            let again = request.try_clone();
            let token = self.token().await?;
            let answer = send(request, &token.text).await?;
            request = match (again, &self.client) {
                (Some(again), Some((_, cache)))
                    if answer.0 == StatusCode::UNAUTHORIZED && !token.fresh =>
                {
                    cache.forget(&token.text);
                    again
                }
                _ => return Ok(answer),
            };
            self.token = None;
        }
    }

    /// The token in use, or one that the client gets.
    async fn token(&mut self) -> Result<Token, Trouble> {
        match (&self.token, &self.client) {
            (Some(token), _) => Ok(Token::known(token.clone())),
            (None, Some((credentials, cache))) => {
                let token = cache.token(credentials, SCOPES).await?;
                self.token = Some(token.text.clone());
                Ok(token)
            }
            (None, None) => Err(Trouble::new("there is no client", "Set MUSTER_CLIENT_ID.")),
        }
    }
}

async fn send(request: RequestBuilder, token: &str) -> Result<(StatusCode, Value), Trouble> {
    let answer = async {
        let response = request.bearer_auth(token).send().await?;
        Ok::<_, reqwest::Error>((response.status(), response.bytes().await?))
    };
    let answer = answer.await.or_trouble(
        "the API does not answer",
        "Check MUSTER_API_URL and the network. On the local stack: make up. If something was to \
         be done, it may have been done.",
    );
    let (status, bytes) = answer.map_err(Trouble::passing)?;
    match serde_json::from_slice(&bytes) {
        Ok(answer) => Ok((status, answer)),
        Err(_) if !status.is_success() => Ok((status, Value::Null)),
        Err(error) => Err(Trouble::new(
            format!("the answer cannot be read: {error}"),
            "Check that MUSTER_API_URL is the address of Muster's API.",
        )),
    }
}

/// What the API refused and why: a problem of its own (RFC 9457), or a message of
/// the gateway's.
fn refusal(status: StatusCode, answer: &Value, path: &[&str]) -> Trouble {
    let text = |name: &str| answer[name].as_str();
    let said = text("detail").or(text("message")).unwrap_or("nothing more");
    let mut what = format!("the API says {status}: {said}");
    for error in answer["errors"].as_array().into_iter().flatten() {
        let place = ["pointer", "parameter"]
            .iter()
            .find_map(|kind| error[kind].as_str());
        let detail = error["detail"].as_str().unwrap_or_default();
        what.push_str(&format!("\n  {}: {detail}", place.unwrap_or("?")));
    }
    if let Some(id) = text("request_id") {
        what.push_str(&format!("\n  request {id}"));
    }
    // What Muster itself says names the request.
    let remedy = match status == StatusCode::INTERNAL_SERVER_ERROR && text("request_id").is_none() {
        true => NO_ROOM,
        false => remedy(status, path),
    };
    let trouble = Trouble::new(what, remedy);
    match no_room(status) {
        true => trouble.passing(),
        false => trouble,
    }
}

/// What to do when the gateway says no more than that something went wrong.
const NO_ROOM: &str = "Try again in a moment: the function may be throttled, as the account \
                       allows only so many at once. If it stays, look at the function's log.";

fn remedy(status: StatusCode, path: &[&str]) -> &'static str {
    match status.as_u16() {
        401 => {
            "The token has expired or is none of this API's. Get another one, or set \
             MUSTER_TOKEN_URL, MUSTER_CLIENT_ID and MUSTER_CLIENT_SECRET."
        }
        403 => {
            "The token lacks the scope: operations/read to look at queues, operations/write to \
             redrive and purge, profiles/read for mails, imports/read to look at imports, \
             imports/write to make and steer them."
        }
        404 => match path.first() {
            Some(&"profiles") => "Give the id of a profile, or its e-mail address.",
            Some(&"imports") => "Look it up: muster imports list, muster imports show.",
            _ => "Look it up: muster queues, muster dead-letters list.",
        },
        409 => "Look where it is: muster imports show.",
        429 | 503 => "Try again in a moment.",
        500.. => "Look for the request in the function's log.",
        _ => "muster --help says what can be asked.",
    }
}
