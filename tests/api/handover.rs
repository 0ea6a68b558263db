//! A planner whose time is up hands the import on to the next.

use std::fmt::Write;
use std::time::Duration;

use muster_simulation::queues::IMPORT;

use crate::place::Place;

/// Less than a planner wants to have left for a chunk.
const TOO_SHORT: Duration = Duration::from_secs(30);
/// Four chunks of the simulation's size.
const ROWS: usize = 150;

impl Place {
    /// Puts a file of several chunks into the bucket.
    pub(crate) fn drop_long_file(&self) {
        let mut csv = "email\n".to_owned();
        for row in 0..ROWS {
            writeln!(csv, "row{row}@example.com").unwrap();
        }
        let mut state = self.state.lock();
        let now = state.now();
        let event = state.s3.upload("uploads/people.csv", csv.into(), 1);
        state.queues.send(IMPORT, &event, Duration::ZERO, now);
    }
}

#[tokio::test(start_paused = true)]
async fn planners_without_time_plan_a_file_together() {
    let place = Place::new();
    place.drop_long_file();
    let mut planners = 0;
    while place.plan_within(TOO_SHORT).await {
        planners += 1;
        assert!(planners < 50, "it does not end");
    }
    assert!(planners >= 4, "{planners}: one plans a chunk, and hands on");
    place.work().await;
    let imports = place.get("/imports").await;
    let import = &imports.body()["items"][0];
    assert_eq!(import["status"], "completed", "{import}");
    assert_eq!(import["rows"]["created"], ROWS, "{import}");
}
