//! What each function may do: no emulator holds a function to its role, so that a
//! permission that is missing would be found on AWS only.
//!
//! Actions are looked at, and not what they are done to: the rules of the template
//! (`tests/template`) are about that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_yaml_ng::Value;

use crate::asked::{Asked, Service};

/// The actions that each role of `template.yaml` allows, by the role's name.
static ROLES: LazyLock<BTreeMap<String, BTreeSet<String>>> = LazyLock::new(|| {
    let template = include_str!("../../template.yaml");
    let template: Value = serde_yaml_ng::from_str(template).expect("YAML");
    let resources = template["Resources"].as_mapping().expect("resources");
    let roles = resources
        .iter()
        .filter(|(_, resource)| resource["Type"] == "AWS::IAM::Role");
    roles
        .map(|(name, role)| {
            let mut actions = BTreeSet::new();
            collect(&role["Properties"]["Policies"], &mut actions);
            (name.as_str().unwrap_or_default().to_owned(), actions)
        })
        .collect()
});

/// All texts under the key `Action`, however deep.
fn collect(value: &Value, actions: &mut BTreeSet<String>) {
    match value {
        Value::Mapping(members) => {
            for (key, value) in members {
                if key == "Action" {
                    let one = std::slice::from_ref(value);
                    let all = value.as_sequence().map_or(one, Vec::as_slice);
                    let names = all.iter().filter_map(Value::as_str);
                    actions.extend(names.map(str::to_owned));
                } else {
                    collect(value, actions);
                }
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| collect(item, actions)),
        Value::Tagged(tagged) => collect(&tagged.value, actions),
        _ => {}
    }
}

/// Stops whoever lets a function do what its role does not allow. Callers that are no
/// functions may do anything.
pub fn demand(function: &str, asked: &Asked) {
    let Some(allowed) = ROLES.get(&role(function)) else {
        return;
    };
    for action in actions(asked) {
        assert!(
            allowed.contains(&action),
            "{function} does {action}, and its role in template.yaml does not allow it"
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
fn actions(asked: &Asked) -> BTreeSet<String> {
    let operation = asked.operation();
    match asked.service() {
        Service::DynamoDb if operation == "TransactWriteItems" => in_transaction(asked),
        Service::DynamoDb => one("dynamodb", operation),
        Service::Sqs => one("sqs", operation.trim_end_matches("Batch")),
        Service::Ses => one("ses", operation),
        Service::Ssm => one("ssm", operation),
        Service::SecretsManager => one("secretsmanager", operation),
        Service::S3 => match operation {
            "GetObject" | "AbortMultipartUpload" => one("s3", operation),
            "ListParts" => one("s3", "ListMultipartUploadParts"),
            "ListObjectsV2" => one("s3", "ListBucket"),
            "Other" => BTreeSet::new(),
            _ => one("s3", "PutObject"),
        },
    }
}

fn one(service: &str, action: &str) -> BTreeSet<String> {
    BTreeSet::from([format!("{service}:{action}")])
}

fn in_transaction(asked: &Asked) -> BTreeSet<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Transaction {
        transact_items: Vec<BTreeMap<String, IgnoredAny>>,
    }
    let transaction: Transaction = serde_json::from_slice(&asked.body).expect("a transaction");
    let actions = transaction.transact_items.into_iter().flatten();
    actions
        .map(|(action, _)| match action.as_str() {
            "ConditionCheck" => "dynamodb:ConditionCheckItem".to_owned(),
            action => format!("dynamodb:{action}Item"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
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
        assert!(ROLES["DetailsRole"].contains("ssm:GetParameter"));
    }
}
