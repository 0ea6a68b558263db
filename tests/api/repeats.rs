//! Rows with one address in several chunks: the first one counts, whichever chunk is
//! faster, whatever dies, and whatever people do meanwhile.

use std::time::Duration;

use muster_core::platform::table::Item;
use muster_simulation::faults::{Fault, Schedule};
use muster_simulation::invariants::text;
use muster_simulation::process::{Function, Outcome};
use muster_simulation::queues::{CHUNK, Message};
use serde_json::{Value, json};

use crate::place::Place;

/// Longer than a queue takes to hand a message out.
const DELIVERED: Duration = Duration::from_secs(60);
/// Longer than the visibility timeout of a chunk, and than any lease on it.
const COMES_BACK: Duration = Duration::from_secs(31 * 60);

/// Two chunks of forty rows, and a third. The first has each address for the first
/// time and gives no name, the second has ten of them again with one.
fn file() -> String {
    let person = |row: u64| match row % 40 {
        0 => "known@example.com".to_owned(),
        1 => "pending@example.com".to_owned(),
        other => format!("p{other}@example.com"),
    };
    let mut csv = "email,name,locale,team,plan\n".to_owned();
    for row in 0..90 {
        csv.push_str(&match row {
            0..40 => format!("{},,de,first,\n", person(row)),
            40..50 => format!("{},Later,en,,later\n", person(row)),
            75 => "nobody,,,,\n".to_owned(),
            _ => format!("row{row}@example.com,Row,,,\n"),
        });
    }
    csv
}

/// How many rows have an address that an earlier row has.
const REPEATED: u64 = 10;

impl Place {
    /// One with a confirmed person and one who signs up, and an import that is
    /// planned.
    async fn with_planned_file(options: &Value) -> (Self, Value) {
        let place = Self::new();
        place.confirmed("known@example.com").await;
        place.sign_up("pending@example.com").await;
        let made = place.ask("POST", "/imports", options.clone()).await;
        let key = made.body()["upload"]["fields"]["key"].as_str().unwrap();
        place.upload(key, &file()).await;
        (place, made.body().clone())
    }

    async fn seen(&self, import: &Value) -> Value {
        let path = format!("/imports/{}", import["id"].as_str().unwrap());
        self.get(&path).await.body().clone()
    }

    /// The message about a chunk; the others of the queue stay.
    fn nudge_of(&self, chunk: u64) -> Message {
        let mut state = self.state.lock();
        let now = state.now();
        let messages = state.queues.receive(CHUNK, 10, now.after(DELIVERED));
        for message in &messages {
            // Back in the queue, as if nobody had seen it.
            state.queues.delete(CHUNK, message.receipt());
            let body = &message.body;
            state.queues.send(CHUNK, body, Duration::ZERO, now);
        }
        let is_about = |message: &Message| {
            let nudge: Value = serde_json::from_str(&message.body).unwrap();
            nudge["chunk"] == chunk
        };
        messages.into_iter().find(is_about).unwrap()
    }

    /// Has a worker take a chunk, and kills it before or after one of its calls if
    /// it is to be killed; says whether it was.
    async fn take(&self, chunk: u64, killed: Option<(u64, Fault)>) -> bool {
        let message = self.nudge_of(chunk);
        if let Some((call, fault)) = killed {
            let mut state = self.state.lock();
            let call = state.log.calls.len() as u64 + call;
            state.schedule = Schedule::Single { call, fault };
        }
        let event = json!({ "Records": [message.record(CHUNK)] });
        let outcome = self.outcome(Function::Worker, event).await;
        self.state.lock().schedule = Schedule::Clean;
        matches!(outcome, Outcome::Killed)
    }

    /// Everything that happens by itself happens.
    async fn comes_to_an_end(&self) {
        self.work().await;
        self.pass(COMES_BACK).await;
        self.sweep().await;
        self.work().await;
    }
}

/// What is stored of people, but for when and how often it was written; what became
/// of the rows; and the report.
async fn outcome_of(place: &Place, import: &Value) -> (Vec<String>, Value, String) {
    const TIMES: [&str; 7] = [
        "version",
        "created_at",
        "updated_at",
        "list_sort",
        "due_at",
        "expires_at",
        "overwritten",
    ];
    let shown = |mut item: Item| {
        for name in TIMES {
            item.remove(name);
        }
        let values: std::collections::BTreeMap<_, _> = item.into_iter().collect();
        format!("{values:?}")
    };
    let people = place.items().into_iter().filter(|item| {
        let pk = text(item, "pk");
        pk.starts_with("PROFILE#") || pk.starts_with("EMAIL#")
    });
    let import = place.seen(import).await;
    let report = match import["report"].is_null() {
        true => String::new(),
        false => place.report_of(&import),
    };
    let rows = json!([import["status"], import["rows"]]);
    (people.map(shown).collect(), rows, report)
}

