//! What a dead letter shows to who may look after queues, and at nobody's data.
//!
//! SES reports a mail with all that is personal in it: the address, the headers,
//! what the recipient's server said. S3's events have the names of files. What
//! takes a decision about a letter is less: which mail or import it is about, which
//! kind of event it is, and when that was. Only that is shown without the scope
//! that shows the rest elsewhere, too.

use muster_http::caller::Caller;
use serde_json::{Map, Value};

use crate::settings::Content;

/// Members that hold nothing personal, and what they hold is shown: a text, a
/// number, or several.
const SHOWN: [&str; 20] = [
    // Nudges, and the tags that the mailer puts on a mail.
    "profile_id",
    "mail",
    "import_id",
    "chunk",
    // Events of SES.
    "detail-type",
    "time",
    "eventType",
    "timestamp",
    "messageId",
    "bounceType",
    "bounceSubType",
    "complaintFeedbackType",
    "complaintSubType",
    "delayType",
    // Events of S3.
    "Event",
    "eventName",
    "eventTime",
    "size",
    "eTag",
    "sequencer",
];

/// Members that are looked into.
const OPENED: [&str; 11] = [
    "detail",
    "mail",
    "tags",
    "bounce",
    "complaint",
    "deliveryDelay",
    "delivery",
    "reject",
    "Records",
    "s3",
    "object",
];

/// Whether somebody may see all of the letters of a queue with this content.
pub(crate) fn sees_all(caller: &Caller, content: Content) -> bool {
    caller.has_scope(match content {
        Content::Uploads => "imports/read",
        Content::Mails | Content::Chunks | Content::Reports => "profiles/read",
    })
}

/// What is left of a message without what may be personal.
pub(crate) fn redacted(body: Value) -> Value {
    match body {
        Value::Object(members) => {
            let kept = members
                .into_iter()
                .filter_map(|(name, value)| Some((name.clone(), member(&name, value)?)));
            Value::Object(kept.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(redacted).collect(),
        _ => Value::Null,
    }
}

fn member(name: &str, value: Value) -> Option<Value> {
    let holds_objects = |value: &Value| match value {
        Value::Array(items) => items.iter().any(|item| item.is_object() || item.is_array()),
        value => value.is_object(),
    };
    match holds_objects(&value) {
        true => OPENED.contains(&name).then(|| redacted(value)),
        false => SHOWN.contains(&name).then_some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_nudge_has_nothing_to_hide() {
        for nudge in [
            json!({ "profile_id": "x", "mail": 1 }),
            json!({ "import_id": "x", "chunk": 7 }),
        ] {
            assert_eq!(redacted(nudge.clone()), nudge);
        }
    }

    #[test]
    fn what_nobody_knows_is_not_shown() {
        for body in [
            json!("ada@example.com"),
            json!(["ada@example.com"]),
            json!({ "ada@example.com": 1, "mail": { "destination": ["ada@example.com"] } }),
            json!({ "detail": { "bounce": { "bouncedRecipients": [{ "emailAddress": "ada@example.com" }] } } }),
            json!({ "Records": [{ "s3": { "object": { "key": "ada@example.com.csv", "size": 1 } } }] }),
            json!({ "mail": { "tags": { "x": ["ada@example.com"] } } }),
        ] {
            let left = redacted(body).to_string();
            assert!(!left.contains("ada"), "{left}");
        }
    }
}
