//! What each function may do: no emulator holds a function to its role, so that a
//! permission that is missing, or one that nothing needs, would be found on AWS only.
//!
//! A permission is an action and what it is done to: `dynamodb:Query index/due`,
//! `sqs:SendMessage chunk`, `s3:GetObject uploads`. A call that the role does not
//! allow stops the run; what the role allows and no call used is for
//! [`unused`] to say. Conditions on keys are for [`leading_keys`](crate::leading_keys).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_yaml_ng::Value;

use crate::asked::{Asked, Service};
use crate::template::template;

/// Permissions by function.
pub type Permissions = BTreeMap<String, BTreeSet<String>>;

/// What the roles of `template.yaml` allow.
static GRANTED: LazyLock<Permissions> = LazyLock::new(|| granted(template()));

/// What no call of a function's code shows, and the function needs all the same.
const NOT_CALLED: [(&str, &str, &str); 4] = [
    ("api", "s3:PutObject uploads", "signed, for whoever uploads"),
    (
        "api",
        "s3:GetObject reports",
        "signed, for whoever downloads",
    ),
    (
        "import-planner",
        "s3:ListBucket bucket",
        "so that S3 says 404",
    ),
    (
        "import-worker",
        "s3:ListBucket bucket",
        "so that S3 says 404",
    ),
];

/// What Lambda does by the role of a function that a queue triggers.
const OF_THE_POLLER: [&str; 3] = [
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
];

/// What a template allows its functions. Logs are left out: the runtime writes them.
pub fn granted(template: &Value) -> Permissions {
    let resources = template["Resources"].as_mapping().into_iter().flatten();
    let roles = resources.filter(|(_, resource)| resource["Type"] == "AWS::IAM::Role");
    let functions = roles.filter_map(|(name, role)| {
        let function = function_of(name.as_str()?)?;
        let mut permissions = BTreeSet::new();
        collect(&role["Properties"]["Policies"], &mut permissions);
        Some((function, permissions))
    });
    functions.collect()
}

/// `ImportWorkerRole` is the role of `import-worker`. That of a schedule is no
/// function's.
pub fn function_of(role: &str) -> Option<String> {
    let words = role.strip_suffix("Role")?;
    let mut name = String::new();
    for letter in words.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    (!name.ends_with("schedule")).then_some(name)
}

/// Every statement, however deep.
fn collect(value: &Value, permissions: &mut BTreeSet<String>) {
    match value {
        Value::Mapping(members) if members.contains_key("Action") => {
            for action in texts(&value["Action"]) {
                if action.starts_with("logs:") {
                    continue;
                }
                let targets = texts(&value["Resource"]).into_iter();
                permissions.extend(targets.map(|arn| permission(&action, target(&arn))));
            }
        }
        Value::Mapping(members) => {
            members
                .values()
                .for_each(|value| collect(value, permissions));
        }
        Value::Sequence(items) => items.iter().for_each(|item| collect(item, permissions)),
        Value::Tagged(tagged) => collect(&tagged.value, permissions),
        _ => {}
    }
}

/// The texts of a list, or of the one that stands for it; of `!GetAtt` and `!Sub`, too.
pub fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Sequence(items) => items.iter().flat_map(texts).collect(),
        Value::Tagged(tagged) => texts(&tagged.value),
        value => value.as_str().map(str::to_owned).into_iter().collect(),
    }
}

/// What an ARN of the template is: a table, an index, a queue, a folder.
fn target(arn: &str) -> String {
    let name = arn.trim_start_matches("${");
    let (resource, below) = name.split_once(".Arn").unwrap_or((name, ""));
    let below = below.trim_matches(['}', '/', '*', '_']);
    match resource {
        "Table" if below.is_empty() => "table".to_owned(),
        "UploadsBucket" if below.is_empty() => "bucket".to_owned(),
        "Table" | "UploadsBucket" => below.to_owned(),
        queue if queue.ends_with("Queue") => queue_of(queue),
        _ => String::new(),
    }
}

/// `BulkMailDeadLetterQueue` is `bulk-mail-dlq`.
fn queue_of(resource: &str) -> String {
    let name = function_of(&resource.replace("Queue", "Role")).unwrap_or_default();
    name.replace("-dead-letter", "-dlq")
}

fn permission(action: &str, target: String) -> String {
    format!("{action} {target}").trim_end().to_owned()
}

/// Stops whoever lets a function do what its role does not allow; says what it does.
/// Callers that are no functions may do anything.
pub fn demand(function: &str, asked: &Asked) -> BTreeSet<String> {
    let needed = needed(asked);
    if let Some(granted) = GRANTED.get(function) {
        for permission in &needed {
            assert!(
                granted.contains(permission),
                "{function} does {permission}, and its role in template.yaml does not allow it"
            );
        }
    }
    needed
}

