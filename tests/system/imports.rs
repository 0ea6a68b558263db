//! CSV files dropped on S3.

use muster_core::mail::item::mail_key;
use muster_core::people::email::Email;
use muster_core::people::profile::profile_key;
use muster_core::platform::ids::{ImportId, ProfileId};
use muster_imports::import::object_key;
use reqwest::Method;
use serde_json::{Value, json};

use crate::stack::{Stack, eventually, text};

pub(crate) fn rows(total: u64, created: u64, skipped: u64, failed: u64) -> Value {
    json!({ "total": total, "created": created, "updated": 0, "skipped": skipped, "failed": failed })
}

/// An S3 event as S3 words it.
fn event(stack: &Stack, key: &str, etag: &str, sequencer: &str) -> String {
    let object = json!({ "key": key, "size": 1, "eTag": etag, "sequencer": sequencer });
    let bucket = json!({ "name": stack.variable("MUSTER_UPLOADS_BUCKET") });
    json!({ "Records": [{
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": { "bucket": bucket, "object": object },
    }]})
    .to_string()
}

async fn drained(stack: &Stack, queue: &str) {
    eventually(&format!("{queue} is empty"), async || {
        (stack.depth(queue).await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_row_of_a_dropped_file_is_answered() {
    let stack = Stack::find();
    let [ada, bob, known, pending] =
        ["ada", "bob", "known", "pending"].map(|who| stack.address(who));
    let person = json!({ "email": pending, "name": "A Stranger" });
    assert_eq!(stack.post("/signup", &person).await.status(), 202);
    let person = json!({ "email": known, "name": "Known" });
    let request = stack.client.request(Method::POST, "/profiles");
    let token = stack.variable("MUSTER_TOKEN");
    let made = request
        .bearer_auth(token)
        .json(&person)
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), 201);
    let csv = format!(
        "Name,E-Mail,Email,Note\r\n\
         Ada Lovelace,x,{ada},\"two\r\nlines, quoted\"\r\n\
         Ada Again,x,{},again\r\n\
         Known,x,{known},has a profile\r\n\
         \"Head\r\nBcc: all@example.com\",x,{},bad name\r\n\
         Nobody,x,,no address\r\n\
         Short,x\r\n\
         ,,{bob},\r\n\
         Pending,x,{pending},signed up",
        ada.to_uppercase(),
        stack.address("header"),
    );
    let key = stack.key("people & places+more (ü)");
    stack.upload(&key, csv, &[]).await;
    let import = stack.finished_import(&key).await;
    assert_eq!(import["status"], "completed_with_errors");
    assert_eq!(import["rows"], rows(8, 3, 2, 3));
    assert_eq!(
        stack
            .get(&format!("/imports/{}", import["id"].as_str().unwrap()))
            .await,
        import
    );

    let profile = stack.profile(&ada).await.unwrap();
    assert_eq!(
        profile["attributes"],
        json!({ "E-Mail": "x", "Note": "two\r\nlines, quoted" })
    );
    assert_eq!(profile["import"], json!({ "id": import["id"], "line": 2 }));
    assert_eq!(profile["name"], "Ada Lovelace");
    assert_eq!(stack.profile(&bob).await.unwrap()["name"], Value::Null);
    assert_eq!(stack.profile(&known).await.unwrap()["source"], "operator");
    let pending = stack.profile(&pending).await.unwrap();
    assert_eq!(
        (&pending["name"], &pending["source"]),
        (&json!("Pending"), &json!("import"))
    );
    assert!(
        stack.client.mails_to(&ada).await.unwrap().is_empty(),
        "nobody asked for mails"
    );

    let report = report(&stack, &import).await;
    let reasons: Vec<[&str; 3]> = report
        .iter()
        .map(|row| [&row[4], &row[5], &row[6]])
        .collect();
    assert_eq!(
        reasons,
        [
            ["6", "Name", "invalid_name"],
            ["8", "Email", "missing_email"],
            ["9", "", "wrong_field_count"]
        ]
    );
    assert_eq!(&report[1][0], "Nobody", "the row itself comes first");
}

pub(crate) async fn report(stack: &Stack, import: &Value) -> Vec<csv::StringRecord> {
    let object = stack
        .s3
        .get_object()
        .bucket(import["report"]["bucket"].as_str().unwrap())
        .key(import["report"]["key"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    let bytes = object.body.collect().await.unwrap().to_vec();
    let mut reader = csv::Reader::from_reader(&bytes[..]);
    reader.records().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_file_that_cannot_be_imported_says_why() {
    let stack = Stack::find();
    let endless = [&b"email\n\"never closed"[..], &vec![b'x'; 100_000]].concat();
    for (name, bytes, metadata, code) in [
        ("empty", &b""[..], &[][..], "empty_file"),
        ("no-column", b"name\nAda\n", &[], "no_email_column"),
        ("picture", b"\x89PNG\r\n\x1a\n\0\0", &[], "not_text"),
        ("endless", &endless, &[], "record_too_long"),
        (
            "option",
            b"email\n",
            &[("confirm", "maybe")],
            "invalid_option",
        ),
    ] {
        let key = stack.key(name);
        stack.upload(&key, bytes, metadata).await;
        let import = stack.finished_import(&key).await;
        assert_eq!(import["status"], "failed", "{name}");
        assert_eq!(import["reason"]["code"], code, "{name}");
        assert_eq!(import["rows"]["created"], 0, "{name}");
    }
    let key = stack.key("header-only");
    stack.upload(&key, "email,name\n", &[]).await;
    let import = stack.finished_import(&key).await;
    assert_eq!(
        (&import["status"], &import["rows"]),
        (&json!("completed"), &rows(0, 0, 0, 0))
    );
}

#[tokio::test]
async fn addresses_repeated_across_chunks_are_created_once() {
    let stack = Stack::find();
    let count: u64 = 20_100;
    let mut csv = "email\n".to_owned();
    for number in 0..count {
        // The last hundred rows are in the second chunk and repeat the first.
        csv.push_str(&stack.address(&(number % 20_000).to_string()));
        csv.push('\n');
    }
    let key = stack.key("chunks");
    stack.upload(&key, csv, &[]).await;
    let import = stack.finished_import(&key).await;
    assert_eq!(import["status"], "completed");
    assert_eq!(
        import["chunks"],
        json!({ "total": 2, "done": 2, "failed": [] })
    );
    assert_eq!(import["rows"], rows(count, 20_000, 100, 0));

    // A chunk that comes again when all is done changes nothing.
    for chunk in [0, 1, 1] {
        let nudge = json!({ "import_id": import["id"], "chunk": chunk }).to_string();
        stack.send("MUSTER_CHUNK_QUEUE_URL", &nudge).await;
    }
    drained(&stack, "MUSTER_CHUNK_QUEUE_URL").await;
    assert_eq!(stack.imports_of(&key).await, [import]);
}

#[tokio::test]
async fn an_event_that_comes_again_or_late_is_no_second_import() {
    let stack = Stack::find();
    let key = stack.key("again");
    stack
        .upload(&key, format!("email\n{}\n", stack.address("once")), &[])
        .await;
    let import = stack.finished_import(&key).await;
    assert_eq!(import["rows"], rows(1, 1, 0, 0));
    let bucket = stack.variable("MUSTER_UPLOADS_BUCKET");
    let known = stack.item(&object_key(bucket, &key)).await.unwrap();
    let sequencer = text(&known, "sequencer");
    let older = "0".repeat(16);
    for sequencer in [
        &sequencer, &sequencer, &older, &sequencer, &sequencer, &sequencer,
    ] {
        stack
            .send(
                "MUSTER_IMPORT_QUEUE_URL",
                &event(&stack, &key, "etag", sequencer),
            )
            .await;
    }
    drained(&stack, "MUSTER_IMPORT_QUEUE_URL").await;
    assert_eq!(stack.imports_of(&key).await, [import]);
}

#[tokio::test]
async fn a_file_that_is_gone_or_another_one_fails_its_import() {
    let stack = Stack::find();
    let newest = "F".repeat(16);
    let gone = stack.key("gone");
    stack
        .send(
            "MUSTER_IMPORT_QUEUE_URL",
            &event(&stack, &gone, "etag", &newest),
        )
        .await;
    assert_eq!(
        stack.finished_import(&gone).await["reason"]["code"],
        "object_missing"
    );

    let replaced = stack.key("replaced");
    stack
        .upload(
            &replaced,
            format!("email\n{}\n", stack.address("first")),
            &[],
        )
        .await;
    stack.finished_import(&replaced).await;
    let etag = "0123456789abcdef0123456789abcdef";
    stack
        .send(
            "MUSTER_IMPORT_QUEUE_URL",
            &event(&stack, &replaced, etag, &newest),
        )
        .await;
    eventually("the second import fails", async || {
        let imports = stack.imports_of(&replaced).await;
        (imports.len() == 2 && imports[0]["reason"]["code"] == "object_replaced").then_some(())
    })
    .await;
}

#[tokio::test]
async fn imported_people_are_mailed_only_when_asked() {
    let stack = Stack::find();
    for (option, mailed) in [(Some("send"), true), (Some("skip"), false), (None, false)] {
        let address = stack.address(option.unwrap_or("default"));
        let key = stack.key(option.unwrap_or("default"));
        let metadata: Vec<_> = option.map(|value| ("confirm", value)).into_iter().collect();
        stack
            .upload(&key, format!("email\n{address}\n"), &metadata)
            .await;
        let import = stack.finished_import(&key).await;
        assert_eq!(import["rows"], rows(1, 1, 0, 0));
        let import: ImportId = import["id"].as_str().unwrap().parse().unwrap();
        let id = ProfileId::imported(import, Email::parse(&address).unwrap().key());
        assert!(stack.item(&profile_key(id)).await.is_some());
        assert_eq!(stack.item(&mail_key(id, 1)).await.is_some(), mailed);
        stack.sweep().await;
        if mailed {
            eventually("the mail is sent", async || {
                stack.client.mails_to(&address).await.unwrap().pop()
            })
            .await;
        } else {
            assert!(stack.client.mails_to(&address).await.unwrap().is_empty());
        }
    }
}
