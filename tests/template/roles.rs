//! The roles: each function may do what it does, to what it does it to.

use std::collections::BTreeSet;

use serde_yaml_ng::Value;

use crate::queues::{dead_letter_queues, triggers};
use crate::template::{Resource, Template, branches, entries, items, referenced, texts, written};
use crate::{assert_kept, assert_noticed};

/// The one function that reads queues without being triggered by them.
const OPERATIONS: &str = "OperationsFunction";

fn statements(role: Resource<'_>) -> impl Iterator<Item = &Value> {
    items(role.property("Policies"))
        .iter()
        .flat_map(branches)
        .flat_map(|policy| items(&policy["PolicyDocument"]["Statement"]))
}

/// A role of its own for every function, for Lambda only, and nothing beside
/// it: SAM drops a function's `Policies` when it has a `Role`.
fn functions_have_their_own_roles(template: &Template) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut findings = Vec::new();
    for function in template.of_type("AWS::Serverless::Function") {
        let name = function.name;
        let text = function.text("Role");
        let role = referenced(&text).and_then(|role| template.find("AWS::IAM::Role", role));
        let Some(role) = role else {
            findings.push(format!("{name} has no role of the template"));
            continue;
        };
        if !taken.insert(role.name) {
            findings.push(format!("{name}: {} is another function's too", role.name));
        }
        if !function.property("Policies").is_null() {
            findings.push(format!("{name}: its Policies belong to {}", role.name));
        }
        if !role.property("ManagedPolicyArns").is_null() {
            findings.push(format!(
                "{}: managed policies allow more than is used",
                role.name
            ));
        }
        for trusted in items(role.property("AssumeRolePolicyDocument/Statement")) {
            if written(&trusted["Principal"]["Service"]) != "lambda.amazonaws.com" {
                findings.push(format!("{} trusts more than Lambda", role.name));
            }
        }
    }
    findings
}

/// Every role, also one that no function has, is bounded by what the account's
/// administrators say.
fn roles_can_be_bounded(template: &Template) -> Vec<String> {
    template
        .of_type("AWS::IAM::Role")
        .filter(|role| match role.property("PermissionsBoundary") {
            Value::Tagged(choice) => {
                choice.tag != "If"
                    || choice.value[0] != "HasPermissionsBoundary"
                    || texts(&choice.value)[1..] != ["${PermissionsBoundary}", "${AWS::NoValue}"]
            }
            _ => true,
        })
        .map(|role| format!("{} has no boundary", role.name))
        .collect()
}

/// What AWS lets nobody allow on anything narrower than the account.
const OF_THE_ACCOUNT: [&str; 2] = ["ses:GetAccount", "ses:DeleteSuppressedDestination"];

/// What is made outside the template, under a name that says whose it is.
const BY_NAME: [&str; 1] = [
    "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${AWS::StackName}/*",
];

/// Every action is named, and so is what it is done to.
fn permissions_name_what_they_are_for(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for role in template.of_type("AWS::IAM::Role") {
        if statements(role).next().is_none() {
            findings.push(format!("{} allows nothing", role.name));
        }
        for statement in statements(role) {
            let actions = texts(&statement["Action"]);
            let resources = texts(&statement["Resource"]);
            if actions.is_empty() || actions.iter().any(|action| action.contains('*')) {
                findings.push(format!("{}: {actions:?} are not named actions", role.name));
            }
            if resources.is_empty() {
                findings.push(format!("{}: {actions:?} have no resource", role.name));
            }
            for resource in resources {
                let of_account = actions
                    .iter()
                    .all(|action| OF_THE_ACCOUNT.contains(&&**action));
                let allowed = (of_account && resource == "*")
                    || BY_NAME.contains(&&*resource)
                    || is_narrow(&resource, !statement["Condition"].is_null());
                if !allowed {
                    findings.push(format!("{}: {actions:?} on {resource}", role.name));
                }
            }
        }
    }
    findings
}

/// Whether a resource is one of the template's or something below it. What is
/// not the template's (an SES identity) may be a pattern under a condition.
fn is_narrow(resource: &str, under_condition: bool) -> bool {
    let ours = resource
        .split("${")
        .skip(1)
        .any(|rest| !rest.starts_with("AWS::"));
    let (_, below) = resource.rsplit_once('}').unwrap_or(("", resource));
    match below.strip_suffix('*') {
        None => ours || under_condition,
        Some(prefix) => {
            prefix.ends_with('/')
                && prefix.len() > 1
                && !prefix.contains('*')
                && (ours || (under_condition && resource.starts_with("arn:")))
        }
    }
}