/// What roles allow and nothing needs: no call of a function used it, Lambda does not
/// for its trigger, and `NOT_CALLED` has no reason for it.
pub fn unused(granted: &Permissions, used: &Permissions) -> Vec<String> {
    let none = BTreeSet::new();
    let mut findings = Vec::new();
    for (function, permissions) in granted {
        let used = used.get(function).unwrap_or(&none);
        for permission in permissions.difference(used) {
            let is_told = NOT_CALLED
                .iter()
                .any(|(other, told, _)| other == function && told == permission);
            if !is_told && !is_for_the_poller(permission, permissions) {
                findings.push(format!("{function} never does {permission}"));
            }
        }
    }
    let stale = NOT_CALLED.iter().filter(|(function, permission, _)| {
        granted
            .get(*function)
            .is_none_or(|granted| !granted.contains(*permission))
            || used
                .get(*function)
                .is_some_and(|used| used.contains(*permission))
    });
    findings.extend(stale.map(|(function, permission, _)| {
        format!("{function} does {permission} by a call, or may not: strike it off the list")
    }));
    findings
}

/// Lambda receives, deletes and counts; a role that may do but some of it with a queue
/// is not one of a trigger.
fn is_for_the_poller(permission: &str, granted: &BTreeSet<String>) -> bool {
    let Some((action, queue)) = permission.split_once(' ') else {
        return false;
    };
    OF_THE_POLLER.contains(&action)
        && OF_THE_POLLER
            .iter()
            .all(|action| granted.contains(&format!("{action} {queue}")))
        && !queue.ends_with("-dlq")
}

/// What a call needs.
fn needed(asked: &Asked) -> BTreeSet<String> {
    let operation = asked.operation();
    let one =
        |action: String, target: &str| BTreeSet::from([permission(&action, target.to_owned())]);
    match asked.service() {
        Service::DynamoDb if operation == "TransactWriteItems" => in_transaction(asked),
        Service::DynamoDb => one(format!("dynamodb:{operation}"), &table_or_index(asked)),
        Service::Sqs => {
            let action = operation.trim_end_matches("Batch");
            one(format!("sqs:{action}"), &asked.subject())
        }
        Service::Ses => one(format!("ses:{operation}"), ""),
        Service::Ssm => one(format!("ssm:{operation}"), ""),
        Service::SecretsManager => one(format!("secretsmanager:{operation}"), ""),
        Service::S3 => match operation {
            "GetObject" | "AbortMultipartUpload" => one(format!("s3:{operation}"), folder(asked)),
            "ListParts" => one("s3:ListMultipartUploadParts".to_owned(), folder(asked)),
            "ListObjectsV2" => one("s3:ListBucket".to_owned(), "bucket"),
            "Other" => BTreeSet::new(),
            _ => one("s3:PutObject".to_owned(), folder(asked)),
        },
    }
}

fn table_or_index(asked: &Asked) -> String {
    let index = asked.json()["IndexName"].as_str().map(str::to_owned);
    index.map_or("table".to_owned(), |index| format!("index/{index}"))
}

/// `uploads` of `/bucket/uploads/people.csv`.
fn folder(asked: &Asked) -> &str {
    asked.path.split('/').nth(2).unwrap_or_default()
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
            "ConditionCheck" => "dynamodb:ConditionCheckItem table".to_owned(),
            action => format!("dynamodb:{action}Item table"),
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
        let found: Vec<_> = GRANTED.keys().collect();
        assert_eq!(found, functions);
        for (function, permission) in [
            ("api", "dynamodb:Query index/listing"),
            ("api", "s3:PutObject uploads"),
            // That of a condition of the template is one, too.
            ("details", "ssm:GetParameter"),
            ("import-planner", "s3:ListBucket bucket"),
            ("operations", "sqs:ReceiveMessage bulk-mail-dlq"),
            ("sweeper", "sqs:SendMessage bulk-mail"),
            ("sweeper", "ses:GetAccount"),
        ] {
            assert!(GRANTED[function].contains(permission), "{permission}");
        }
    }

    #[test]
    fn what_nothing_needs_is_said() {
        let granted = |permissions: &[&str]| {
            let permissions = permissions.iter().map(|text| (*text).to_owned());
            Permissions::from([("mailer".to_owned(), permissions.collect())])
        };
        let polls = [
            "sqs:ReceiveMessage mail",
            "sqs:DeleteMessage mail",
            "sqs:GetQueueAttributes mail",
        ];
        let told = |allowed: &[&str], used: &[&str]| {
            let findings = unused(&granted(allowed), &granted(used));
            findings
                .iter()
                .filter(|finding| finding.starts_with("mailer"))
                .count()
        };
        assert_eq!(told(&polls, &[]), 0, "Lambda polls");
        assert_eq!(told(&polls[..2], &[]), 2, "nobody polls so");
        let table = "dynamodb:GetItem table";
        assert_eq!(told(&[table], &[table]), 0);
        assert_eq!(told(&[table, "dynamodb:DeleteItem table"], &[table]), 1);
        assert_eq!(
            told(&["sqs:SendMessage chunk"], &["sqs:SendMessage mail"]),
            1
        );
    }
}
