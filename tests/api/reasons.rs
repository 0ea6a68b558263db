//! Why a message became a dead letter, as operators are told.

use muster_core::mail::item::{MailItem, MailKind, MailStatus, Recipient};
use muster_core::mail::nudge::MailNudge;
use muster_core::platform::ids::{ImportId, ProfileId};
use muster_core::platform::random::Random;
use muster_imports::failure_reason::FailureReason;
use muster_imports::import::{ImportItem, ImportStatus, import_key};
use muster_imports::nudges::{ChunkNudge, PlanNudge};
use muster_simulation::queues::{BULK_MAIL, CHUNK, FEEDBACK, IMPORT, MAIL};
use serde_json::{Value, json};

use crate::place::Place;

impl Place {
    /// The reason of the only dead letter of a queue.
    async fn reason(&self, queue: &'static str, body: &str) -> Value {
        let id = self.give_up(queue, body);
        let answer = self
            .get(&format!("/queues/{queue}/dead-letters/{id}"))
            .await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        self.clear(queue, "purge", json!({ "ids": [id] })).await;
        answer.body()["reason"].clone()
    }

    fn mail(&self, status: MailStatus, reason: Option<&str>) -> MailItem {
        let recipient = Recipient {
            profile_id: ProfileId::new(self.now(), &Random::seeded(7)),
            to: "ada@example.com",
            email_key: "ada@example.com",
            name: None,
            locale: None,
            expires_at: None,
        };
        MailItem {
            status,
            attempts: 2,
            reason: reason.map(str::to_owned),
            ..MailItem::new(MailKind::Confirm, 1, recipient, self.now())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_queue_does_not_carry_is_called_that() {
    let place = Place::new();
    for (queue, what) in [
        (MAIL, "expected a mail nudge ("),
        (BULK_MAIL, "expected a mail nudge ("),
        (CHUNK, "expected a chunk nudge ("),
        (IMPORT, "expected an S3 event ("),
        (FEEDBACK, "expected an SES event from EventBridge ("),
    ] {
        for body in ["{", "[1]", r#"{"mail": 1}"#] {
            let reason = place.reason(queue, body).await;
            assert_eq!(reason["code"], "undecodable", "{queue}: {body}");
            let detail = reason["detail"].as_str().unwrap();
            assert!(detail.starts_with(what), "{queue}: {detail}");
            assert_eq!(reason["status"], Value::Null);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_mail_nudge_has_the_reason_of_its_mail() {
    let place = Place::new();
    let mail = place.mail(MailStatus::Queued, Some("SES: sending is paused"));
    let nudge = MailNudge {
        profile_id: mail.profile_id,
        mail: 1,
    };
    let body = serde_json::to_string(&nudge).unwrap();
    let gone = place.reason(MAIL, &body).await;
    assert_eq!(gone["code"], "gone", "{gone}");

    place.store(&mail.key(), &mail).await;
    let waiting = place.reason(MAIL, &body).await;
    assert_eq!(waiting["code"], "unfinished");
    assert_eq!(waiting["status"], "queued");
    assert_eq!(waiting["attempts"], 2);
    let said = "the mail is queued; of the last attempt is known: SES: sending is paused";
    assert_eq!(waiting["detail"], said);

    let abandoned = place.mail(MailStatus::Abandoned, Some("on the suppression list"));
    place.store(&mail.key(), &abandoned).await;
    let settled = place.reason(BULK_MAIL, &body).await;
    assert_eq!(settled["code"], "settled");
    assert_eq!(
        settled["detail"],
        "the mail is abandoned: on the suppression list"
    );

    let expires_at = Some(place.now().as_seconds());
    let expired = MailItem { expires_at, ..mail };
    place.store(&expired.key(), &expired).await;
    assert_eq!(place.reason(MAIL, &body).await["code"], "gone");
}

#[tokio::test(start_paused = true)]
async fn what_is_about_an_import_has_the_reason_of_the_import() {
    let place = Place::new();
    let event = place
        .state
        .lock()
        .s3
        .upload("uploads/x.csv", b"name\nAda\n".to_vec(), 1);
    let unrecorded = place.reason(IMPORT, &event).await;
    assert_eq!(unrecorded["code"], "unfinished", "{unrecorded}");
    assert_eq!(unrecorded["status"], Value::Null);

    // The planner finds no column for the address.
    place.plan(&event).await;
    let imports = place.get("/imports").await;
    let import = &imports.body()["items"][0];
    let failed = place.reason(IMPORT, &event).await;
    assert_eq!(failed["code"], "settled", "{failed}");
    assert_eq!(failed["status"], "failed");
    let detail = import["reason"]["detail"].as_str().unwrap();
    assert_eq!(failed["detail"], format!("the import is failed: {detail}"));

    let import_id: ImportId = import["id"].as_str().unwrap().parse().unwrap();
    let nudge = serde_json::to_string(&PlanNudge { import_id }).unwrap();
    assert_eq!(place.reason(IMPORT, &nudge).await, failed);
    let nudge = serde_json::to_string(&ChunkNudge {
        import_id,
        chunk: 0,
    })
    .unwrap();
    assert_eq!(place.reason(CHUNK, &nudge).await["code"], "gone");
    let unknown = ImportId::of_event("b", "k", "1");
    let nudge = serde_json::to_string(&PlanNudge { import_id: unknown }).unwrap();
    assert_eq!(place.reason(IMPORT, &nudge).await["code"], "gone");
}

#[tokio::test(start_paused = true)]
async fn a_chunk_nudge_tells_how_far_the_chunk_is() {
    let place = Place::new();
    let csv = b"email\nada@example.com\n".to_vec();
    let event = place.state.lock().s3.upload("uploads/x.csv", csv, 1);
    place.plan(&event).await;
    let import_id: ImportId = {
        let imports = place.get("/imports").await;
        imports.body()["items"][0]["id"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    let nudge = serde_json::to_string(&ChunkNudge {
        import_id,
        chunk: 0,
    })
    .unwrap();
    let reason = place.reason(CHUNK, &nudge).await;
    assert_eq!(reason["code"], "unfinished");
    assert_eq!(reason["status"], "running");
    let detail = reason["detail"].as_str().unwrap();
    assert_eq!(
        detail,
        "the chunk is answered up to line 2; the import is running"
    );

    let mut import: ImportItem = place
        .table()
        .get(&import_key(import_id))
        .await
        .unwrap()
        .unwrap();
    import.status = ImportStatus::Failed;
    import.reason = Some(FailureReason::new("object_missing", "the file is gone"));
    place.store(&import_key(import_id), &import).await;
    let reason = place.reason(CHUNK, &nudge).await;
    assert_eq!(reason["code"], "settled");
    assert!(
        reason["detail"]
            .as_str()
            .unwrap()
            .ends_with("failed: the file is gone")
    );
}

#[tokio::test(start_paused = true)]
async fn a_report_is_unfinished_until_its_mail_says_the_same() {
    let place = Place::new();
    let mail = place.mail(MailStatus::Sent, None);
    let report = include_str!("../../functions/core/fixtures/ses/bounce-permanent.json");
    let mut event: Value = serde_json::from_str(report).unwrap();
    event["detail"]["mail"]["tags"]["profile_id"] = json!([mail.profile_id]);
    event["detail"]["mail"]["tags"]["mail"] = json!(["1"]);
    let event = event.to_string();
    assert_eq!(place.reason(FEEDBACK, &event).await["code"], "gone");

    place.store(&mail.key(), &mail).await;
    let reason = place.reason(FEEDBACK, &event).await;
    assert_eq!(reason["code"], "unfinished");
    let detail = "the mail is sent; SES reports that it is bounced";
    assert_eq!(reason["detail"], detail);

    // Of a refusal, the profile has to know, too.
    let bounced = place.mail(MailStatus::Bounced, Some("Transient/General"));
    place.store(&mail.key(), &bounced).await;
    let reason = place.reason(FEEDBACK, &event).await;
    assert_eq!(reason["code"], "unfinished");

    let bounced = MailItem {
        ses_message_id: Some("ses-1".to_owned()),
        ..place.mail(
            MailStatus::Bounced,
            Some("Permanent/General: smtp; 550 5.1.1 user unknown"),
        )
    };
    place.store(&mail.key(), &bounced).await;
    let reason = place.reason(FEEDBACK, &event).await;
    assert_eq!(reason["code"], "settled");
    assert_eq!(reason["status"], "bounced");
}
