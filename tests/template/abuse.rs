//! Against abuse: parameters that go together, secrets that only their users read, and
//! alarms before SES stops an account's mail.

use std::collections::BTreeMap;

use serde_yaml_ng::Value;

use crate::template::{Template, branches, items, texts, written};
use crate::{assert_kept, assert_noticed};

/// The parameters of a deployment that differ from their defaults.
type Given<'a> = &'a [(&'a str, &'a str)];

/// Whether the template's rules let a deployment with these parameters begin.
fn begins(template: &Template, given: Given<'_>) -> bool {
    let mut parameters: BTreeMap<String, String> = template
        .section("Parameters")
        .map(|(name, parameter)| (name.to_owned(), written(&parameter["Default"])))
        .collect();
    for (name, value) in given {
        parameters.insert((*name).to_owned(), (*value).to_owned());
    }
    template.section("Rules").all(|(_, rule)| {
        let condition = &rule["RuleCondition"];
        let mut assertions = items(&rule["Assertions"]).iter();
        (!condition.is_null() && !holds(condition, &parameters))
            || assertions.all(|assertion| holds(&assertion["Assert"], &parameters))
    })
}

fn holds(condition: &Value, parameters: &BTreeMap<String, String>) -> bool {
    let Value::Tagged(function) = condition else {
        panic!("no condition: {condition:?}");
    };
    let value = |value: &Value| {
        let text = written(value);
        let name = text
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'));
        match name {
            Some(name) => parameters.get(name).cloned().unwrap_or_default(),
            None => text,
        }
    };
    let arguments = items(&function.value);
    let mut held = arguments.iter().map(|argument| holds(argument, parameters));
    match function.tag.to_string().as_str() {
        "!And" => held.all(|holds| holds),
        "!Or" => held.any(|holds| holds),
        "!Not" => !held.any(|holds| holds),
        "!Equals" => matches!(arguments, [one, other] if value(one) == value(other)),
        other => panic!("no condition: {other}"),
    }
}

/// What makes no sense alone stops a deployment before it begins.
fn parameters_go_together(template: &Template) -> Vec<String> {
    let captcha = ("CaptchaVerifyUrl", "https://captcha.example/siteverify");
    let captcha_secret = ("CaptchaSecretName", "captcha");
    let viewer = ("ViewerAddressHeader", "CloudFront-Viewer-Address");
    let origin_secret = ("OriginSecretName", "origin");
    let closed = ("DisableExecuteApiEndpoint", "true");
    let public = ("PublicUrl", "https://profiles.example.com");
    let cases: [(Given<'_>, bool); 10] = [
        (&[], true),
        (&[captcha], false),
        (&[captcha_secret], false),
        (&[captcha, captcha_secret], true),
        (&[viewer], false),
        (&[origin_secret], false),
        (&[viewer, origin_secret], true),
        (&[closed], false),
        (&[closed, public], true),
        (&[public], true),
    ];
    cases
        .into_iter()
        .filter(|(given, expected)| begins(template, given) != *expected)
        .map(|(given, expected)| format!("{given:?} begins: {}", !expected))
        .collect()
}

/// The API reads its own secrets and no others, and none where it has none; no secret
/// stands in a function's environment.
fn secrets_are_read_by_name(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    let role = template.find("AWS::IAM::Role", "ApiRole");
    let mut read = BTreeMap::new();
    for policy in role
        .iter()
        .flat_map(|role| items(role.property("Policies")))
    {
        let condition = match policy {
            Value::Tagged(function) => written(&items(&function.value)[0]),
            _ => "always".to_owned(),
        };
        for statement in branches(policy)
            .iter()
            .flat_map(|policy| items(&policy["PolicyDocument"]["Statement"]))
        {
            if texts(&statement["Action"]) == ["secretsmanager:GetSecretValue"] {
                read.insert(condition.clone(), texts(&statement["Resource"]));
            }
        }
    }
    let secret = |name: &str| {
        let prefix = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}";
        vec![format!("{prefix}:secret:${{{name}}}-??????")]
    };
    let expected = BTreeMap::from([
        ("HasCaptcha".to_owned(), secret("CaptchaSecretName")),
        ("HasEdge".to_owned(), secret("OriginSecretName")),
    ]);
    if read != expected {
        findings.push(format!("the API reads {read:?}"));
    }
    for (name, parameter) in template.section("Parameters") {
        if !parameter["NoEcho"].is_null() {
            findings.push(format!(
                "{name} is a secret, and would be in the environment"
            ));
        }
    }
    findings
}

