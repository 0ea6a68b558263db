//! SES refuses all mail for two minutes. It is a stage of its own: nobody else
//! is sent a mail meanwhile.

use std::time::Duration;

use muster_core::mail::item::mail_key;
use muster_core::platform::ids::ProfileId;
use reqwest::Method;
use serde_json::json;

use crate::stack::{Stack, eventually, text};

/// As the local stack deploys it.
const SENDER: &str = "muster@example.com";
const OUTAGE: Duration = Duration::from_secs(120);
const PEOPLE: usize = 20;

/// SES sends for nobody it does not know, and says so of every mail.
async fn refuse(stack: &Stack) {
    let path = format!("/v2/email/identities/{SENDER}");
    let request = stack.client.emulator(Method::DELETE, &path);
    assert!(request.send().await.unwrap().status().is_success());
}

async fn take_again(stack: &Stack) {
    let identity = json!({ "EmailIdentity": SENDER });
    let request = stack.client.emulator(Method::POST, "/v2/email/identities");
    let answer = request.json(&identity).send().await.unwrap();
    assert!(answer.status().is_success());
}

async fn mail(stack: &Stack, profile: ProfileId) -> muster_core::platform::table::Item {
    stack.item(&mail_key(profile, 1)).await.unwrap()
}

#[tokio::test]
async fn no_attempt_is_used_up_by_an_outage_and_all_is_sent_after_it() {
    let stack = Stack::find();
    refuse(&stack).await;
    let mut people = Vec::new();
    for person in 0..PEOPLE {
        let address = stack.address(&format!("out{person}"));
        let body = json!({ "email": address, "name": "Ada" });
        assert_eq!(stack.post("/signup", &body).await.status(), 202);
        let id = stack.profile(&address).await.unwrap()["id"].clone();
        people.push((address, id.as_str().unwrap().parse::<ProfileId>().unwrap()));
    }
    tokio::time::sleep(OUTAGE).await;
    for (address, id) in &people {
        assert!(stack.client.mails_to(address).await.unwrap().is_empty());
        let mail = mail(&stack, *id).await;
        assert!(text(&mail, "reason").contains("not verified"));
    }
    take_again(&stack).await;
    for (address, id) in &people {
        eventually("the mail is sent", async || {
            // Its back-off has to be over, and then somebody to look.
            stack.sweep().await;
            stack.client.mails_to(address).await.unwrap().pop()
        })
        .await;
        eventually("it is marked as sent", async || {
            (text(&mail(&stack, *id).await, "status") == "sent").then_some(())
        })
        .await;
        let mail = mail(&stack, *id).await;
        assert_eq!(mail["attempts"].as_n().unwrap(), "1", "{mail:?}");
        assert_eq!(stack.client.mails_to(address).await.unwrap().len(), 1);
    }
    for queue in ["MUSTER_MAIL_DLQ_URL", "MUSTER_BULK_MAIL_DLQ_URL"] {
        assert_eq!(stack.depth(queue).await, 0, "{queue}");
    }
}
