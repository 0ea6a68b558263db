//! A person, and sources that know of them, on a network in memory.

use std::time::Duration;

use muster_details::sources::transport::{Transport, through};
use muster_simulation::faults::{Fault, Schedule};
use muster_simulation::sources::{Network, Stub};
use muster_simulation::state::Latency;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::place::{Answer, Place};

/// It needs tokio's paused clock, and the table takes no time, so that every
/// duration is that of a source.
pub(crate) struct Outside {
    pub place: Place,
    pub network: Network,
    pub profile: Value,
}

/// A document with these sources. Who does not say where it is, is at a host of its
/// own name.
pub(crate) fn document<'a>(sources: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let mut document = Map::new();
    for (name, mut source) in sources {
        if source["url"].is_null() {
            source["url"] = json!(format!("https://{name}.example.com/people/{{id}}"));
        }
        document.insert(name.to_owned(), source);
    }
    json!({ "sources": document })
}

impl Outside {
    /// As the document says.
    pub(crate) async fn with(document: &Value) -> Self {
        Self::over(document, through).await
    }

    /// The same by another way to the network.
    pub(crate) async fn over(document: &Value, transport: fn(Network) -> Transport) -> Self {
        let network = Network::default();
        let place = Place::with_sources(document, transport(network.clone())).await;
        place.state.lock().latency = Latency::Off;
        let person = json!({
            "email": "Ada@example.com",
            "name": "Ada",
            "attributes": { "plan": "a b" },
        });
        let created = place.ask("POST", "/profiles", person).await;
        let profile = created.body().clone();
        Self {
            place,
            network,
            profile,
        }
    }

    pub(crate) async fn with_one(name: &str, source: Value) -> Self {
        Self::with(&document([(name, source)])).await
    }

    /// The source of that name.
    pub(crate) fn stub(&self, name: &str) -> Stub {
        self.network.at(&format!("{name}.example.com"))
    }

    pub(crate) fn path(&self) -> String {
        format!("/profiles/{}", self.profile["id"].as_str().unwrap())
    }

    /// Changes the profile.
    pub(crate) async fn change(&self, to: Value) {
        let (path, any) = (self.path(), ("if-match", "*"));
        let changed = self.place.ask_with("PATCH", &path, any, to).await;
        assert_eq!(changed.status(), 200, "{changed:?}");
    }

    pub(crate) async fn ask(&self) -> Answer {
        self.ask_for("").await
    }

    /// With that query.
    pub(crate) async fn ask_for(&self, query: &str) -> Answer {
        let path = format!("{}/details{query}", self.path());
        self.place.get(&path).await
    }

    /// What came of one source.
    pub(crate) async fn ask_one(&self, name: &str) -> Value {
        let answer = self.ask().await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer.body()["sources"][name].clone()
    }

    /// The answer, and how long it took.
    pub(crate) async fn timed(&self) -> (Answer, Duration) {
        let began = Instant::now();
        let answer = self.ask().await;
        (answer, began.elapsed())
    }

    /// Of the next request, these calls to AWS go wrong.
    pub(crate) fn fail<const N: usize>(&self, calls: [u64; N], fault: Fault) {
        let mut state = self.place.state.lock();
        let made = state.log.calls.len() as u64;
        state.schedule = calls
            .into_iter()
            .fold(Schedule::Clean, |other, call| Schedule::Also {
                other: Box::new(other),
                call: made + call,
                fault,
            });
    }

    /// Lets whatever is under way come to rest.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The short form of what came of a source: its status, and the code of its problem.
pub(crate) fn how(source: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    format!(
        "{} {}",
        text(&source["status"]),
        text(&source["problem"]["code"])
    )
}
