//! People who signed up, did not confirm, and are imported: their sign-up is taken
//! over. What an import touches does not expire, and what a stranger typed goes.

use std::time::Duration;

use muster_simulation::invariants::text;
use serde_json::{Value, json};

use crate::place::Place;

const ADA: &str = "ada@example.com";
const CSV: &str = "email,name,team\nada@example.com,Ada,engines\n";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Place {
    /// Somebody signs ada up, who gets several mails; answers with the newest token.
    async fn signed_up_by_a_stranger(&self) -> String {
        let person = json!({ "email": ADA, "name": "Mallory", "attributes": { "role": "admin" } });
        let answer = self.ask("POST", "/signup", person).await;
        assert_eq!(answer.status(), 202, "{answer:?}");
        for _ in 0..2 {
            self.deliver_mails().await;
            self.pass(Duration::from_secs(600)).await;
            let again = json!({ "email": ADA });
            let answer = self.ask("POST", "/signup/resend", again).await;
            assert_eq!(answer.status(), 202, "{answer:?}");
        }
        self.deliver_mails().await;
        assert_eq!(self.mails_to(ADA).len(), 3);
        self.mails_to(ADA).pop().unwrap().token
    }

    async fn imported_with(&self, options: Value) -> Value {
        let made = self.ask("POST", "/imports", options).await;
        let key = made.body()["upload"]["fields"]["key"].as_str().unwrap();
        self.upload(key, CSV).await;
        self.work().await;
        let path = format!("/imports/{}", made.body()["id"].as_str().unwrap());
        self.get(&path).await.body().clone()
    }

    /// What is stored of people: keys, and the profile that each is of.
    fn of_people(&self) -> Vec<String> {
        let items = self.items().into_iter();
        let people = items.filter(|item| {
            let pk = text(item, "pk");
            pk.starts_with("PROFILE#") || pk.starts_with("EMAIL#")
        });
        let people = people.map(|item| {
            let values: std::collections::BTreeMap<_, _> = item.into_iter().collect();
            format!("{values:?}")
        });
        people.collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_sign_up_is_taken_over_by_an_import_and_does_not_expire() {
    for on_conflict in ["skip", "update", "fail"] {
        for confirm in ["skip", "send", "mark_confirmed"] {
            // While it is there, and when it has expired and is still stored.
            for age in [Duration::ZERO, 8 * DAY] {
                let place = Place::new();
                let token = place.signed_up_by_a_stranger().await;
                place.pass(age).await;
                let options = json!({ "on_conflict": on_conflict, "confirm": confirm });
                let import = place.imported_with(options).await;
                let case = format!("{on_conflict} {confirm} {age:?}");
                assert_eq!(import["status"], "completed", "{case}: {import}");
                assert_eq!(import["rows"]["created"], 1, "{case}: {import}");

                place.pass(8 * DAY).await;
                let profile = place.profile(ADA).await.expect(&case);
                let said = ["name", "source", "attributes"].map(|name| &profile[name]);
                let expected = [json!("Ada"), json!("import"), json!({ "team": "engines" })];
                assert_eq!(said, expected.each_ref(), "{case}");
                let status = match confirm {
                    "mark_confirmed" => "confirmed",
                    _ => "pending",
                };
                assert_eq!(profile["status"], status, "{case}");
                let dead = place
                    .ask("POST", "/confirm", json!({ "token": token }))
                    .await;
                assert_eq!(dead.status(), 404, "{case}: {dead:?}");
                let person = json!({ "email": ADA, "name": "Ada" });
                let taken = place.ask("POST", "/profiles", person).await;
                assert_eq!(taken.status(), 409, "{case}");
                let people = place.of_people();
                let items = if confirm == "send" { 3 } else { 2 };
                assert_eq!(people.len(), items, "{case}: {people:#?}");
                let traces = people.iter().any(|item| item.contains("Mallory"));
                let expires = people.iter().any(|item| item.contains("expires_at"));
                assert!(!traces && !expires, "{case}: {people:#?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_mail_of_who_is_taken_over_says_what_the_import_does() {
    let place = Place::new();
    place.signed_up_by_a_stranger().await;
    place.imported_with(json!({ "confirm": "send" })).await;
    place.pass(Duration::from_secs(60)).await;
    place.sweep().await;
    place.deliver_mails().await;
    let token = place.mails_to(ADA).pop().unwrap().token;
    assert_eq!(place.mails_to(ADA).len(), 4);
    let answer = place
        .ask("POST", "/confirm", json!({ "token": token }))
        .await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let profile = place.profile(ADA).await.unwrap();
    let found = ["name", "status"].map(|name| profile[name].as_str().unwrap());
    assert_eq!(found, ["Ada", "confirmed"]);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_counts_a_sign_up_as_free_and_leaves_it() {
    for on_conflict in ["skip", "update", "fail"] {
        let place = Place::new();
        place.signed_up_by_a_stranger().await;
        let before = place.of_people();
        let options = json!({ "on_conflict": on_conflict, "dry_run": true });
        let import = place.imported_with(options).await;
        assert_eq!(import["rows"]["created"], 1, "{on_conflict}: {import}");
        let mut after = place.of_people();
        after.retain(|item| !item.contains("outcome"));
        assert_eq!(after, before);
    }
}
