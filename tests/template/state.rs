//! What holds data: the table, the bucket, the user pool.

use serde_yaml_ng::Value;

use crate::template::{Resource, Template, items, texts, written};
use crate::{assert_kept, assert_noticed};

const STATEFUL: [&str; 3] = [
    "AWS::DynamoDB::Table",
    "AWS::S3::Bucket",
    "AWS::Cognito::UserPool",
];

/// Deletion protection, by the parameter: on unless a deployment says otherwise.
fn data_is_protected(template: &Template) -> Vec<String> {
    let protections = [
        (
            "AWS::DynamoDB::Table",
            "DeletionProtectionEnabled",
            ["true", "false"],
        ),
        (
            "AWS::Cognito::UserPool",
            "DeletionProtection",
            ["ACTIVE", "INACTIVE"],
        ),
    ];
    let mut findings = Vec::new();
    for (kind, property, values) in protections {
        for resource in template.of_type(kind) {
            let is_by_parameter = match resource.property(property) {
                Value::Tagged(choice) => {
                    choice.tag == "If"
                        && choice.value[0] == "ProtectsData"
                        && texts(&choice.value)[1..] == values
                }
                _ => false,
            };
            if !is_by_parameter {
                findings.push(format!("{} can be deleted", resource.name));
            }
        }
    }
    let default = template
        .section("Parameters")
        .find(|(name, _)| *name == "DeletionProtection")
        .map(|(_, parameter)| written(&parameter["Default"]));
    if default.as_deref() != Some("true") {
        findings.push(format!("DeletionProtection is {default:?} by default"));
    }
    findings
}

/// Data outlives the stack, and a change that would replace what holds it.
fn data_outlives_the_stack(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for kind in STATEFUL {
        if template.of_type(kind).next().is_none() {
            findings.push(format!("there is no {kind}"));
        }
        for resource in template.of_type(kind) {
            let name = resource.name;
            let on_deletion = resource.attribute("DeletionPolicy");
            if !["Retain", "RetainExceptOnCreate"].contains(&on_deletion) {
                findings.push(format!("{name} goes with the stack"));
            }
            if resource.attribute("UpdateReplacePolicy") != "Retain" {
                findings.push(format!("{name} goes when it is replaced"));
            }
            // A name that is taken by what was retained stops the next stack.
            for property in ["TableName", "BucketName"] {
                if !resource.property(property).is_null() {
                    findings.push(format!("{name} has a fixed name"));
                }
            }
        }
    }
    findings
}

/// Nothing public, nothing unencrypted, nothing without TLS.
fn buckets_are_private(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for bucket in template.of_type("AWS::S3::Bucket") {
        let name = bucket.name;
        for switch in [
            "BlockPublicAcls",
            "BlockPublicPolicy",
            "IgnorePublicAcls",
            "RestrictPublicBuckets",
        ] {
            let path = format!("PublicAccessBlockConfiguration/{switch}");
            if bucket.property(&path).as_bool() != Some(true) {
                findings.push(format!("{name}: {switch} is not on"));
            }
        }
        if bucket.property("BucketEncryption").is_null() {
            findings.push(format!("{name} is not encrypted"));
        }
        if !bucket.property("AccessControl").is_null() {
            findings.push(format!("{name} has an ACL"));
        }
        if !template
            .of_type("AWS::S3::BucketPolicy")
            .any(|policy| demands_tls(policy, name))
        {
            findings.push(format!("{name} does not demand TLS"));
        }
    }
    for policy in template.of_type("AWS::S3::BucketPolicy") {
        for statement in items(policy.property("PolicyDocument/Statement")) {
            if statement["Effect"] != "Deny" {
                findings.push(format!("{} allows; roles are for that", policy.name));
            }
        }
    }
    findings
}

fn demands_tls(policy: Resource<'_>, bucket: &str) -> bool {
    let everything = [format!("${{{bucket}.Arn}}"), format!("${{{bucket}.Arn}}/*")];
    policy.text("Bucket") == format!("${{{bucket}}}")
        && items(policy.property("PolicyDocument/Statement"))
            .iter()
            .any(|statement| {
                statement["Effect"] == "Deny"
                    && written(&statement["Principal"]) == "*"
                    && written(&statement["Action"]) == "s3:*"
                    && texts(&statement["Resource"]) == everything
                    && written(&statement["Condition"]["Bool"]["aws:SecureTransport"]) == "false"
            })
}

