//! The stack under test.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::QueueAttributeName;
use clap::Parser;
use futures_util::stream::pending;
use muster_cli::arguments::Arguments;
use muster_cli::console::Console;
use muster_cli::exit_status::ExitStatus;
use muster_core::platform::random::Random;
use muster_core::platform::table::{Key, Table};
use muster_core::platform::time::Clock;
use muster_imports::object::s3_client;
use muster_local::aws_settings::aws_settings;
use muster_local::client::Client;
use muster_local::environment::Environment;
use reqwest::{Method, Response};
use serde_json::Value;

/// Long enough for a machine that does other things besides; a condition that
/// holds is seen within [`POLL`].
const LIMIT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(100);

/// Everything a test needs to know of it.
pub(crate) struct Stack {
    pub environment: Environment,
    pub client: Client,
    pub table: Table,
    pub s3: aws_sdk_s3::Client,
    pub sqs: aws_sdk_sqs::Client,
    /// No two tests have the same, so none sees another's people.
    name: String,
}

impl Stack {
    pub(crate) fn find() -> Self {
        let file = std::env::var("MUSTER_ENV_FILE")
            .expect("MUSTER_ENV_FILE names the env of a running stack; make test sets it");
        let environment = Environment::load(Path::new(&file)).unwrap();
        let settings = aws_settings(environment.get("AWS_ENDPOINT_URL").unwrap()).unwrap();
        let config = settings.sdk_config();
        let table = environment.get("MUSTER_TABLE").unwrap().to_owned();
        Self {
            client: Client::new(&environment).unwrap(),
            table: Table::new(aws_sdk_dynamodb::Client::new(&config), table),
            s3: s3_client(&settings, &config),
            sqs: aws_sdk_sqs::Client::new(&config),
            environment,
            name: Random::system().name(),
        }
    }

    pub(crate) fn variable(&self, name: &str) -> &str {
        self.environment.get(name).unwrap()
    }

    /// An address of this test's own.
    pub(crate) fn address(&self, who: &str) -> String {
        format!("{who}.{}@example.com", self.name)
    }

    /// A key under `uploads/` of this test's own.
    pub(crate) fn key(&self, what: &str) -> String {
        self.key_in("", what)
    }

    /// The same in a folder (`update/`, say).
    pub(crate) fn key_in(&self, folder: &str, what: &str) -> String {
        format!("uploads/{folder}{}-{what}.csv", self.name)
    }

    pub(crate) fn now(&self) -> muster_core::platform::time::Time {
        Clock::system().now()
    }

    pub(crate) async fn token(&self, scopes: &str) -> String {
        self.environment
            .client_credentials()
            .unwrap()
            .token(scopes)
            .await
            .unwrap()
    }

