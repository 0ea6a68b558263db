//! What operators do to profiles.

use std::time::Duration;

use muster_core::mail::item::{MailItem, MailStatus, mail_key};
use muster_core::people::email_lock::{LockItem, lock_key};
use muster_simulation::faults::{Fault, Schedule};
use muster_simulation::invariants::text;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::place::{Answer, Place};

async fn create(place: &Place, address: &str) -> Value {
    let person = json!({ "email": address, "name": "Ada", "attributes": { "a": "1", "b": "2" } });
    let answer = place.ask("POST", "/profiles", person).await;
    assert_eq!(answer.status(), 201, "{answer:?}");
    answer.body().clone()
}

fn path(profile: &Value) -> String {
    format!("/profiles/{}", profile["id"].as_str().unwrap())
}

async fn patch(place: &Place, profile: &Value, etag: &str, body: Value) -> Answer {
    place
        .ask_with("PATCH", &path(profile), ("if-match", etag), body)
        .await
}

#[tokio::test(start_paused = true)]
async fn a_patch_changes_what_it_names_and_nothing_else() {
    let place = Place::new();
    let profile = create(&place, "ada@example.com").await;
    place.pass(Duration::from_secs(5)).await;
    let body = json!({ "name": null, "attributes": { "a": null, "c": "3" } });
    let request = json!({
        "method": "PATCH", "path": path(&profile), "operator": "other", "body": body,
        "headers": { "if-match": "\"1\"", "content-type": "application/merge-patch+json" },
    });
    let answer = place.request(request).await;
    assert_eq!(
        (answer.status(), answer.header("etag")),
        (200, Some("\"2\""))
    );
    let mut expected = profile.clone();
    expected["name"] = Value::Null;
    expected["attributes"] = json!({ "b": "2", "c": "3" });
    expected["updated_by"] = json!("other");
    expected["updated_at"] = answer.body()["updated_at"].clone();
    assert_ne!(expected["updated_at"], profile["updated_at"]);
    assert_eq!(*answer.body(), expected);
    assert_eq!(*place.get(&path(&profile)).await.body(), expected);

    // The same again changes nothing, and takes no version.
    let again = patch(
        &place,
        &profile,
        "\"2\"",
        json!({ "attributes": { "c": "3" } }),
    )
    .await;
    assert_eq!(again.header("etag"), Some("\"2\""));
    let cleared = patch(&place, &profile, "*", json!({ "attributes": null })).await;
    assert_eq!(cleared.body()["attributes"], json!({}));
}

#[tokio::test(start_paused = true)]
async fn a_patch_is_for_the_version_that_was_looked_at() {
    let place = Place::new();
    let profile = create(&place, "ada@example.com").await;
    let body = json!({ "name": "Augusta" });
    let missing = place.ask("PATCH", &path(&profile), body.clone()).await;
    assert_eq!(
        (missing.status(), missing.problem()),
        (428, "precondition-required")
    );
    assert_eq!(
        patch(&place, &profile, "\"1\"", body.clone())
            .await
            .status(),
        200
    );
    for (etag, status) in [
        ("\"1\"", 412),
        ("W/\"2\"", 412),
        ("2", 400),
        ("\"7\", \"2\"", 200),
    ] {
        let answer = patch(&place, &profile, etag, json!({ "name": "Ada" })).await;
        assert_eq!(answer.status(), status, "{etag}");
    }
    let nobody = json!({ "id": "019aafb0-0000-7000-8000-000000000000" });
    assert_eq!(patch(&place, &nobody, "*", body).await.status(), 404);
}

/// A change of the address is another transaction than the others.
#[tokio::test(start_paused = true)]
async fn a_stale_change_of_the_address_writes_nothing() {
    let place = Place::new();
    let profile = create(&place, "ada@example.com").await;
    let newer = patch(&place, &profile, "\"1\"", json!({ "name": "Augusta" })).await;
    assert_eq!(newer.status(), 200);
    place.deliver_mails().await;
    let before = place.items();
    for change in [
        json!({ "email": "new@example.com" }),
        json!({ "email": "new@example.com", "name": "Ada", "locale": "de" }),
    ] {
        let answer = patch(&place, &profile, "\"1\"", change).await;
        assert_eq!(
            (answer.status(), answer.problem()),
            (412, "precondition-failed")
        );
    }
    place.deliver_mails().await;
    assert_eq!(place.items(), before);
    assert_eq!(place.mails_to("new@example.com").len(), 0);
}