/// A function may receive from the queues that trigger it, and from no other.
fn queues_are_read_by_their_readers(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for function in template.of_type("AWS::Serverless::Function") {
        if function.name == OPERATIONS {
            continue;
        }
        let read: BTreeSet<String> = triggers(template)
            .into_iter()
            .filter(|trigger| trigger.function.name == function.name)
            .map(|trigger| trigger.queue)
            .collect();
        for action in [
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
        ] {
            let allowed = allowed(template, function, action);
            if allowed != read {
                findings.push(format!(
                    "{} reads {read:?} and has {action} on {allowed:?}",
                    function.name
                ));
            }
        }
    }
    findings
}

/// The operations take from every dead-letter queue and from no other, send to
/// every other queue, and count them all. That is all they do with queues.
fn operations_handle_what_is_dead(template: &Template) -> Vec<String> {
    let Some(function) = template.find("AWS::Serverless::Function", OPERATIONS) else {
        return vec![format!("there is no {OPERATIONS}")];
    };
    let queues = template.of_type("AWS::SQS::Queue");
    let all: BTreeSet<_> = queues.map(|queue| queue.name.to_owned()).collect();
    let dead = dead_letter_queues(template);
    let alive: BTreeSet<_> = all.difference(&dead).cloned().collect();
    let mut findings = Vec::new();
    for (action, wanted) in [
        ("sqs:ReceiveMessage", &dead),
        ("sqs:DeleteMessage", &dead),
        ("sqs:ChangeMessageVisibility", &dead),
        ("sqs:SendMessage", &alive),
        ("sqs:GetQueueAttributes", &all),
        ("sqs:PurgeQueue", &BTreeSet::new()),
    ] {
        let allowed = allowed(template, function, action);
        if allowed != *wanted {
            findings.push(format!(
                "{OPERATIONS} has {action} on {allowed:?}, not {wanted:?}"
            ));
        }
    }
    findings
}

/// What the API signs, it has others do. It signs uploads that it was asked for, and
/// downloads of reports.
fn signatures_reach_no_further(template: &Template) -> Vec<String> {
    let signed = [
        ("s3:PutObject", "${UploadsBucket.Arn}/uploads/_/*"),
        ("s3:GetObject", "${UploadsBucket.Arn}/reports/*"),
    ];
    let signed = signed.map(|(action, object)| (action.to_owned(), object.to_owned()));
    let role = template.find("AWS::IAM::Role", "ApiRole");
    let allowed: BTreeSet<_> = role
        .into_iter()
        .flat_map(statements)
        .flat_map(|statement| {
            let resources = texts(&statement["Resource"]);
            let of_action = move |action: String| {
                let resources = resources.clone().into_iter();
                resources.map(move |resource| (action.clone(), resource))
            };
            texts(&statement["Action"]).into_iter().flat_map(of_action)
        })
        .filter(|(action, _)| action.starts_with("s3:"))
        .collect();
    match allowed == BTreeSet::from(signed) {
        true => Vec::new(),
        false => vec![format!("the API may sign {allowed:?}")],
    }
}

/// What is done to items, and so held by a condition on their keys.
const OF_ITEMS: [&str; 4] = [
    "dynamodb:BatchGetItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:PutItem",
];

/// What strangers' answers pass through, reaches profiles and what lies beside them.
fn details_keep_to_profiles(template: &Template) -> Vec<String> {
    let role = template.find("AWS::IAM::Role", "DetailsRole");
    let mut findings = Vec::new();
    let mut reads = false;
    for statement in role.into_iter().flat_map(statements) {
        let keys =
            texts(&statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]);
        for action in texts(&statement["Action"]) {
            reads |= action == "dynamodb:BatchGetItem";
            let is_of_table = action.starts_with("dynamodb:");
            if is_of_table && !(OF_ITEMS.contains(&&*action) && keys == ["PROFILE#*"]) {
                findings.push(format!(
                    "the details may do {action} to items under {keys:?}"
                ));
            }
        }
    }
    if !reads {
        findings.push("the details read no profile".to_owned());
    }
    findings
}

