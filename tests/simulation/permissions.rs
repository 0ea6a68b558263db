//! What each function may do: no emulator holds a function to its role, so that a
//! permission that is missing would be found on AWS only.
//!
//! Looked at are actions, and the keys of items where a role has a condition on them. The
//! other resources and conditions are the business of the template's rules
//! (`tests/template`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value as Json;
use serde_yaml_ng::Value;

use crate::asked::{Asked, Service};

/// What each role of `template.yaml` allows, by the role's name.
static ROLES: LazyLock<BTreeMap<String, Vec<Statement>>> = LazyLock::new(|| {
    let template = include_str!("../../template.yaml");
    let template: Value = serde_yaml_ng::from_str(template).expect("YAML");
    let resources = template["Resources"].as_mapping().expect("resources");
    let roles = resources
        .iter()
        .filter(|(_, resource)| resource["Type"] == "AWS::IAM::Role");
    roles
        .map(|(name, role)| {
            let mut statements = Vec::new();
            collect(&role["Properties"]["Policies"], &mut statements);
            (name.as_str().unwrap_or_default().to_owned(), statements)
        })
        .collect()
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

fn texts(value: &Value) -> Vec<String> {
    let one = std::slice::from_ref(value);
    let all = value.as_sequence().map_or(one, Vec::as_slice);
    let names = all.iter().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}

/// All mappings with the key `Action`, however deep.
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

/// Stops whoever lets a function do what its role does not allow. Callers that are no
/// functions may do anything.
pub fn demand(function: &str, asked: &Asked) {
    let Some(statements) = ROLES.get(&role(function)) else {
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

/// `import-worker` has the role `ImportWorkerRole`.
fn role(function: &str) -> String {
    let words = function.split('-').filter_map(|word| {
        let (first, rest) = word.split_at_checked(1)?;
        Some(first.to_ascii_uppercase() + rest)
    });
    words.chain(["Role".to_owned()]).collect()
}

/// What a call needs.
fn needed(asked: &Asked) -> Vec<Needed> {
    let operation = asked.operation();
    match asked.service() {
        Service::DynamoDb if operation == "TransactWriteItems" => in_transaction(&asked.json()),
        Service::DynamoDb => vec![of_items(operation, &asked.json())],
        Service::Sqs => one("sqs", operation.trim_end_matches("Batch")),
        Service::Ses => one("ses", operation),
        Service::Ssm => one("ssm", operation),
        Service::SecretsManager => one("secretsmanager", operation),
        Service::S3 => match operation {
            "GetObject" => one("s3", operation),
            "ListObjectsV2" => one("s3", "ListBucket"),
            "Other" => Vec::new(),
            _ => one("s3", "PutObject"),
        },
    }
}

fn one(service: &str, action: &str) -> Vec<Needed> {
    let action = format!("{service}:{action}");
    let keys = Vec::new();
    vec![Needed { action, keys }]
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

    #[test]
    fn every_function_is_held_to_a_role() {
        let functions = [
            "api",
            "details",
            "feedback",
            "import-planner",
            "import-worker",
            "mailer",
            "operations",
            "sweeper",
        ];
        for function in functions {
            let allowed = ROLES.get(&role(function));
            assert!(
                allowed.is_some_and(|allowed| !allowed.is_empty()),
                "{function}"
            );
        }
        // That of a condition of the template is one, too.
        let mut of_details = ROLES["DetailsRole"].iter();
        let needed = one("ssm", "GetParameter");
        assert!(of_details.any(|statement| statement.allows(&needed[0])));
    }

    fn details_may(action: &str, keys: &[&str]) -> bool {
        let needed = Needed {
            action: format!("dynamodb:{action}"),
            keys: keys.iter().map(|&key| key.to_owned()).collect(),
        };
        let mut statements = ROLES["DetailsRole"].iter();
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
