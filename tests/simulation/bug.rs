//! Bugs planted on purpose. Each is one that somebody could well make; an
//! instrument that does not find them finds nothing.
//!
//! They are planted from outside, in what the functions say to AWS, so that
//! no function carries a switch for being wrong.

use serde_json::{Value, json};

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A mail is marked sent before it is sent.
    MarkedSentBeforeSending,
    /// A mail is claimed whoever has its lease.
    NoLeaseCheck,
    /// A checkpoint's counts are written before its position, not with it.
    CountOutsideTransaction,
    /// A batch is answered as if all had gone well.
    WrongBatchAnswer,
    /// An operator changes a sign-up, and its lock goes on expiring.
    LockGoesOnExpiring,
    /// A link confirms the name of its sign-up with what another one said.
    MixedSignUps,
}

/// Every kind.
pub const BUGS: [Bug; 6] = [
    Bug::MarkedSentBeforeSending,
    Bug::NoLeaseCheck,
    Bug::CountOutsideTransaction,
    Bug::WrongBatchAnswer,
    Bug::LockGoesOnExpiring,
    Bug::MixedSignUps,
];

impl Bug {
    /// What a function with this bug would have asked DynamoDB.
    pub fn rewrite(self, operation: &str, request: &mut Value) {
        let expression = request["UpdateExpression"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let claims_mail =
            operation == "UpdateItem" && expression.contains("token_hashes = list_append");
        match self {
            Self::MarkedSentBeforeSending if claims_mail => {
                // Sent it is, says the item, and due no more.
                request["UpdateExpression"] =
                    json!(expression.replace("#status = :sending", "#status = :sent"));
                request["UpdateExpression"] = json!(
                    request["UpdateExpression"]
                        .as_str()
                        .unwrap_or_default()
                        .replace("due_at = :due, ", "")
                        + ", due_at, due_shard"
                );
                let values = &mut request["ExpressionAttributeValues"];
                values[":sent"] = json!({ "S": "sent" });
                if let Some(values) = values.as_object_mut() {
                    values.remove(":due");
                }
            }
            Self::NoLeaseCheck if claims_mail => {
                request["ConditionExpression"] =
                    json!("attribute_exists(pk) AND (#status = :queued OR #status = :sending)");
                if let Some(values) = request["ExpressionAttributeValues"].as_object_mut() {
                    values.remove(":now");
                    values.remove(":scheduled");
                    values.remove(":seconds");
                }
            }
            Self::LockGoesOnExpiring => change_updates(request, |update| {
                let is_lock = update["Key"]["sk"] == json!({ "S": "EMAIL" });
                if is_lock {
                    replace(update, "expires_at, signup_mail", "signup_mail");
                }
            }),
            Self::MixedSignUps => change_updates(request, |update| {
                if replace(update, ", #attributes = :said_attributes", "") {
                    forget(update, "ExpressionAttributeNames", "#attributes");
                    forget(update, "ExpressionAttributeValues", ":said_attributes");
                }
            }),
            _ => {}
        }
    }

    /// Whether a refused checkpoint leaves its counts behind all the same.
    pub const fn splits_checkpoints(self) -> bool {
        matches!(self, Self::CountOutsideTransaction)
    }
}

fn change_updates(request: &mut Value, change: impl Fn(&mut Value)) {
    let actions = request["TransactItems"].as_array_mut();
    let updates = actions.into_iter().flatten();
    updates
        .filter_map(|action| action.get_mut("Update"))
        .for_each(change);
}

/// Replaces a part of an update's expression; says whether it was there.
fn replace(update: &mut Value, from: &str, to: &str) -> bool {
    let expression = update["UpdateExpression"].as_str().unwrap_or_default();
    let found = expression.contains(from);
    update["UpdateExpression"] = json!(expression.replace(from, to));
    found
}

fn forget(update: &mut Value, kind: &str, name: &str) {
    if let Some(named) = update[kind].as_object_mut() {
        named.remove(name);
    }
}