fn options(on_conflict: &str, confirm: &str, dry_run: bool) -> Value {
    json!({ "on_conflict": on_conflict, "confirm": confirm, "dry_run": dry_run })
}

/// As if one worker had taken one chunk after the other.
async fn in_order(options: &Value) -> (Vec<String>, Value, String) {
    let (place, import) = Place::with_planned_file(options).await;
    assert!(!place.take(0, None).await);
    place.comes_to_an_end().await;
    outcome_of(&place, &import).await
}

fn assert_same(
    found: &(Vec<String>, Value, String),
    expected: &(Vec<String>, Value, String),
    what: &str,
) {
    let more = found.0.iter().filter(|line| !expected.0.contains(line));
    let fewer = expected.0.iter().filter(|line| !found.0.contains(line));
    let more: Vec<_> = more.map(|line| format!("+ {line}")).collect();
    let fewer: Vec<_> = fewer.map(|line| format!("- {line}")).collect();
    assert!(
        more.is_empty() && fewer.is_empty(),
        "{what}: {more:#?} {fewer:#?}"
    );
    assert_eq!((&found.1, &found.2), (&expected.1, &expected.2), "{what}");
}

#[tokio::test(start_paused = true)]
async fn the_first_row_counts_whichever_chunk_is_faster() {
    for on_conflict in ["skip", "update", "fail"] {
        for (confirm, dry_run) in [
            ("skip", false),
            ("send", false),
            ("mark_confirmed", false),
            ("skip", true),
        ] {
            let options = options(on_conflict, confirm, dry_run);
            let expected = in_order(&options).await;
            let kind = match on_conflict {
                "fail" => "failed",
                _ => "skipped",
            };
            assert!(
                expected.1[1][kind].as_u64().unwrap() >= REPEATED,
                "{}",
                expected.1
            );
            let (place, import) = Place::with_planned_file(&options).await;
            assert!(!place.take(1, None).await);
            place.comes_to_an_end().await;
            let found = outcome_of(&place, &import).await;
            assert_same(&found, &expected, &options.to_string());
            if !dry_run {
                let profile = place.profile("p5@example.com").await.unwrap();
                let said = ["name", "locale", "attributes"].map(|name| &profile[name]);
                assert_eq!(
                    said,
                    [&Value::Null, &json!("de"), &json!({ "team": "first" })]
                );
                assert_eq!(profile["import"]["line"], 7);
            }
        }
    }
}

/// Before it could give its rows their place, or before it could say so.
#[tokio::test(start_paused = true)]
async fn a_first_row_gets_its_place_whatever_dies() {
    for on_conflict in ["skip", "update", "fail"] {
        let options = options(on_conflict, "send", false);
        let expected = in_order(&options).await;
        for fault in [Fault::KillBefore, Fault::KillAfter] {
            for call in (0..).step_by(3) {
                let (place, import) = Place::with_planned_file(&options).await;
                assert!(!place.take(1, None).await);
                if !place.take(0, Some((call, fault))).await {
                    assert!(call > 15, "a worker makes more calls than {call}");
                    break;
                }
                place.comes_to_an_end().await;
                let found = outcome_of(&place, &import).await;
                assert_same(&found, &expected, &format!("{options} {call} {fault}"));
            }
        }
    }
}