/// Both have looked at the same version before one of them writes.
#[tokio::test(start_paused = true)]
async fn of_two_changes_of_one_version_one_is_made() {
    for changes in [
        [
            json!({ "email": "a@example.com" }),
            json!({ "email": "b@example.com" }),
        ],
        [json!({ "name": "A" }), json!({ "email": "b@example.com" })],
        [
            json!({ "locale": "de" }),
            json!({ "email": "b@example.com" }),
        ],
        [json!({ "locale": "de" }), json!({ "name": "B" })],
    ] {
        let place = Place::new();
        let profile = create(&place, "ada@example.com").await;
        let [a, b] = changes
            .clone()
            .map(|change| patch(&place, &profile, "\"1\"", change));
        let (a, b) = tokio::join!(a, b);
        let mut statuses = [a.status(), b.status()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412], "{changes:?}");
        let (made, lost) = if a.status() == 200 {
            (a, &changes[1])
        } else {
            (b, &changes[0])
        };
        let found = place.get(&path(&profile)).await;
        assert_eq!(
            (found.header("etag"), found.body()),
            (Some("\"2\""), made.body())
        );
        if let Some(address) = lost["email"].as_str() {
            assert_eq!(place.profile(address).await, None, "{changes:?}");
            place.deliver_mails().await;
            assert_eq!(place.mails_to(address).len(), 0, "{changes:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_patch_that_breaks_a_rule_names_it_and_changes_nothing() {
    let place = Place::new();
    let profile = create(&place, "ada@example.com").await;
    let before = place.items();
    let long = "x".repeat(1025);
    for (body, pointer, code) in [
        (json!({ "email": null }), "/email", "wrong_type"),
        (json!({ "email": "ada" }), "/email", "invalid_email"),
        (json!({ "name": 1 }), "/name", "wrong_type"),
        (json!({ "status": "confirmed" }), "/status", "unknown"),
        (json!({ "attributes": [] }), "/attributes", "wrong_type"),
        (
            json!({ "attributes": { "a": {} } }),
            "/attributes/a",
            "wrong_type",
        ),
        (
            json!({ "attributes": { "a": long } }),
            "/attributes/a",
            "attribute_too_long",
        ),
    ] {
        let answer = patch(&place, &profile, "\"1\"", body.clone()).await;
        assert_eq!(answer.status(), 422, "{body}");
        let error = &answer.body()["errors"][0];
        assert_eq!(
            (&error["pointer"], &error["code"]),
            (&json!(pointer), &json!(code))
        );
    }
    let many: serde_json::Map<_, _> = (0..49).map(|n| (format!("n{n}"), json!("x"))).collect();
    let answer = patch(&place, &profile, "*", json!({ "attributes": many })).await;
    assert_eq!(
        answer.body()["errors"][0]["code"],
        "too_many_attributes",
        "old and new count"
    );
    assert_eq!(place.items(), before);
}

#[tokio::test(start_paused = true)]
async fn a_new_address_is_confirmed_anew_and_both_are_written_to() {
    let place = Place::new();
    let profile = place.confirmed("ada@example.com").await;
    let answer = patch(
        &place,
        &profile,
        "\"2\"",
        json!({ "email": "new@example.com" }),
    )
    .await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(answer.body()["status"], "pending");
    assert_eq!(place.profile("ada@example.com").await, None);
    assert_eq!(
        place.profile("new@example.com").await.as_ref(),
        Some(answer.body())
    );
    place.deliver_mails().await;
    let old = place.mails_to("ada@example.com");
    assert_eq!(
        old.last().unwrap().subject,
        "The e-mail address of your local profile was changed"
    );
    let new = place.mails_to("new@example.com").pop().unwrap();
    assert_eq!(new.subject, "Confirm your new e-mail address for local");

    // The old address's link is used up, and its address is free again.
    let page = place.get(&format!("/confirm?token={}", old[0].token)).await;
    assert!(
        page.text().contains("This link is used up"),
        "{}",
        page.text()
    );
    let answer = place
        .ask("POST", "/confirm", json!({ "token": old[0].token }))
        .await;
    assert_eq!(answer.status(), 404);
    let answer = place
        .ask("POST", "/confirm", json!({ "token": new.token }))
        .await;
    assert_eq!(answer.body()["status"], "confirmed");
    assert_eq!(
        place.profile("new@example.com").await.unwrap()["status"],
        "confirmed"
    );
    create(&place, "ada@example.com").await;
}

#[tokio::test(start_paused = true)]
async fn another_spelling_of_an_address_is_no_other_address() {
    let place = Place::new();
    let profile = place.confirmed("ada@example.com").await;
    let answer = patch(&place, &profile, "*", json!({ "email": "Ada@Example.com" })).await;
    assert_eq!(answer.body()["email"], "Ada@Example.com");
    assert_eq!(answer.body()["status"], "confirmed");
    place.deliver_mails().await;
    assert_eq!(place.mails_to("Ada@Example.com").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_taken_stays_with_its_owner() {
    let place = Place::new();
    let profile = create(&place, "ada@example.com").await;
    create(&place, "eve@example.com").await;
    place.deliver_mails().await;
    let before = place.items();
    let answer = patch(&place, &profile, "*", json!({ "email": "eve@example.com" })).await;
    assert_eq!((answer.status(), answer.problem()), (409, "conflict"));
    place.deliver_mails().await;
    assert_eq!(place.items(), before);
}

#[tokio::test(start_paused = true)]
async fn what_was_to_be_sent_to_the_old_address_is_not() {
    let place = Place::new();
    let profile = create(&place, "ada@example.com").await;
    patch(&place, &profile, "*", json!({ "email": "new@example.com" })).await;
    place.deliver_mails().await;
    let old = place.mails_to("ada@example.com");
    assert_eq!(old.len(), 1, "only that it was changed");
    assert!(old[0].subject.contains("was changed"));
}

#[tokio::test(start_paused = true)]
async fn a_new_address_moves_a_profile_to_the_pending_ones() {
    let place = Place::new();
    let profile = place.confirmed("ada@example.com").await;
    let listed = async |status: &str| {
        let answer = place.get(&format!("/profiles?status={status}")).await;
        let items = answer.body()["items"].as_array().unwrap().iter();
        items.map(|item| item["id"].clone()).collect::<Vec<_>>()
    };
    let id = vec![profile["id"].clone()];
    assert_eq!(
        (listed("confirmed").await, listed("pending").await),
        (id.clone(), vec![])
    );
    let answer = patch(&place, &profile, "*", json!({ "email": "new@example.com" })).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        (listed("confirmed").await, listed("pending").await),
        (vec![], id)
    );
}

/// More than one transaction changes.
#[tokio::test(start_paused = true)]
async fn a_profile_of_many_mails_gets_another_address() {
    let place = Place::new();
    let profile = create(&place, "ada@example.com").await;
    place.deliver_mails().await;
    let id = profile["id"].as_str().unwrap().parse().unwrap();
    let sent: MailItem = place.table().get(&mail_key(id, 1)).await.unwrap().unwrap();
    let waits = 60;
    for number in 2..=120 {
        let status = match number == waits {
            true => MailStatus::Queued,
            false => MailStatus::Sent,
        };
        let mail = MailItem {
            number,
            status,
            ..sent.clone()
        };
        place.store(&mail.key(), &mail).await;
    }
    let lock = lock_key("ada@example.com");
    let counted = LockItem {
        mails: 120,
        ..place.table().get(&lock).await.unwrap().unwrap()
    };
    place.store(&lock, &counted).await;
    let answer = patch(&place, &profile, "*", json!({ "email": "new@example.com" })).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let mail: MailItem = place
        .table()
        .get(&mail_key(id, waits))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(mail.status, MailStatus::Abandoned);
}

/// Others are at work on it without an end.
#[tokio::test(start_paused = true)]
async fn a_change_that_is_always_disturbed_says_so() {
    let place = Place::new();
    let profile = create(&place, "ada@example.com").await;
    let (name, fault) = ("DynamoDb.TransactWriteItems", Fault::Conflict);
    place.state.lock().schedule = Schedule::Operation { name, fault };
    let change = patch(&place, &profile, "*", json!({ "email": "new@example.com" }));
    let answer = timeout(Duration::from_secs(30), change).await.unwrap();
    assert_eq!((answer.status(), answer.problem()), (503, "unavailable"));
}

#[tokio::test(start_paused = true)]
async fn erasing_leaves_nothing_of_the_person() {
    let place = Place::new();
    let bystander = create(&place, "bystander@example.com").await;
    let person = json!({ "email": "ada@example.com", "name": "Ada Lovelace", "attributes": { "k": "hunter2" } });
    let answer = place
        .ask_with("POST", "/profiles", ("idempotency-key", "k1"), person)
        .await;
    let profile = answer.body().clone();
    place.deliver_mails().await;
    place.pass(Duration::from_secs(200)).await;
    place.sign_up("ada@example.com").await;
    let answer = place.ask("DELETE", &path(&profile), Value::Null).await;
    assert_eq!((answer.status(), answer.text()), (204, ""));
    assert_eq!(place.get(&path(&profile)).await.status(), 404);
    assert_eq!(
        place
            .ask("DELETE", &path(&profile), Value::Null)
            .await
            .status(),
        404
    );
    let left = format!("{:?}", place.items());
    for trace in [
        "ada@example.com",
        "Lovelace",
        "hunter2",
        profile["id"].as_str().unwrap(),
        "REQUEST#",
    ] {
        assert!(!left.contains(trace), "{trace} is left: {left}");
    }
    // A nudge that is still under way finds nothing.
    place.deliver_mails().await;
    assert_eq!(place.mails_to("ada@example.com").len(), 1);
    assert_eq!(*place.get(&path(&bystander)).await.body(), bystander);
    create(&place, "ada@example.com").await;
}

#[tokio::test(start_paused = true)]
async fn erasing_can_be_for_a_version_too() {
    let place = Place::new();
    let profile = create(&place, "ada@example.com").await;
    let erase = async |etag| {
        place
            .ask_with("DELETE", &path(&profile), ("if-match", etag), Value::Null)
            .await
            .status()
    };
    assert_eq!(erase("\"2\"").await, 412);
    assert_eq!(erase("x").await, 400);
    assert_eq!(erase("\"1\"").await, 204);
}

#[tokio::test(start_paused = true)]
async fn the_sweeper_finishes_an_erasure() {
    let place = Place::new();
    let profile = create(&place, "ada@example.com").await;
    place.deliver_mails().await;
    let id = profile["id"].as_str().unwrap().parse().unwrap();
    place.mark_erasing(id).await;
    // Whoever began it died here.
    assert_eq!(place.get(&path(&profile)).await.status(), 404);
    assert_eq!(place.profile("ada@example.com").await, None);
    assert_eq!(place.get("/profiles").await.body()["items"], json!([]));
    place.pass(Duration::from_secs(61)).await;
    place.sweep().await;
    let left = format!("{:?}", place.items());
    assert!(
        !left.contains("ada@example.com") && !left.contains("PROFILE#"),
        "{left}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_is_whole_newest_first_and_in_pages_of_any_size() {
    let place = Place::new();
    let mut all = Vec::new();
    for n in 0..50 {
        let address = format!("p{n}@example.com");
        let profile = if n % 5 == 0 {
            place.confirmed(&address).await
        } else {
            create(&place, &address).await
        };
        all.push(profile["id"].clone());
        place.pass(Duration::from_millis(3)).await;
    }
    place.sign_up("expires@example.com").await;
    place.pass(Duration::from_secs(8 * 24 * 60 * 60)).await;
    all.reverse();
    let confirmed: Vec<_> = (0..50)
        .rev()
        .filter(|n| n % 5 == 0)
        .map(|n| all[49 - n].clone())
        .collect();
    for (query, expected) in [("", &all), ("&status=confirmed", &confirmed)] {
        for limit in [1, 7, 20, 100] {
            let (mut found, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = place
                    .get(&format!("/profiles?limit={limit}{query}{cursor}"))
                    .await;
                let items = page.body()["items"].as_array().unwrap();
                assert!(
                    !items.is_empty() && items.len() <= limit,
                    "no page is empty"
                );
                found.extend(items.iter().map(|item| item["id"].clone()));
                match page.body()["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(&found, expected, "limit {limit} {query}");
        }
    }
    let undeliverable = place.get("/profiles?status=undeliverable").await;
    assert_eq!(
        *undeliverable.body(),
        json!({ "items": [], "next_cursor": null })
    );
    for query in [
        "status=erasing",
        "status=",
        "limit=0",
        "cursor=x",
        "colour=red",
    ] {
        assert_eq!(
            place.get(&format!("/profiles?{query}")).await.status(),
            422,
            "{query}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_can_be_asked_for_one_address() {
    let place = Place::new();
    let ada = create(&place, "ada@example.com").await;
    create(&place, "eve@example.com").await;
    let found = place.get("/profiles?email=ADA@example.com").await;
    assert_eq!(found.body()["items"], json!([ada]));
    let found = place
        .get("/profiles?email=ada@example.com&status=confirmed")
        .await;
    assert_eq!(found.body()["items"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn the_same_key_makes_one_profile_and_gives_one_answer() {
    let place = Place::new();
    let person = json!({ "name": "Ada", "email": "ada@example.com", "attributes": { "a": "1" } });
    let ask = async |operator: &str, key: &str, body: &Value| {
        let headers = json!({ "idempotency-key": key });
        place
            .request(json!({ "method": "POST", "path": "/profiles", "operator": operator, "headers": headers, "body": body }))
            .await
    };
    let first = ask("a", "k1", &person).await;
    assert_eq!(first.status(), 201);
    place.deliver_mails().await;
    // The profile lives on; the answer stays what it was.
    let changed = patch(&place, first.body(), "*", json!({ "name": "Augusta" })).await;
    assert_eq!(changed.status(), 200);
    place.pass(Duration::from_secs(23 * 60 * 60)).await;
    assert_eq!(ask("a", "k1", &person).await, first);
    let spelled = json!({ "email": " ada@example.com", "attributes": { "a": "1" }, "name": "Ada" });
    assert_eq!(ask("a", "k1", &spelled).await, first);
    place.deliver_mails().await;
    assert_eq!(place.mails_to("ada@example.com").len(), 1);

    let other = json!({ "email": "eve@example.com", "name": "Eve" });
    let reused = ask("a", "k1", &other).await;
    assert_eq!(
        (reused.status(), reused.problem()),
        (422, "idempotency-key-reused")
    );
    assert_eq!(
        ask("b", "k1", &other).await.status(),
        201,
        "another client's key"
    );
    assert_eq!(
        ask("a", "k2", &person).await.status(),
        409,
        "another request"
    );
    for bad in ["", "x".repeat(256).as_str()] {
        assert_eq!(ask("a", bad, &person).await.status(), 400);
    }
    place.pass(Duration::from_secs(2 * 60 * 60)).await;
    assert_eq!(
        ask("a", "k1", &person).await.status(),
        409,
        "forgotten after a day"
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_request_was_refused_can_be_used_again() {
    let place = Place::new();
    let taken = create(&place, "ada@example.com").await;
    let person = json!({ "email": "ada@example.com", "name": "Ada" });
    let ask = async || {
        place
            .ask_with(
                "POST",
                "/profiles",
                ("idempotency-key", "k"),
                person.clone(),
            )
            .await
            .status()
    };
    assert_eq!(ask().await, 409);
    place.ask("DELETE", &path(&taken), Value::Null).await;
    assert_eq!(ask().await, 201);
}

#[tokio::test(start_paused = true)]
async fn looking_at_a_link_writes_nothing() {
    let place = Place::new();
    place.sign_up("ada@example.com").await;
    place.deliver_mails().await;
    let token = place.mails_to("ada@example.com").pop().unwrap().token;
    let before = place.items();
    for path in ["/confirm", "/not-me"] {
        for method in ["GET", "HEAD"] {
            for _ in 0..100 {
                let path = format!("{path}?token={token}");
                assert_eq!(place.ask(method, &path, Value::Null).await.status(), 200);
            }
        }
    }
    assert_eq!(place.items(), before);
    let pk = |item: &muster_core::platform::table::Item| text(item, "pk");
    assert!(before.iter().any(|item| pk(item).starts_with("PROFILE#")));
}
