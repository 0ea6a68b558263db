//! A token by client credentials (RFC 6749 section 4.4).

use std::time::Duration;

use serde_json::Value;

use crate::http;
use crate::trouble::{OrTrouble, Trouble};

/// What to do when no token is to be had.
const REMEDY: &str = "Check MUSTER_TOKEN_URL, MUSTER_CLIENT_ID and MUSTER_CLIENT_SECRET. On the \
                      local stack, make up writes them anew.";

/// The machine client, and the endpoint that gives it tokens.
#[derive(Clone)]
pub struct ClientCredentials {
    /// The token endpoint.
    pub token_url: String,
    /// The client's id.
    pub id: String,
    /// The client's secret.
    pub secret: String,
}

/// A fresh token. It is a secret, so it has no `Debug`.
pub struct Grant {
    /// The token.
    pub access_token: String,
    /// How long it lasts, if the endpoint says so.
    pub lifetime: Option<Duration>,
}

impl ClientCredentials {
    /// A fresh token with these scopes; with every scope if none is named.
    ///
    /// # Errors
    /// When the token endpoint refuses.
    pub async fn token(&self, scopes: &str) -> Result<String, Trouble> {
        self.grant(scopes).await.map(|grant| grant.access_token)
    }

    /// The same, with what the endpoint says about it.
    ///
    /// # Errors
    /// When the token endpoint refuses.
    pub async fn grant(&self, scopes: &str) -> Result<Grant, Trouble> {
        let mut form = vec![("grant_type", "client_credentials")];
        if !scopes.is_empty() {
            form.push(("scope", scopes));
        }
        let request = http::client(&self.token_url)?
            .post(&self.token_url)
            .basic_auth(&self.id, Some(&self.secret))
            .form(&form);
        let answer: Value = async { request.send().await?.json().await }
            .await
            .or_trouble("the token endpoint does not answer", REMEDY)
            .map_err(Trouble::passing)?;
        let token = answer["access_token"].as_str().ok_or_else(|| {
            let what = format!("the token endpoint gives no token: {answer}");
            Trouble::new(what, REMEDY)
        })?;
        Ok(Grant {
            access_token: token.to_owned(),
            lifetime: answer["expires_in"].as_u64().map(Duration::from_secs),
        })
    }
}
