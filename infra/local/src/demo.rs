//! `make demo`: the main job, told as it happens. Every claim is checked; the
//! first that does not hold ends the demo with what was expected and found.

mod details;
mod import;
pub(crate) mod people;
mod signup;

use std::time::Duration;

use muster_cli::trouble::{OrTrouble, Trouble};
use reqwest::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::console::Console;
use crate::place::Place;
use crate::up;

const POLL: Duration = Duration::from_millis(250);

/// Starts the stack and runs the main job.
///
/// # Errors
/// Whatever did not happen.
pub async fn run(place: &Place, console: &Console) -> Result<(), Trouble> {
    console.heading("The local stack");
    let environment = up::up(place, console).await?;
    let stage = Stage {
        client: Client::new(&environment)?,
        token: environment.client_credentials()?.token("").await?,
        console,
        place,
        run: run_name(),
    };
    signup::play(&stage).await?;
    import::play(&stage, &environment).await?;
    let details = details::play(&stage, &environment).await?;
    console.heading("Try it yourself (the stack keeps running)");
    let env = place.file("env");
    for command in [
        format!("set -a; . {}; set +a", env.strip_prefix(&place.repository).unwrap_or(&env).display()),
        "curl -s $MUSTER_API_URL/imports -H \"Authorization: Bearer $MUSTER_TOKEN\"".to_owned(),
        format!("curl -s $MUSTER_API_URL{details} -H \"Authorization: Bearer $MUSTER_TOKEN\""),
        r"printf 'email,name\njoan@example.com,Joan\nnot-an-address,Eve\n' > .local/people.csv".to_owned(),
        "cargo run -q -p muster-cli -- import .local/people.csv --dry-run".to_owned(),
        "curl -s $MUSTER_API_URL/signup -H 'Content-Type: application/json' -d '{\"email\": \"you@example.com\", \"name\": \"You\"}'".to_owned(),
        "make inbox".to_owned(),
        "make down".to_owned(),
    ] {
        console.line(format!("  {command}"));
    }
    Ok(())
}

/// What every act works with.
struct Stage<'a> {
    client: Client,
    token: String,
    console: &'a Console,
    place: &'a Place,
    /// Makes this run's addresses its own, so that a second run works too.
    run: String,
}

impl Stage<'_> {
    /// The address of the person who signs up.
    fn ada(&self) -> String {
        format!("ada.{}@example.com", self.run)
    }

    /// What the API has at a path.
    async fn get(&self, path: &str) -> Result<Value, Trouble> {
        let request = self.client.request(Method::GET, path);
        let request = request.bearer_auth(&self.token);
        let answer = async { request.send().await?.error_for_status()?.json().await };
        answer
            .await
            .or_trouble(format!("GET {path} fails"), "make down, then try again.")
    }

    /// Asks again and again until there is an answer.
    async fn wait_for<T>(
        &self,
        what: &str,
        limit: Duration,
        mut ask: impl AsyncFnMut() -> Result<Option<T>, Trouble>,
    ) -> Result<T, Trouble> {
        let start = Instant::now();
        loop {
            if let Some(answer) = ask().await? {
                return Ok(answer);
            }
            if start.elapsed() > limit {
                return Err(self.failed(format!("no {what} after {} s", limit.as_secs())));
            }
            sleep(POLL).await;
        }
    }

    /// What was claimed and did not hold.
    fn failed(&self, what: impl Into<String>) -> Trouble {
        let log = self.place.file("emulator.log");
        Trouble::new(
            what,
            format!("What the functions said is in {}.", log.display()),
        )
    }

    /// Holds the demo to its word.
    fn expect<T: PartialEq + std::fmt::Debug>(
        &self,
        what: &str,
        found: &T,
        expected: &T,
    ) -> Result<(), Trouble> {
        if found == expected {
            Ok(())
        } else {
            Err(self.failed(format!("{what}: expected {expected:?}, found {found:?}")))
        }
    }
}

fn run_name() -> String {
    let now = muster_core::platform::time::Clock::system().now();
    format!("{:x}", now.as_seconds())
}