/// SES looks into accounts at 5 % of bounces and at 0.1 % of complaints.
fn reputation_rings_in_time(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for (metric, most) in [
        ("Reputation.BounceRate", 0.05),
        ("Reputation.ComplaintRate", 0.001),
    ] {
        let mut alarms = template.of_type("AWS::CloudWatch::Alarm");
        let Some(alarm) = alarms.find(|alarm| alarm.text("MetricName") == metric) else {
            findings.push(format!("there is no alarm of {metric}"));
            continue;
        };
        let threshold = alarm.property("Threshold").as_f64();
        let as_it_should_be = alarm.text("Namespace") == "AWS/SES"
            && alarm.text("ComparisonOperator") == "GreaterThanOrEqualToThreshold"
            && alarm.text("TreatMissingData") == "notBreaching"
            && alarm.text("Statistic") == "Average"
            // Of the account: no metric of a configuration set stops it.
            && alarm.property("Dimensions").is_null()
            && !alarm.property("AlarmActions").is_null()
            && threshold.is_some_and(|threshold| threshold <= most);
        if !as_it_should_be {
            findings.push(format!("{} rings too late, or never", alarm.name));
        }
    }
    findings
}

/// The condition of an `!If` and its two values.
fn choice(value: &Value) -> Vec<String> {
    match value {
        Value::Tagged(function) if function.tag == "If" => texts(&function.value),
        _ => Vec::new(),
    }
}

/// Only who asks for it closes the API's own address, and then it is not told to others.
fn the_endpoint_closes_on_demand(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    let api = template.find("AWS::ApiGatewayV2::Api", "HttpApi");
    let closes = api.map(|api| choice(api.property("DisableExecuteApiEndpoint")));
    let address = template
        .section("Outputs")
        .find(|(name, _)| *name == "ApiUrl")
        .map(|(_, output)| choice(&output["Value"]));
    for (what, found, expected) in [
        (
            "HttpApi",
            closes,
            ["ClosesEndpoint", "true", "${AWS::NoValue}"],
        ),
        (
            "ApiUrl",
            address,
            ["ClosesEndpoint", "${PublicUrl}", "${HttpApi.ApiEndpoint}"],
        ),
    ] {
        let found = found.unwrap_or_default();
        if found != expected {
            findings.push(format!("{what} has {found:?}"));
        }
    }
    findings
}

#[test]
fn parameters_that_go_together_are_given_together() {
    assert_kept(parameters_go_together);
    let rules = [
        "CaptchaUrlAndSecretGoTogether",
        "ViewerAddressAndOriginSecretGoTogether",
        "AClosedEndpointNeedsAnotherAddress",
    ];
    for rule in rules {
        assert_noticed(parameters_go_together, &[(&format!("Rules/{rule}"), "")]);
    }
    assert_noticed(
        parameters_go_together,
        &[
            ("Rules/AClosedEndpointNeedsAnotherAddress/RuleCondition", ""),
            (
                "Rules/ViewerAddressAndOriginSecretGoTogether/Assertions/0/Assert",
                "!Not [!Equals [!Ref OriginSecretName, '']]",
            ),
        ],
    );
}

#[test]
fn the_api_reads_its_own_secrets_alone() {
    assert_kept(secrets_are_read_by_name);
    let policies = "Resources/ApiRole/Properties/Policies";
    assert_noticed(
        secrets_are_read_by_name,
        &[
            (&format!("{policies}/1"), ""),
            (&format!("{policies}/2/0"), "HasCaptcha"),
            (
                &format!("{policies}/1/1/PolicyDocument/Statement/0/Resource"),
                "!Sub 'arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${AWS::StackName}/*'",
            ),
            ("Parameters/CaptchaSecretName/NoEcho", "true"),
        ],
    );
}

#[test]
fn bounces_and_complaints_ring_before_ses_stops_the_mail() {
    assert_kept(reputation_rings_in_time);
    assert_noticed(
        reputation_rings_in_time,
        &[
            ("Resources/BounceRateAlarm", ""),
            ("Resources/BounceRateAlarm/Properties/Threshold", "5"),
            ("Resources/ComplaintRateAlarm/Properties/Threshold", "0.01"),
            ("Resources/ComplaintRateAlarm/Properties/Statistic", "Sum"),
            (
                "Resources/ComplaintRateAlarm/Properties/TreatMissingData",
                "breaching",
            ),
            (
                "Resources/BounceRateAlarm/Properties/Dimensions",
                "[{ Name: x, Value: y }]",
            ),
        ],
    );
}

#[test]
fn the_apis_own_address_is_closed_on_demand() {
    assert_kept(the_endpoint_closes_on_demand);
    assert_noticed(
        the_endpoint_closes_on_demand,
        &[
            (
                "Resources/HttpApi/Properties/DisableExecuteApiEndpoint",
                "true",
            ),
            ("Resources/HttpApi/Properties/DisableExecuteApiEndpoint", ""),
            ("Outputs/ApiUrl/Value", "!GetAtt HttpApi.ApiEndpoint"),
        ],
    );
}
