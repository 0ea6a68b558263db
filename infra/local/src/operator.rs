//! A token for the operators' routes, from the template's own user pool.

use serde_json::{Value, json};

use crate::deployment::Outputs;
use crate::place::{Place, REGION};
use crate::trouble::{OrTrouble, Trouble};

/// The client for machines, and where it gets its tokens.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Where tokens are.
    pub token_url: String,
    /// The client's id.
    pub id: String,
    /// The client's secret.
    pub secret: String,
}

impl Machine {
    /// Asks the pool for the secret of the template's machine client.
    ///
    /// # Errors
    /// When the pool does not tell.
    pub async fn find(place: &Place, outputs: &Outputs) -> Result<Self, Trouble> {
        let id = outputs.get("MachineClientId")?.to_owned();
        let question = json!({ "UserPoolId": outputs.get("UserPoolId")?, "ClientId": id });
        let answer: Value = async {
            reqwest::Client::new()
                .post(place.endpoint())
                .header("X-Amz-Target", "AWSCognitoIdentityProviderService.DescribeUserPoolClient")
                .header("Content-Type", "application/x-amz-json-1.1")
                // Emulators check no signature, but route by its scope.
                .header(
                    "Authorization",
                    format!(
                        "AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/cognito-idp/aws4_request, \
                         SignedHeaders=host, Signature=none"
                    ),
                )
                .body(question.to_string())
                .send()
                .await?
                .json()
                .await
        }
        .await
        .or_trouble("the user pool does not answer", "make down, then try again.")?;
        let secret = answer["UserPoolClient"]["ClientSecret"]
            .as_str()
            .ok_or_else(|| {
                Trouble::new(
                    format!("the user pool tells no client secret: {answer}"),
                    "make down, then try again.",
                )
            })?;
        Ok(Self {
            token_url: format!("{}/oauth2/token", place.endpoint()),
            id,
            secret: secret.to_owned(),
        })
    }

    /// A fresh token with these scopes; with every scope if none is named.
    ///
    /// # Errors
    /// When the token endpoint refuses.
    pub async fn token(&self, scopes: &str) -> Result<String, Trouble> {
        let mut form = vec![("grant_type", "client_credentials")];
        if !scopes.is_empty() {
            form.push(("scope", scopes));
        }
        let answer: Value = async {
            reqwest::Client::new()
                .post(&self.token_url)
                .basic_auth(&self.id, Some(&self.secret))
                .form(&form)
                .send()
                .await?
                .json()
                .await
        }
        .await
        .or_trouble(
            "the token endpoint does not answer",
            "make up, then try again.",
        )?;
        answer["access_token"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| {
                Trouble::new(
                    format!("the token endpoint gives no token: {answer}"),
                    "make down, then make up.",
                )
            })
    }
}
