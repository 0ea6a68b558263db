//! Where details come from: public addresses, over TLS. Only a function that calls an
//! emulator on its own machine also asks sources there. It knows that by the variable
//! `AWS_ENDPOINT_URL`, which emulators set and AWS does not.

use serde_yaml_ng::Value;

use crate::template::{Template, entries};
use crate::{assert_kept, assert_noticed};

/// What the SDKs read as the address of AWS, or of one of its services.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// A deployment that sets the variable could send calls, and sources, elsewhere.
fn no_function_is_told_where_aws_is(template: &Template) -> Vec<String> {
    let functions = template.of_type("AWS::Serverless::Function");
    let own = functions.map(|function| (function.name, function.property("Environment/Variables")));
    let shared = template.of_every_function("Environment/Variables");
    std::iter::once(("Globals", shared))
        .chain(own)
        .flat_map(|(place, variables)| entries(variables).map(move |(name, _)| (place, name)))
        .filter(|(_, name)| name.starts_with(ENDPOINT))
        .map(|(place, name)| format!("{place} sets {name}"))
        .collect()
}

/// CloudFormation documents rules as checks of parameters, and says nothing of pseudo
/// parameters such as `AWS::AccountId` in them. If it refuses one, nothing deploys.
fn rules_name_parameters_only(template: &Template) -> Vec<String> {
    let parameters: Vec<_> = template
        .section("Parameters")
        .map(|(name, _)| name)
        .collect();
    let mut findings = Vec::new();
    for (name, rule) in template.section("Rules") {
        let mut named = Vec::new();
        references(rule, &mut named);
        named.retain(|reference| !parameters.contains(&reference.as_str()));
        findings.extend(named.iter().map(|other| format!("{name} names {other}")));
    }
    findings
}

/// What a value refers to by `!Ref`, however deep; `!Sub` and `!GetAtt` count whole.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Tagged(tagged) => match (tagged.tag.to_string().as_str(), &tagged.value) {
            ("!Ref" | "!Sub" | "!GetAtt", Value::String(text)) => found.push(text.clone()),
            (_, value) => references(value, found),
        },
        Value::Sequence(items) => items.iter().for_each(|item| references(item, found)),
        Value::Mapping(members) => members.values().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn sources_are_local_on_an_emulator_only() {
    assert_kept(no_function_is_told_where_aws_is);
    let details = "Resources/DetailsFunction/Properties/Environment/Variables";
    assert_noticed(
        no_function_is_told_where_aws_is,
        &[
            (&format!("{details}/AWS_ENDPOINT_URL"), "http://127.0.0.1:1"),
            (&format!("{details}/AWS_ENDPOINT_URL_SSM"), "x"),
            (
                "Globals/Function/Environment/Variables/AWS_ENDPOINT_URL",
                "x",
            ),
        ],
    );
}

#[test]
fn rules_check_parameters_only() {
    assert_kept(rules_name_parameters_only);
    let assertions = "Rules/IssuerAndAudienceGoTogether/Assertions";
    assert_noticed(
        rules_name_parameters_only,
        &[
            (
                &format!("{assertions}/0/Assert"),
                "!Equals [!Ref AWS::AccountId, '000000000000']",
            ),
            (
                "Rules/IssuerAndAudienceGoTogether/RuleCondition",
                "!Not [!Equals [!Sub '${AWS::Region}', 'eu-central-1']]",
            ),
        ],
    );
}
