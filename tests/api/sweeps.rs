//! What one sweep does, and in which order.

use std::sync::Arc;
use std::time::Duration;

use muster_core::platform::ids::ImportId;
use muster_core::platform::random::Random;
use muster_core::platform::settings::Variables;
use muster_core::platform::table::Item;
use muster_core::platform::time::Clock;
use muster_imports::import::{ImportItem, ImportStatus, import_key};
use muster_simulation::endpoint::{Caller, http_client};
use muster_simulation::invariants::text;
use muster_sweeper::settings::Settings;
use muster_sweeper::sweeper::Sweeper;
use serde_json::json;
use tokio::sync::Notify;

use crate::place::Place;

const LEFT: usize = 6;

impl Place {
    /// Profiles whose erasure somebody left, and an import that nobody planned. All
    /// of it is due.
    async fn left_behind(&self) {
        for n in 0..LEFT {
            let person = json!({ "email": format!("p{n}@example.com"), "name": "Ada" });
            let profile = self.ask("POST", "/profiles", person).await;
            let id = profile.body()["id"].as_str().unwrap().parse().unwrap();
            self.mark_erasing(id).await;
        }
        let id = ImportId::of_event("b", "k", "1");
        let import = ImportItem {
            status: ImportStatus::Queued,
            ..ImportItem::new(id, "b".to_owned(), "k".to_owned(), self.now())
        };
        self.store(&import_key(id), &import).await;
        self.pass(Duration::from_secs(20 * 60)).await;
        self.calls();
    }

    /// A sweep of a process that is stopped after a while.
    async fn sweep_within(&self, time: Duration) {
        let settings = Settings::read(Variables::from_fn(|name| self.state.setting(name)));
        let settings = settings.unwrap();
        let caller = Caller {
            id: 9,
            function: "sweeper",
            killed: Arc::new(Notify::new()),
        };
        let config = settings
            .aws
            .sdk_config_over(http_client(&self.state, &caller));
        let clock = Clock::manual(self.now());
        let sweeper = Sweeper::new(&settings, &config, clock, Random::seeded(9));
        sweeper.sweep(self.now().after(time)).await.unwrap();
    }

    fn erasing(&self) -> usize {
        let items = self.items();
        let is_erasing = |item: &&Item| text(item, "status") == "erasing";
        items.iter().filter(is_erasing).count()
    }
}

/// Somebody waits for an import; an erasure counts already.
#[tokio::test(start_paused = true)]
async fn a_sweep_wakes_before_it_erases() {
    let place = Place::new();
    place.left_behind().await;
    place.sweep().await;
    let calls = place.calls();
    let first = |name: &str| calls.iter().position(|call| call.operation.ends_with(name));
    let (nudged, erased) = (first("SendMessageBatch"), first("TransactWriteItems"));
    assert!(nudged.unwrap() < erased.unwrap(), "{calls:#?}");
    assert_eq!(place.erasing(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_erasure_that_has_no_time_is_the_next_sweeps() {
    let place = Place::new();
    place.left_behind().await;
    place.sweep_within(Duration::from_secs(10)).await;
    assert_eq!(place.erasing(), LEFT);
    // None is put off: the next sweep begins with them.
    place.sweep_within(Duration::from_secs(50)).await;
    assert_eq!(place.erasing(), 0);
}