/// Uploads and reports hold personal data and go after a while; so does what
/// an interrupted upload leaves.
fn files_go_after_a_while(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for bucket in template.of_type("AWS::S3::Bucket") {
        let rules = items(bucket.property("LifecycleConfiguration/Rules"));
        let enabled = || rules.iter().filter(|rule| rule["Status"] == "Enabled");
        for prefix in ["uploads/", "reports/"] {
            if !enabled().any(|rule| {
                rule["Prefix"] == prefix
                    && written(&rule["ExpirationInDays"]) == "${ReportRetentionDays}"
            }) {
                findings.push(format!("{}: {prefix} is kept for longer", bucket.name));
            }
        }
        if !enabled().any(|rule| {
            let days = &rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"];
            days.as_u64() == Some(1) && rule["Prefix"].is_null()
        }) {
            findings.push(format!("{} keeps unfinished uploads", bucket.name));
        }
    }
    for group in template.of_type("AWS::Logs::LogGroup") {
        if group.text("RetentionInDays") != "${LogRetentionDays}" {
            findings.push(format!("{} keeps its lines for another time", group.name));
        }
    }
    for parameter in ["ReportRetentionDays", "LogRetentionDays"] {
        let default = template
            .section("Parameters")
            .find(|(name, _)| *name == parameter)
            .and_then(|(_, parameter)| parameter["Default"].as_u64());
        if default != Some(30) {
            findings.push(format!("{parameter} is {default:?} by default"));
        }
    }
    findings
}

/// The policies of a queue.
fn policies_of<'a>(template: &'a Template, queue: &str) -> impl Iterator<Item = Resource<'a>> {
    template
        .of_type("AWS::SQS::QueuePolicy")
        .filter(move |policy| {
            items(policy.property("Queues"))
                .iter()
                .any(|name| written(name) == format!("${{{queue}}}"))
        })
}

/// S3, and only for our bucket in our account, may put into the import queue.
fn only_our_bucket_announces_uploads(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for policy in policies_of(template, "ImportQueue") {
        for statement in items(policy.property("PolicyDocument/Statement")) {
            let condition = &statement["Condition"];
            let account = written(&condition["StringEquals"]["aws:SourceAccount"]);
            let source = written(&condition["ArnLike"]["aws:SourceArn"]);
            if written(&statement["Principal"]["Service"]) != "s3.amazonaws.com"
                || account != "${AWS::AccountId}"
                || !source.contains("${AWS::StackName}-uploadsbucket-")
            {
                findings.push(format!("{} lets others in", policy.name));
            }
        }
    }
    let announced = template
        .find("AWS::S3::Bucket", "UploadsBucket")
        .into_iter()
        .flat_map(|bucket| items(bucket.property("NotificationConfiguration/QueueConfigurations")))
        .any(|target| {
            target["Event"] == "s3:ObjectCreated:*"
                && written(&target["Queue"]) == "${ImportQueue.Arn}"
                && target["Filter"]["S3Key"]["Rules"][0]["Value"] == "uploads/"
        });
    if !announced {
        findings.push("uploads are not announced to ImportQueue".to_owned());
    }
    findings
}

/// SES reports what is sent with our configuration set, and only the rule that
/// picks just that may put into the feedback queue.
fn only_our_mails_are_reported(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for policy in policies_of(template, "FeedbackQueue") {
        for statement in items(policy.property("PolicyDocument/Statement")) {
            let source = written(&statement["Condition"]["ArnEquals"]["aws:SourceArn"]);
            if written(&statement["Principal"]["Service"]) != "events.amazonaws.com"
                || source != "${FeedbackRule.Arn}"
            {
                findings.push(format!("{} lets others in", policy.name));
            }
        }
    }
    let picked = template
        .find("AWS::Events::Rule", "FeedbackRule")
        .is_some_and(|rule| {
            let tag = "EventPattern/detail/mail/tags/ses:configuration-set/0";
            rule.text(tag) == "${ConfigurationSet}"
                && rule.text("EventPattern/source/0") == "aws.ses"
                && rule.text("Targets/0/Arn") == "${FeedbackQueue.Arn}"
        });
    if !picked {
        findings.push("FeedbackRule does not pick our mails' events".to_owned());
    }
    let published: Vec<String> = template
        .of_type("AWS::SES::ConfigurationSetEventDestination")
        .filter(|events| events.text("ConfigurationSetName") == "${ConfigurationSet}")
        .flat_map(|events| items(events.property("EventDestination/MatchingEventTypes")))
        .map(written)
        .collect();
    for kind in REPORTED {
        if !published.iter().any(|published| published == kind) {
            findings.push(format!("SES does not publish {kind}"));
        }
    }
    findings
}

