//! The partition keys that a role's conditions let a function name.
//!
//! Which actions a role allows at all is for [`permissions`](crate::permissions).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value as Json;
use serde_yaml_ng::Value;

use crate::asked::{Asked, Service};
use crate::permissions::{function_of, texts};
use crate::template::template;

/// What each function with a condition on keys may do in the table.
static STATEMENTS: LazyLock<BTreeMap<String, Vec<Statement>>> = LazyLock::new(|| {
    let resources = template()["Resources"].as_mapping().into_iter().flatten();
    let roles = resources.filter(|(_, resource)| resource["Type"] == "AWS::IAM::Role");
    let functions = roles.filter_map(|(name, role)| {
        let mut statements = Vec::new();
        collect(&role["Properties"]["Policies"], &mut statements);
        let has_condition = statements.iter().any(|statement| statement.keys.is_some());
        has_condition.then_some((function_of(name.as_str()?)?, statements))
    });
    functions.collect()
});

/// A statement of a policy.
struct Statement {
    actions: Vec<String>,
    keys: Option<KeysCondition>,
}

/// A condition on the partition keys that a request names (`dynamodb:LeadingKeys`).
struct KeysCondition {
    /// Under `ForAllValues:StringLike`: each key is like one of these.
    like: Vec<String>,
    /// Under `Null`: there is a key at all.
    demanded: bool,
}

/// An action that a call needs, and the partition keys that it names.
struct Needed {
    action: String,
    keys: Vec<String>,
}

impl Statement {
    fn read(statement: &Value) -> Self {
        const KEYS: &str = "dynamodb:LeadingKeys";
        let condition = &statement["Condition"];
        let like = &condition["ForAllValues:StringLike"][KEYS];
        Self {
            actions: texts(&statement["Action"]),
            keys: (!like.is_null()).then(|| KeysCondition {
                like: texts(like),
                demanded: condition["Null"][KEYS] == "false",
            }),
        }
    }

    fn allows(&self, needed: &Needed) -> bool {
        let holds = |keys: &KeysCondition| keys.holds(&needed.keys);
        self.actions.contains(&needed.action) && self.keys.as_ref().is_none_or(holds)
    }
}

impl KeysCondition {
    /// As IAM has it: without a key, `ForAllValues` holds.
    fn holds(&self, keys: &[String]) -> bool {
        let is_like = |key: &String| {
            let mut patterns = self.like.iter();
            patterns.any(|pattern| match pattern.strip_suffix('*') {
                Some(start) => key.starts_with(start),
                None => key == pattern,
            })
        };
        !(self.demanded && keys.is_empty()) && keys.iter().all(is_like)
    }
}

/// Every statement, however deep.
fn collect(value: &Value, statements: &mut Vec<Statement>) {
    match value {
        Value::Mapping(members) if members.contains_key("Action") => {
            statements.push(Statement::read(value));
        }
        Value::Mapping(members) => members
            .values()
            .for_each(|value| collect(value, statements)),
        Value::Sequence(items) => items.iter().for_each(|item| collect(item, statements)),
        Value::Tagged(tagged) => collect(&tagged.value, statements),
        _ => {}
    }
}

/// Stops a function that names a key in the table which the condition of its role
/// refuses.
pub fn demand(function: &str, asked: &Asked) {
    let Some(statements) = STATEMENTS.get(function) else {
        return;
    };
    for needed in needed(asked) {
        let Needed { action, keys } = &needed;
        assert!(
            statements.iter().any(|statement| statement.allows(&needed)),
            "{function} does {action} to {keys:?}, and its role in template.yaml does not allow it"
        );
    }
}

/// What a call needs of the table.
fn needed(asked: &Asked) -> Vec<Needed> {
    match (asked.service(), asked.operation()) {
        (Service::DynamoDb, "TransactWriteItems") => in_transaction(&asked.json()),
        (Service::DynamoDb, operation) => vec![of_items(operation, &asked.json())],
        _ => Vec::new(),
    }
}

fn in_transaction(transaction: &Json) -> Vec<Needed> {
    let actions = transaction["TransactItems"]
        .as_array()
        .into_iter()
        .flatten();
    let actions = actions.filter_map(Json::as_object).flatten();
    actions
        .map(|(action, on)| of_items(&format!("{action}Item"), on))
        .collect()
}

/// The keys of what is read or written. A query names its key in an expression, which is
/// not read here: no role has a condition on it.
fn of_items(operation: &str, request: &Json) -> Needed {
    let batches = request["RequestItems"].as_object();
    let batches = batches.into_iter().flat_map(|tables| tables.values());
    let batched = batches.flat_map(|batch| batch["Keys"].as_array().into_iter().flatten());
    let items = [&request["Key"], &request["Item"]]
        .into_iter()
        .chain(batched);
    Needed {
        action: format!("dynamodb:{operation}"),
        keys: items
            .filter_map(|item| item["pk"]["S"].as_str())
            .map(str::to_owned)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn details_may(action: &str, keys: &[&str]) -> bool {
        let needed = Needed {
            action: format!("dynamodb:{action}"),
            keys: keys.iter().map(|&key| key.to_owned()).collect(),
        };
        let mut statements = STATEMENTS["details"].iter();
        statements.any(|statement| statement.allows(&needed))
    }

    #[test]
    fn a_role_with_keys_allows_these_keys_only() {
        for action in [
            "BatchGetItem",
            "ConditionCheckItem",
            "PutItem",
            "DeleteItem",
        ] {
            assert!(details_may(action, &["PROFILE#1", "PROFILE#2"]), "{action}");
            assert!(!details_may(action, &["PROFILE#1", "EMAIL#x"]), "{action}");
            assert!(!details_may(action, &[]), "{action} without a key");
        }
    }

    #[test]
    fn the_keys_of_a_call_are_found() {
        let key = |pk: &str| json!({ "pk": { "S": pk }, "sk": { "S": "x" } });
        let table = json!({ "Keys": [key("a"), key("b")] });
        let batch = json!({ "RequestItems": { "table": table } });
        assert_eq!(of_items("BatchGetItem", &batch).keys, ["a", "b"]);
        let actions = [
            json!({ "ConditionCheck": { "Key": key("a") } }),
            json!({ "Put": { "Item": key("b") } }),
            json!({ "Delete": { "Key": key("c") } }),
        ];
        let needed = in_transaction(&json!({ "TransactItems": actions }));
        let needed = needed
            .iter()
            .map(|needed| (&*needed.action, &*needed.keys[0]));
        let expected = [
            ("dynamodb:ConditionCheckItem", "a"),
            ("dynamodb:PutItem", "b"),
            ("dynamodb:DeleteItem", "c"),
        ];
        assert!(needed.eq(expected));
    }
}