    /// Asks the API as an operator with every scope.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let token = self.variable("MUSTER_TOKEN");
        let request = self.client.request(Method::GET, path).bearer_auth(token);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "GET {path}");
        response.json().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.client
            .request(Method::POST, path)
            .json(body)
            .send()
            .await
            .unwrap()
    }

    /// The profile with that address, if there is one.
    pub(crate) async fn profile(&self, address: &str) -> Option<Value> {
        let mut found = self.get(&format!("/profiles?email={address}")).await;
        found["items"].as_array_mut().unwrap().pop()
    }

    pub(crate) async fn item(&self, key: &Key) -> Option<muster_core::platform::table::Item> {
        let output = self
            .table
            .client()
            .get_item()
            .table_name(self.table.name())
            .set_key(Some(key.to_item()))
            .consistent_read(true)
            .send()
            .await
            .unwrap();
        output.item
    }

    pub(crate) async fn send(&self, queue: &str, body: &str) {
        let url = self.variable(queue);
        self.sqs
            .send_message()
            .queue_url(url)
            .message_body(body)
            .send()
            .await
            .unwrap();
    }

    /// Messages in a queue, waiting, delayed or being handled.
    pub(crate) async fn depth(&self, queue: &str) -> u32 {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let output = self
            .sqs
            .get_queue_attributes()
            .queue_url(self.variable(queue))
            .set_attribute_names(Some(names.to_vec()))
            .send()
            .await
            .unwrap();
        let attributes = output.attributes.unwrap();
        names
            .iter()
            .map(|name| attributes[name].parse::<u32>().unwrap())
            .sum()
    }

    /// Calls a function as Lambda would, with an event.
    pub(crate) async fn invoke(&self, function: &str, event: &Value) -> Value {
        let path = format!(
            "/2015-03-31/functions/{}/invocations",
            self.variable(function)
        );
        let request = self.client.emulator(Method::POST, &path).json(event);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// What the schedule does every minute.
    pub(crate) async fn sweep(&self) {
        assert_eq!(
            self.invoke("MUSTER_SWEEPER_FUNCTION", &serde_json::json!({}))
                .await,
            Value::Null
        );
    }

    pub(crate) async fn upload(
        &self,
        key: &str,
        bytes: impl Into<Vec<u8>>,
        metadata: &[(&str, &str)],
    ) {
        let mut request = self
            .s3
            .put_object()
            .bucket(self.variable("MUSTER_UPLOADS_BUCKET"))
            .key(key)
            .body(bytes.into().into());
        for (name, value) in metadata {
            request = request.metadata(*name, *value);
        }
        request.send().await.unwrap();
    }

    /// The imports of a key, newest first.
    pub(crate) async fn imports_of(&self, key: &str) -> Vec<Value> {
        let found = self.get("/imports?limit=100").await;
        let items = found["items"].as_array().unwrap().iter();
        items
            .filter(|import| import["object"]["key"] == key)
            .cloned()
            .collect()
    }

    /// The import of a key, once it is over.
    pub(crate) async fn finished_import(&self, key: &str) -> Value {
        eventually(&format!("{key} is imported"), async || {
            let import = self.imports_of(key).await.into_iter().next()?;
            is_over(&import).then_some(import)
        })
        .await
    }

    /// Has an operator do something with an import, and waits until it rests.
    pub(crate) async fn control(&self, import: &Value, verb: &str) -> Value {
        let path = format!("/imports/{}/{verb}", import["id"].as_str().unwrap());
        let token = self.variable("MUSTER_TOKEN");
        let request = self.client.request(Method::POST, &path).bearer_auth(token);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 202, "POST {path}");
        let path = format!("/imports/{}", import["id"].as_str().unwrap());
        eventually(&format!("{verb} is done"), async || {
            let import = self.get(&path).await;
            is_over(&import).then_some(import)
        })
        .await
    }
}

fn is_over(import: &Value) -> bool {
    let over = ["completed", "completed_with_errors", "cancelled", "failed"];
    over.iter().any(|status| import["status"] == *status)
}

/// What `muster` shows, and how it ends, as a client that gets its own token.
pub(crate) async fn muster(stack: &Stack, command: &str) -> (ExitStatus, String) {
    let options = [
        ("--api-url", "MUSTER_API_URL"),
        ("--token-url", "MUSTER_TOKEN_URL"),
        ("--client-id", "MUSTER_CLIENT_ID"),
        ("--client-secret", "MUSTER_CLIENT_SECRET"),
    ];
    let options = options.map(|(option, name)| format!("{option}={}", stack.variable(name)));
    let words = std::iter::once("muster").chain(command.split(' '));
    let words = words.chain(options.iter().map(String::as_str));
    let mut arguments = Arguments::try_parse_from(words).unwrap();
    arguments.access.token = None;
    arguments.access.token_cache = Some(OsString::new());
    let (mut output, mut aside) = (Vec::new(), Vec::new());
    let mut console = Console::new(&mut output, &mut aside);
    let ending = muster_cli::commands::run(arguments, &mut console, pending()).await;
    (ending.unwrap(), String::from_utf8(output).unwrap())
}

/// Waits until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// A text attribute of an item.
pub(crate) fn text(item: &muster_core::platform::table::Item, name: &str) -> String {
    match item.get(name) {
        Some(AttributeValue::S(text)) => text.clone(),
        other => panic!("{name} is {other:?}"),
    }
}