/// What the feedback function understands, as the schema of the resource spells it.
/// (The API of SES spells it `DELIVERY_DELAY`.)
const REPORTED: [&str; 6] = [
    "send",
    "delivery",
    "deliveryDelay",
    "bounce",
    "complaint",
    "reject",
];

/// On demand, recoverable, expiring, and with both indexes.
fn table_is_as_designed(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for table in template.of_type("AWS::DynamoDB::Table") {
        let name = table.name;
        let recovery = "PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled";
        if table.text("BillingMode") != "PAY_PER_REQUEST" {
            findings.push(format!("{name} is not on demand"));
        }
        if table.property(recovery).as_bool() != Some(true) {
            findings.push(format!("{name} cannot be restored"));
        }
        if table.text("TimeToLiveSpecification/AttributeName") != "expires_at"
            || table.property("TimeToLiveSpecification/Enabled").as_bool() != Some(true)
        {
            findings.push(format!("{name} does not expire its items"));
        }
        let indexes: Vec<(String, String)> = items(table.property("GlobalSecondaryIndexes"))
            .iter()
            .map(|index| {
                let projection = written(&index["Projection"]["ProjectionType"]);
                (written(&index["IndexName"]), projection)
            })
            .collect();
        for (index, projection) in [("due", "KEYS_ONLY"), ("listing", "ALL")] {
            if !indexes.contains(&(index.to_owned(), projection.to_owned())) {
                findings.push(format!("{name} has no index {index} with {projection}"));
            }
        }
    }
    findings
}

#[test]
fn data_is_retained() {
    assert_kept(data_outlives_the_stack);
    assert_noticed(
        data_outlives_the_stack,
        &[
            ("Resources/Table/DeletionPolicy", ""),
            ("Resources/UploadsBucket/DeletionPolicy", "Delete"),
            ("Resources/UserPool/UpdateReplacePolicy", ""),
            ("Resources/Table/Properties/TableName", "profiles"),
            ("Resources/UserPool", ""),
        ],
    );
}

#[test]
fn data_is_protected_from_deletion() {
    assert_kept(data_is_protected);
    assert_noticed(
        data_is_protected,
        &[
            ("Resources/Table/Properties/DeletionProtectionEnabled", ""),
            (
                "Resources/Table/Properties/DeletionProtectionEnabled",
                "false",
            ),
            (
                "Resources/UserPool/Properties/DeletionProtection",
                "!If [ProtectsData, INACTIVE, ACTIVE]",
            ),
            ("Parameters/DeletionProtection/Default", "'false'"),
        ],
    );
}

#[test]
fn the_bucket_is_private() {
    assert_kept(buckets_are_private);
    let block = "Resources/UploadsBucket/Properties/PublicAccessBlockConfiguration";
    let statement = "Resources/UploadsBucketPolicy/Properties/PolicyDocument/Statement/0";
    assert_noticed(
        buckets_are_private,
        &[
            (block, ""),
            (&format!("{block}/BlockPublicAcls"), "false"),
            (&format!("{block}/BlockPublicPolicy"), "false"),
            (&format!("{block}/IgnorePublicAcls"), ""),
            (&format!("{block}/RestrictPublicBuckets"), ""),
            ("Resources/UploadsBucket/Properties/BucketEncryption", ""),
            (
                "Resources/UploadsBucket/Properties/AccessControl",
                "PublicRead",
            ),
            ("Resources/UploadsBucketPolicy", ""),
            (&format!("{statement}/Effect"), "Allow"),
            (
                &format!("{statement}/Resource"),
                "[!GetAtt UploadsBucket.Arn]",
            ),
            (&format!("{statement}/Condition"), ""),
        ],
    );
}