/// Its worker dies when it is written and not counted; then the first row comes, and
/// then its chunk again.
#[tokio::test(start_paused = true)]
async fn a_row_that_lost_its_place_is_counted_once() {
    for on_conflict in ["skip", "update", "fail"] {
        let options = options(on_conflict, "send", false);
        let expected = in_order(&options).await;
        for fault in [Fault::KillBefore, Fault::KillAfter] {
            for call in 0.. {
                let (place, import) = Place::with_planned_file(&options).await;
                if !place.take(1, Some((call, fault))).await {
                    assert!(call > 6, "a worker makes more calls than {call}");
                    break;
                }
                assert!(!place.take(0, None).await);
                place.comes_to_an_end().await;
                let found = outcome_of(&place, &import).await;
                assert_same(&found, &expected, &format!("{options} {call} {fault}"));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_since_is_not_undone_by_a_first_row() {
    for on_conflict in ["skip", "update", "fail"] {
        let (place, import) = Place::with_planned_file(&options(on_conflict, "skip", false)).await;
        assert!(!place.take(1, None).await);
        let edited = ["p5@example.com", "known@example.com"];
        for address in edited {
            let profile = place.profile(address).await.unwrap();
            let path = format!("/profiles/{}", profile["id"].as_str().unwrap());
            let patch = json!({ "name": "Edited" });
            let answer = place
                .ask_with("PATCH", &path, ("if-match", "*"), patch)
                .await;
            assert_eq!(answer.status(), 200, "{answer:?}");
        }
        let gone = place.profile("p6@example.com").await.unwrap();
        let path = format!("/profiles/{}", gone["id"].as_str().unwrap());
        let erased = place
            .ask_with("DELETE", &path, ("if-match", "*"), Value::Null)
            .await;
        assert_eq!(erased.status(), 204, "{erased:?}");
        place.comes_to_an_end().await;
        for address in edited {
            let profile = place.profile(address).await.unwrap();
            // Only an update says something of who was there before.
            let is_later = on_conflict == "update" || address == edited[0];
            assert_eq!(profile["name"], "Edited", "{on_conflict} {address}");
            assert_eq!(profile["attributes"]["plan"] == "later", is_later);
            assert_eq!(profile["attributes"]["team"], Value::Null);
        }
        assert_eq!(place.profile("p6@example.com").await, None);
        let over = place.seen(&import).await;
        assert_eq!(over["rows"]["total"], 90, "{over}");
        if on_conflict == "fail" {
            let report = place.report_of(&over);
            let line = |address: &str| report.lines().find(|line| line.starts_with(address));
            let said = line("p5@example.com,,de").unwrap();
            assert!(said.contains("line 47 has the same address"), "{said}");
            assert!(said.contains("was changed since"), "{said}");
        }
    }
}

/// A mail that went is not sent again; its profile is the first row's all the same.
#[tokio::test(start_paused = true)]
async fn a_mail_that_went_is_not_sent_again() {
    let (place, _) = Place::with_planned_file(&options("skip", "send", false)).await;
    assert!(!place.take(1, None).await);
    place.pass(Duration::from_secs(60)).await;
    place.sweep().await;
    place.deliver_mails().await;
    assert_eq!(place.mails_to("p5@example.com").len(), 1);
    place.comes_to_an_end().await;
    place.sweep().await;
    place.deliver_mails().await;
    assert_eq!(place.mails_to("p5@example.com").len(), 1);
    let profile = place.profile("p5@example.com").await.unwrap();
    assert_eq!(profile["attributes"], json!({ "team": "first" }));
    let token = place.mails_to("p5@example.com").pop().unwrap().token;
    let answer = place
        .ask("POST", "/confirm", json!({ "token": token }))
        .await;
    assert_eq!(answer.status(), 200, "{answer:?}");
}

/// Counts are what became of the rows, also where the import stands still.
#[tokio::test(start_paused = true)]
async fn a_cancelled_import_counts_rows_as_what_they_are() {
    for (on_conflict, kind, repeated) in [("skip", "skipped", 11), ("fail", "failed", 12)] {
        let (place, import) = Place::with_planned_file(&options(on_conflict, "skip", false)).await;
        let id = import["id"].as_str().unwrap().to_owned();
        let ask = async |verb: &str| {
            let answer = place
                .ask("POST", &format!("/imports/{id}/{verb}"), "".into())
                .await;
            assert_eq!(answer.status(), 202, "{answer:?}");
        };
        assert!(!place.take(1, None).await);
        assert!(!place.take(0, None).await);
        ask("cancel").await;
        place.comes_to_an_end().await;
        let stopped = place.seen(&import).await;
        assert_eq!(stopped["status"], "cancelled", "{stopped}");
        // The known person's two rows, what is repeated, and a bad row.
        let rows = ["created", kind].map(|kind| &stopped["rows"][kind]);
        assert_eq!(rows, [68, repeated], "{stopped}");
        ask("resume").await;
        place.comes_to_an_end().await;
        let over = place.seen(&import).await;
        assert_eq!(over["rows"]["created"], 78, "{over}");
    }
}