/// `ForAllValues` holds for a request that lacks the key, so the key must be demanded
/// beside it. (IAM User Guide, "Multivalued context key examples".)
fn conditions_demand_their_keys(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for role in template.of_type("AWS::IAM::Role") {
        for condition in statements(role).map(|statement| &statement["Condition"]) {
            for (operator, keys) in entries(condition) {
                if !operator.starts_with("ForAllValues:") {
                    continue;
                }
                let lacks = entries(keys)
                    .filter(|(key, _)| written(&condition["Null"][*key]) != "false")
                    .map(|(key, _)| format!("{}: {operator} without {key} allows all", role.name));
                findings.extend(lacks);
            }
        }
    }
    findings
}

/// What a function may do this to.
pub(crate) fn allowed(
    template: &Template,
    function: Resource<'_>,
    action: &str,
) -> BTreeSet<String> {
    let text = function.text("Role");
    let role = referenced(&text).and_then(|role| template.find("AWS::IAM::Role", role));
    role.into_iter()
        .flat_map(statements)
        .filter(|statement| {
            texts(&statement["Action"])
                .iter()
                .any(|named| named == action)
        })
        .flat_map(|statement| texts(&statement["Resource"]))
        .map(|arn| referenced(&arn).unwrap_or(&arn).to_owned())
        .collect()
}

#[test]
fn each_function_has_a_role_of_its_own() {
    assert_kept(functions_have_their_own_roles);
    assert_noticed(
        functions_have_their_own_roles,
        &[
            ("Resources/ApiFunction/Properties/Role", ""),
            (
                "Resources/ApiFunction/Properties/Role",
                "!GetAtt MailerRole.Arn",
            ),
            (
                "Resources/ApiFunction/Properties/Policies",
                "[AmazonSQSFullAccess]",
            ),
            (
                "Resources/MailerRole/Properties/ManagedPolicyArns",
                "[arn:aws:iam::aws:policy/AmazonSESFullAccess]",
            ),
            (
                "Resources/ApiRole/Properties/AssumeRolePolicyDocument/Statement/0/Principal",
                "{ AWS: '*' }",
            ),
        ],
    );
}

#[test]
fn every_role_has_the_boundary() {
    assert_kept(roles_can_be_bounded);
    assert_noticed(
        roles_can_be_bounded,
        &[
            ("Resources/MailerRole/Properties/PermissionsBoundary", ""),
            (
                "Resources/SweeperScheduleRole/Properties/PermissionsBoundary",
                "!If [HasPermissionsBoundary, !Ref AWS::NoValue, !Ref PermissionsBoundary]",
            ),
            ("Resources/NewRole", "{ Type: AWS::IAM::Role }"),
        ],
    );
}

#[test]
fn permissions_name_their_actions_and_resources() {
    assert_kept(permissions_name_what_they_are_for);
    let api = "Resources/ApiRole/Properties/Policies/0/PolicyDocument/Statement/1";
    let sources = "Resources/DetailsRole/Properties/Policies/1/1/PolicyDocument/Statement";
    assert_noticed(
        permissions_name_what_they_are_for,
        &[
            (&format!("{api}/Resource"), "'*'"),
            (&format!("{api}/Resource"), "['*']"),
            (&format!("{api}/Resource"), ""),
            (&format!("{api}/Resource"), "!Sub '${Table.Arn}*'"),
            (&format!("{api}/Resource"), "!Sub '${UploadsBucket.Arn}/*'"),
            (
                &format!("{api}/Resource"),
                "arn:aws:dynamodb:*:*:table/profiles",
            ),
            (
                &format!("{api}/Resource"),
                "!Sub 'arn:aws:dynamodb:${AWS::Region}:${AWS::AccountId}:table/*'",
            ),
            (&format!("{api}/Action"), "dynamodb:*"),
            (&format!("{api}/Action"), ""),
            ("Resources/ApiRole/Properties/Policies", ""),
            // Permissions under a condition of the template are no exception.
            (
                &format!("{sources}/0/Resource"),
                "!Sub 'arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/*'",
            ),
            (
                &format!("{sources}/1/Resource"),
                "!Sub 'arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:*'",
            ),
            (&format!("{sources}/1/Action"), "secretsmanager:*"),
            // What may stand on the whole account, stands there alone.
            (
                "Resources/SweeperRole/Properties/Policies/0/PolicyDocument/Statement/5/Action",
                "[ses:GetAccount, ses:SendEmail]",
            ),
            // The pattern of SES identities stands on its condition.
            (
                "Resources/MailerRole/Properties/Policies/0/PolicyDocument/Statement/3/Condition",
                "",
            ),
        ],
    );
}

