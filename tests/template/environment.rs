//! Lambda takes 4 KB of variables, and measures them as JSON: what a deployment says
//! must fit, whatever it says.

use serde_yaml_ng::Value;

use crate::template::{Resource, Template, branches, entries, referenced, written};
use crate::{assert_kept, assert_noticed};

const MOST: usize = 4096;

/// Characters of names that CloudFormation makes, or AWS does, at the most.
const LONGEST: [(&str, usize); 6] = [
    // https://sqs.<region>.amazonaws.com/<account>/<name of 80>
    ("AWS::SQS::Queue", 160),
    ("AWS::DynamoDB::Table", 255),
    ("AWS::S3::Bucket", 63),
    ("AWS::SES::ConfigurationSet", 64),
    ("AWS::ApiGatewayV2::Api", 100),
    ("AWS::SecretsManager::Secret", 200),
];

/// Parameters in which anything may stand: a character takes up to six bytes as
/// `\u00e4`.
const OF_ANY_CHARACTERS: [&str; 2] = ["ProductName", "MailFooter"];
/// Parameters that are JSON: each quotation mark is escaped.
const OF_JSON: [&str; 1] = ["ImportPresets"];

/// The bytes that the value of a parameter takes at the most; nothing if there is no
/// most.
fn of_parameter(name: &str, parameter: &Value) -> Option<usize> {
    if parameter["Type"] == "Number" {
        return Some(20);
    }
    if let Some(allowed) = parameter["AllowedValues"].as_sequence() {
        return allowed.iter().map(|value| written(value).len()).max();
    }
    let bytes = match name {
        _ if OF_ANY_CHARACTERS.contains(&name) => 6,
        _ if OF_JSON.contains(&name) => 2,
        _ => 1,
    };
    let longest = parameter["MaxLength"].as_u64();
    let longest = longest.or((name == "AccentColour").then_some(7))?;
    Some(bytes * usize::try_from(longest).ok()?)
}

/// The bytes that a value takes at the most; nothing if there is no most.
fn longest(template: &Template, value: &Value) -> Option<usize> {
    let choices = branches(value).iter().map(|choice| {
        let text = written(choice);
        let Some(name) = referenced(&text) else {
            return Some(text.len());
        };
        let parameter = template
            .section("Parameters")
            .find(|(known, _)| *known == name);
        if let Some((_, parameter)) = parameter {
            return of_parameter(name, parameter);
        }
        let resource = template
            .resources()
            .find(|resource| resource.name == name)?;
        let kind = resource.attribute("Type");
        let known = LONGEST.iter().find(|(known, _)| *known == kind);
        known.map(|(_, length)| *length)
    });
    choices.collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn too_much(template: &Template, function: Resource<'_>) -> Vec<String> {
    let shared = template.of_every_function("Environment/Variables");
    let own = function.property("Environment/Variables");
    let mut total = 2;
    let mut findings = Vec::new();
    for (name, value) in entries(shared).chain(entries(own)) {
        match longest(template, value) {
            // "NAME":"value",
            Some(length) => total += name.len() + length + 6,
            None => findings.push(format!("{}: {name} has no longest value", function.name)),
        }
    }
    if total > MOST {
        findings.push(format!(
            "{}: its variables may take {total} bytes",
            function.name
        ));
    }
    findings
}

/// No deployment fails on what its parameters come to together.
fn variables_fit(template: &Template) -> Vec<String> {
    template
        .of_type("AWS::Serverless::Function")
        .flat_map(|function| too_much(template, function))
        .collect()
}

#[test]
fn all_variables_of_a_function_fit_into_four_kilobytes() {
    assert_kept(variables_fit);
    let variables = "Resources/ApiFunction/Properties/Environment/Variables";
    assert_noticed(
        variables_fit,
        &[
            ("Parameters/ImportPresets/MaxLength", ""),
            ("Parameters/ImportPresets/MaxLength", "2000"),
            ("Parameters/MailFooter/MaxLength", "400"),
            ("Parameters/PublicUrl/MaxLength", ""),
            ("Parameters/SourcesParameter/MaxLength", "4000"),
            (&format!("{variables}/MUSTER_NEW"), "!GetAtt ApiRole.Arn"),
        ],
    );
}