#[test]
fn files_are_not_kept_for_ever() {
    assert_kept(files_go_after_a_while);
    let rules = "Resources/UploadsBucket/Properties/LifecycleConfiguration/Rules";
    assert_noticed(
        files_go_after_a_while,
        &[
            (&format!("{rules}/0/Status"), "Disabled"),
            (&format!("{rules}/1/ExpirationInDays"), ""),
            (&format!("{rules}/0/ExpirationInDays"), "3650"),
            (
                &format!("{rules}/1/ExpirationInDays"),
                "!Ref LogRetentionDays",
            ),
            (&format!("{rules}/2/AbortIncompleteMultipartUpload"), ""),
            (
                &format!("{rules}/2/AbortIncompleteMultipartUpload"),
                "{ DaysAfterInitiation: 30 }",
            ),
            (&format!("{rules}/2/Prefix"), "reports/"),
            ("Resources/MailerLogs/Properties/RetentionInDays", "365"),
            ("Resources/ApiAccessLogs/Properties/RetentionInDays", ""),
            ("Parameters/ReportRetentionDays/Default", "365"),
            ("Parameters/LogRetentionDays/Default", "1"),
        ],
    );
}

#[test]
fn uploads_are_announced_by_our_bucket_alone() {
    assert_kept(only_our_bucket_announces_uploads);
    let condition = "Resources/ImportQueuePolicy/Properties/PolicyDocument/Statement/0/Condition";
    let target =
        "Resources/UploadsBucket/Properties/NotificationConfiguration/QueueConfigurations/0";
    assert_noticed(
        only_our_bucket_announces_uploads,
        &[
            (condition, ""),
            (&format!("{condition}/StringEquals"), ""),
            (&format!("{condition}/ArnLike"), ""),
            (target, "{ Event: 's3:ObjectCreated:Put' }"),
            (&format!("{target}/Filter"), ""),
        ],
    );
}

#[test]
fn our_mails_alone_are_reported() {
    assert_kept(only_our_mails_are_reported);
    let statement = "Resources/FeedbackQueuePolicy/Properties/PolicyDocument/Statement/0";
    let rule = "Resources/FeedbackRule/Properties";
    let destination = "Resources/ConfigurationSetEvents/Properties";
    assert_noticed(
        only_our_mails_are_reported,
        &[
            (&format!("{statement}/Condition"), ""),
            (
                &format!("{statement}/Principal/Service"),
                "sns.amazonaws.com",
            ),
            (&format!("{rule}/EventPattern/detail"), ""),
            (&format!("{rule}/EventPattern/source/0"), "aws.s3"),
            (&format!("{rule}/Targets/0/Arn"), "!GetAtt MailQueue.Arn"),
            (&format!("{destination}/ConfigurationSetName"), "another"),
            (
                &format!("{destination}/EventDestination/MatchingEventTypes"),
                "[send, delivery]",
            ),
            (
                &format!("{destination}/EventDestination/MatchingEventTypes/2"),
                "DELIVERY_DELAY",
            ),
        ],
    );
}

#[test]
fn the_table_is_as_designed() {
    assert_kept(table_is_as_designed);
    let table = "Resources/Table/Properties";
    assert_noticed(
        table_is_as_designed,
        &[
            (&format!("{table}/BillingMode"), "PROVISIONED"),
            (&format!("{table}/PointInTimeRecoverySpecification"), ""),
            (
                &format!("{table}/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled"),
                "false",
            ),
            (&format!("{table}/TimeToLiveSpecification"), ""),
            (
                &format!("{table}/TimeToLiveSpecification/AttributeName"),
                "due_at",
            ),
            (&format!("{table}/TimeToLiveSpecification/Enabled"), "false"),
            (
                &format!("{table}/GlobalSecondaryIndexes/0/IndexName"),
                "late",
            ),
            (
                &format!("{table}/GlobalSecondaryIndexes/1/Projection/ProjectionType"),
                "KEYS_ONLY",
            ),
        ],
    );
}