#[test]
fn queues_are_received_from_by_those_they_trigger() {
    assert_kept(queues_are_read_by_their_readers);
    assert_noticed(
        queues_are_read_by_their_readers,
        &[
            (
                "Resources/MailerRole/Properties/Policies/0/PolicyDocument/Statement/1/Resource",
                "!GetAtt MailQueue.Arn",
            ),
            (
                "Resources/ImportWorkerRole/Properties/Policies/0/PolicyDocument/Statement/1/Resource",
                "[!GetAtt ChunkQueue.Arn, !GetAtt MailQueue.Arn]",
            ),
            (
                "Resources/ApiRole/Properties/Policies/0/PolicyDocument/Statement/3/Action",
                "[sqs:SendMessage, sqs:ReceiveMessage]",
            ),
        ],
    );
}

#[test]
fn dead_letters_are_handled_by_the_operations() {
    assert_kept(operations_handle_what_is_dead);
    let statements = "Resources/OperationsRole/Properties/Policies/0/PolicyDocument/Statement";
    assert_noticed(
        operations_handle_what_is_dead,
        &[
            ("Resources/OperationsFunction", ""),
            (
                &format!("{statements}/3/Resource/0"),
                "!GetAtt MailQueue.Arn",
            ),
            (
                &format!("{statements}/3/Action"),
                "[sqs:ReceiveMessage, sqs:PurgeQueue]",
            ),
            (
                &format!("{statements}/4/Resource/3"),
                "!GetAtt ChunkDeadLetterQueue.Arn",
            ),
            (&format!("{statements}/2/Resource"), "!GetAtt MailQueue.Arn"),
            ("Resources/NewQueue", "{ Type: AWS::SQS::Queue }"),
        ],
    );
}

#[test]
fn the_api_signs_uploads_and_downloads_of_reports() {
    assert_kept(signatures_reach_no_further);
    let statements = "Resources/ApiRole/Properties/Policies/0/PolicyDocument/Statement";
    assert_noticed(
        signatures_reach_no_further,
        &[
            (
                &format!("{statements}/4/Resource"),
                "!Sub '${UploadsBucket.Arn}/uploads/*'",
            ),
            (&format!("{statements}/4/Action"), "s3:GetObject"),
            (
                &format!("{statements}/5/Action"),
                "[s3:GetObject, s3:DeleteObject]",
            ),
            (&format!("{statements}/5"), ""),
        ],
    );
}

#[test]
fn strangers_answers_stay_beside_their_profile() {
    assert_kept(details_keep_to_profiles);
    let table = "Resources/DetailsRole/Properties/Policies/0/PolicyDocument/Statement/1";
    assert_noticed(
        details_keep_to_profiles,
        &[
            (table, ""),
            (
                &format!("{table}/Action"),
                "[dynamodb:BatchGetItem, dynamodb:Scan]",
            ),
            (&format!("{table}/Condition"), ""),
            (
                &format!("{table}/Condition"),
                "{ 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['*'] } }",
            ),
        ],
    );
}

#[test]
fn a_condition_on_all_values_demands_one() {
    assert_kept(conditions_demand_their_keys);
    let condition =
        "Resources/DetailsRole/Properties/Policies/0/PolicyDocument/Statement/1/Condition";
    assert_noticed(
        conditions_demand_their_keys,
        &[
            (&format!("{condition}/Null"), ""),
            (
                &format!("{condition}/Null"),
                "{ 'dynamodb:LeadingKeys': 'true' }",
            ),
            (
                &format!("{condition}/Null"),
                "{ 'dynamodb:Attributes': 'false' }",
            ),
            (
                "Resources/MailerRole/Properties/Policies/0/PolicyDocument/Statement/0/Condition",
                "{ 'ForAllValues:StringEquals': { 'aws:TagKeys': ['x'] } }",
            ),
        ],
    );
}
