//! The API, asked as an operator.

use reqwest::{RequestBuilder, StatusCode, Url};
use serde_json::Value;

use crate::arguments::Access;
use crate::http;
use crate::machine::Machine;
use crate::trouble::{OrTrouble, Trouble};

/// The most that the API lists at once.
const PAGE: usize = 100;

/// The API of one deployment.
pub struct Api {
    http: reqwest::Client,
    address: Url,
    token: Option<String>,
    machine: Option<Machine>,
}

impl Api {
    /// The API that the arguments name.
    ///
    /// # Errors
    /// When they do not name it, or nobody to ask it as.
    pub fn new(access: Access) -> Result<Self, Trouble> {
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
        let machine = match (access.token_url, access.client_id, access.client_secret) {
            (Some(token_url), Some(id), Some(secret)) => Some(Machine {
                token_url,
                id,
                secret,
            }),
            _ => None,
        };
        if token.is_none() && machine.is_none() {
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
            machine,
        })
    }

    /// Reads what is at a path.
    ///
    /// # Errors
    /// What the API says, or why it says nothing.
    pub async fn get(&mut self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Trouble> {
        let request = self.http.get(self.url(path, query));
        self.ask(path, request).await
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
    pub async fn post(&mut self, path: &[&str], body: Option<&Value>) -> Result<Value, Trouble> {
        let mut request = self.http.post(self.url(path, &[]));
        if let Some(body) = body {
            request = request.json(body);
        }
        self.ask(path, request).await
    }

    /// Has something made. With the same key it may be asked for again, and is made
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
        self.ask(path, request.header("Idempotency-Key", key)).await
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

    async fn ask(&mut self, path: &[&str], request: RequestBuilder) -> Result<Value, Trouble> {
        let again = request.try_clone();
        let token = match self.token.clone() {
            Some(token) => token,
            None => self.fresh_token().await?,
        };
        let (mut status, mut answer) = send(request, &token).await?;
        // What was refused for its token was not done. Tokens do not last.
        if status == StatusCode::UNAUTHORIZED
            && self.machine.is_some()
            && let Some(request) = again
        {
            let token = self.fresh_token().await?;
            (status, answer) = send(request, &token).await?;
        }
        if status.is_success() {
            Ok(answer)
        } else {
            Err(refusal(status, &answer, path))
        }
    }

    async fn fresh_token(&mut self) -> Result<String, Trouble> {
        let Some(machine) = &self.machine else {
            return Err(Trouble::new("there is no client", "Set MUSTER_CLIENT_ID."));
        };
        let token = machine.token("").await?;
        self.token = Some(token.clone());
        Ok(token)
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
    let trouble = Trouble::new(what, remedy(status, path));
    match status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        true => trouble.passing(),
        false => trouble,
    }
}

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
