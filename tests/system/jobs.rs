//! Imports as operators run them: options, folders, start, cancel, resume.

use std::collections::BTreeSet;

use muster_cli::http::client;
use muster_core::mail::item::mail_key;
use muster_core::platform::ids::{ImportId, ProfileId};
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::imports::{report, rows};
use crate::stack::{Stack, eventually, text};

async fn made(stack: &Stack, body: Value) -> Value {
    let token = stack.variable("MUSTER_TOKEN");
    let request = stack
        .client
        .request(Method::POST, "/imports")
        .bearer_auth(token);
    let response = request.json(&body).send().await.unwrap();
    assert_eq!(response.status(), 201);
    response.json().await.unwrap()
}

/// Sends a file by the form of an import, or by one that says something else of
/// itself; answers with the status and what is said.
async fn upload(import: &Value, key: Option<&str>, csv: String) -> (u16, String) {
    let mut form = Form::new();
    for (name, value) in import["upload"]["fields"].as_object().unwrap() {
        let value = match key {
            Some(key) if name == "key" => key,
            _ => value.as_str().unwrap(),
        };
        form = form.text(name.clone(), value.to_owned());
    }
    let form = form.part("file", Part::text(csv));
    let url = import["upload"]["url"].as_str().unwrap();
    let response = client(url)
        .unwrap()
        .post(url)
        .multipart(form)
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn over(stack: &Stack, import: &Value) -> Value {
    stack
        .finished_import(import["object"]["key"].as_str().unwrap())
        .await
}

#[tokio::test]
async fn a_file_goes_where_its_import_says_and_nowhere_else() {
    let stack = Stack::find();
    let import = made(&stack, json!({})).await;
    let csv = format!("email\n{}\n", stack.address("form"));
    let elsewhere = stack.key("elsewhere");
    let (status, said) = upload(&import, Some(&elsewhere), csv.clone()).await;
    assert_eq!(status, 403, "{said}");
    let (status, said) = upload(&import, None, String::new()).await;
    assert!(
        status == 400 && said.contains("EntityTooSmall"),
        "{status} {said}"
    );
    let (status, said) = upload(&import, None, csv).await;
    assert_eq!(status, 204, "{said}");
    assert_eq!(over(&stack, &import).await["rows"], rows(1, 1, 0, 0));
    assert!(stack.imports_of(&elsewhere).await.is_empty());
}

#[tokio::test]
async fn an_import_that_waits_is_started() {
    let stack = Stack::find();
    let import = made(&stack, json!({ "start": "manual" })).await;
    let csv = format!("email\n{}\n", stack.address("manual"));
    assert_eq!(upload(&import, None, csv).await.0, 204);
    let path = format!("/imports/{}", import["id"].as_str().unwrap());
    let waiting = eventually("the file is there", async || {
        let import = stack.get(&path).await;
        (import["status"] == "awaiting_start").then_some(import)
    })
    .await;
    assert_eq!(waiting["rows"]["total"], Value::Null);
    let import = stack.control(&import, "start").await;
    assert_eq!(
        (&import["status"], &import["rows"]),
        (&json!("completed"), &rows(1, 1, 0, 0))
    );
}

#[tokio::test]
async fn a_folder_says_what_becomes_of_its_files() {
    let stack = Stack::find();
    let [ada, eve] = ["ada", "eve"].map(|who| stack.address(who));
    let first = stack.key("first");
    stack
        .upload(&first, format!("email,name,city\n{ada},Ada,London\n"), &[])
        .await;
    stack.finished_import(&first).await;

    let look = stack.key_in("dry-run/", "look");
    stack
        .upload(&look, format!("email\n{eve}\n{ada}\n"), &[])
        .await;
    let import = stack.finished_import(&look).await;
    assert_eq!(import["options"]["dry_run"], true);
    assert_eq!(import["rows"], rows(2, 1, 1, 0));
    assert!(stack.profile(&eve).await.is_none());

    let update = stack.key_in("update/", "crm");
    let csv = format!("email,name,plan\n{ada},,pro\n{eve},Eve,\n");
    stack.upload(&update, csv, &[]).await;
    let import = stack.finished_import(&update).await;
    let expected = json!({ "total": 2, "created": 1, "updated": 1, "skipped": 0, "failed": 0 });
    assert_eq!(import["rows"], expected);
    let profile = stack.profile(&ada).await.unwrap();
    assert_eq!(profile["name"], "Ada", "what the file lacks stays");
    assert_eq!(
        profile["attributes"],
        json!({ "city": "London", "plan": "pro" })
    );

    let mistyped = stack.key_in("updte/", "crm");
    stack
        .upload(&mistyped, format!("email\n{}\n", stack.address("no")), &[])
        .await;
    let import = stack.finished_import(&mistyped).await;
    assert_eq!(import["reason"]["code"], "unknown_preset");
    assert!(stack.profile(&stack.address("no")).await.is_none());
}

#[tokio::test]
async fn metadata_say_what_becomes_of_a_file() {
    let stack = Stack::find();
    let ada = stack.address("ada");
    let first = stack.key("first");
    stack
        .upload(
            &first,
            format!("email\n{ada}\n"),
            &[("confirm", "mark_confirmed")],
        )
        .await;
    stack.finished_import(&first).await;
    assert_eq!(stack.profile(&ada).await.unwrap()["status"], "confirmed");

    let fail = stack.key("fail");
    let csv = format!("email,phone\n{ada},+44 20 7946 0958\n");
    stack.upload(&fail, csv, &[("on_conflict", "fail")]).await;
    let import = stack.finished_import(&fail).await;
    assert_eq!(import["rows"], rows(1, 0, 0, 1));
    let refused = report(&stack, &import).await;
    let refused: Vec<_> = refused[0].iter().take(5).collect();
    assert_eq!(
        refused,
        [&ada, "+44 20 7946 0958", "2", "email", "address_taken"]
    );
}

/// Other tests may have the sweeper send some of them: those are sent.
#[tokio::test]
async fn a_cancelled_import_sends_nothing_until_it_is_resumed() {
    let stack = Stack::find();
    let people: Vec<_> = (0..30)
        .map(|who| stack.address(&format!("p{who}")))
        .collect();
    let key = stack.key("cancelled");
    let csv = format!("email\n{}\n", people.join("\n"));
    stack.upload(&key, csv, &[("confirm", "send")]).await;
    let import = stack.finished_import(&key).await;
    let id: ImportId = import["id"].as_str().unwrap().parse().unwrap();
    let mails = async || {
        let mut found = BTreeSet::new();
        for person in &people {
            let key = mail_key(ProfileId::imported(id, person), 1);
            let mail = stack.item(&key).await.unwrap();
            found.insert((text(&mail, "status"), mail.contains_key("due_at")));
        }
        found
    };
    let one_of = |kinds: &[(&str, bool)]| -> BTreeSet<_> {
        let kinds = kinds.iter();
        kinds
            .map(|(status, due)| ((*status).to_owned(), *due))
            .collect()
    };
    let (sent, called_off) = (("sent", false), ("abandoned", false));

    let cancelled = stack.control(&import, "cancel").await;
    assert_eq!(
        (&cancelled["status"], &cancelled["rows"]),
        (&json!("cancelled"), &rows(30, 30, 0, 0))
    );
    let found = mails().await;
    assert!(found.is_subset(&one_of(&[sent, called_off])), "{found:?}");

    let resumed = stack.control(&import, "resume").await;
    assert_eq!(
        (&resumed["status"], &resumed["rows"]),
        (&json!("completed"), &rows(30, 30, 0, 0))
    );
    let found = mails().await;
    let goes = [("queued", true), ("sending", true), sent];
    assert!(found.is_subset(&one_of(&goes)), "{found:?}");
}
