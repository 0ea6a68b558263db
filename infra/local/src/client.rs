//! The API and the inbox of a running stack, for the demo and the system tests.

use muster_cli::http;
use muster_cli::trouble::{OrTrouble, Trouble};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::Value;

use crate::environment::Environment;

/// A client of one stack.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    api: String,
    endpoint: String,
}

/// A mail that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Mail {
    /// The id SES gave it.
    pub message_id: String,
    /// Who it went to.
    pub to: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// The part without HTML.
    #[serde(default)]
    pub body_text: String,
    /// The part with it.
    #[serde(default)]
    pub body_html: String,
}

impl Mail {
    /// The link to confirm with, if it has one.
    pub fn link(&self) -> Option<&str> {
        self.body_text
            .split_whitespace()
            .find(|word| word.contains("/confirm?token="))
    }

    /// The token of that link.
    pub fn token(&self) -> Option<&str> {
        self.link()?.split_once("token=").map(|(_, token)| token)
    }
}

impl Client {
    /// A client of the stack that `environment` describes.
    ///
    /// # Errors
    /// When the environment is not complete.
    pub fn new(environment: &Environment) -> Result<Self, Trouble> {
        let api = environment.get("MUSTER_API_URL")?.to_owned();
        let http = http::client(&api)?;
        Ok(Self {
            http,
            api,
            endpoint: environment.get("AWS_ENDPOINT_URL")?.to_owned(),
        })
    }

    /// A request to the API: a path, or a whole link out of a mail.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = match path.strip_prefix('/') {
            Some(path) => format!("{}/{path}", self.api),
            None => path.to_owned(),
        };
        self.http.request(method, url)
    }

    /// A request to the emulator itself.
    pub fn emulator(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.endpoint))
    }

    /// Every mail that was sent, oldest first.
    ///
    /// # Errors
    /// When the emulator does not tell.
    pub async fn mails(&self) -> Result<Vec<Mail>, Trouble> {
        let answer: Value = async {
            let request = self.emulator(Method::GET, "/_ministack/ses/messages");
            request.send().await?.error_for_status()?.json().await
        }
        .await
        .or_trouble(
            "the emulator does not show its mails",
            "The inbox is ministack's. With another emulator, look where that keeps sent mail.",
        )?;
        parse_mails(answer).or_trouble(
            "the mails cannot be read",
            "This is a bug: please report it.",
        )
    }

    /// The mails to one address.
    ///
    /// # Errors
    /// As [`mails`](Self::mails).
    pub async fn mails_to(&self, address: &str) -> Result<Vec<Mail>, Trouble> {
        let mut mails = self.mails().await?;
        mails.retain(|mail| mail.to.iter().any(|to| to == address));
        Ok(mails)
    }
}

/// `{"messages": {"<account>": [mail, …]}}`
fn parse_mails(mut answer: Value) -> Result<Vec<Mail>, serde_json::Error> {
    let accounts: std::collections::BTreeMap<String, Vec<Mail>> =
        serde_json::from_value(answer["messages"].take())?;
    Ok(accounts.into_values().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_inbox_is_read_and_links_are_found() {
        let answer = json!({"messages": {"000000000000": [{
            "MessageId": "1", "Source": "a@example.com", "To": ["ada@example.com"], "Subject": "s",
            "BodyText": "Hello,\n\nhttp://x.localhost:1/confirm?token=a.1.b\n\nbye", "Timestamp": 1.5
        }]}});
        let mails = parse_mails(answer).unwrap();
        assert_eq!(
            mails[0].link(),
            Some("http://x.localhost:1/confirm?token=a.1.b")
        );
        assert_eq!(mails[0].token(), Some("a.1.b"));
        assert_eq!(parse_mails(json!({"messages": {}})).unwrap(), []);
    }
}
