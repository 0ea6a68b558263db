//! Names: a second stack in the same account and region must find its own free.

use serde_yaml_ng::Value;

use crate::template::{Resource, Template, entries, written};
use crate::{assert_kept, assert_noticed};

/// Names that need to be unique only within a resource of this stack, by type and
/// property.
const WITHIN_THE_STACK: [(&str, &str); 7] = [
    ("AWS::ApiGatewayV2::Stage", "StageName"),
    ("AWS::ApiGatewayV2::Authorizer", "Name"),
    ("AWS::Cognito::UserPoolClient", "ClientName"),
    ("AWS::Cognito::UserPoolResourceServer", "Identifier"),
    ("AWS::Cognito::UserPoolResourceServer", "Name"),
    // Names of what is measured, in a namespace.
    ("AWS::CloudWatch::Alarm", "MetricName"),
    ("AWS::Logs::MetricFilter", "MetricName"),
];

/// Properties that give a resource its name in the account. Those that refer to
/// another resource by its name have a reference as their value.
fn is_name(property: &str) -> bool {
    property.ends_with("Name") || ["Domain", "Identifier"].contains(&property)
}

/// What all stacks of an account and region have in common.
const SHARED: [&str; 3] = ["AWS::AccountId}", "AWS::Region}", "AWS::Partition}"];

/// Whether a name is another one in another stack.
fn is_of_the_stack(name: &Value) -> bool {
    let name = written(name);
    let mut references = name.split("${").skip(1);
    references.any(|rest| !SHARED.iter().any(|shared| rest.starts_with(shared)))
}

fn fixed_names(resource: Resource<'_>) -> Vec<String> {
    let kind = resource.attribute("Type");
    let properties = entries(resource.properties())
        .filter(|(property, _)| is_name(property))
        .filter(|(property, _)| !WITHIN_THE_STACK.contains(&(kind, *property)));
    let fixed = properties.filter(|(_, name)| !is_of_the_stack(name));
    fixed
        .map(|(property, _)| format!("{}: {property} is the same in every stack", resource.name))
        .collect()
}

/// What SAM makes of a schedule has the event's name unless it is told to omit it.
fn schedules_with_names(function: Resource<'_>) -> Vec<String> {
    let schedules =
        entries(function.property("Events")).filter(|(_, event)| event["Type"] == "ScheduleV2");
    schedules
        .filter(|(_, event)| event["Properties"]["OmitName"].as_bool() != Some(true))
        .map(|(event, _)| format!("{}: the schedule {event} has its name", function.name))
        .collect()
}

/// No name in the account is the same in two stacks.
fn two_stacks_fit(template: &Template) -> Vec<String> {
    let named = template.resources().flat_map(fixed_names);
    let scheduled = template
        .of_type("AWS::Serverless::Function")
        .flat_map(schedules_with_names);
    let exported = template
        .section("Outputs")
        .filter(|(_, output)| !output["Export"].is_null())
        .filter(|(_, output)| !is_of_the_stack(&output["Export"]["Name"]))
        .map(|(name, _)| format!("the output {name} is exported under a fixed name"));
    named.chain(scheduled).chain(exported).collect()
}

#[test]
fn two_stacks_fit_into_one_account_and_region() {
    assert_kept(two_stacks_fit);
    let schedule = "Resources/SweeperFunction/Properties/Events/EveryMinute/Properties";
    assert_noticed(
        two_stacks_fit,
        &[
            (&format!("{schedule}/OmitName"), ""),
            (&format!("{schedule}/OmitName"), "false"),
            ("Resources/MailQueue/Properties/QueueName", "mail"),
            (
                "Resources/ApiFunction/Properties/FunctionName",
                "muster-api",
            ),
            ("Resources/ApiRole/Properties/RoleName", "muster"),
            ("Resources/ConfigurationSet/Properties/Name", "mail"),
            ("Resources/FeedbackRule/Properties/Name", "feedback"),
            (
                "Resources/MailerLogs/Properties/LogGroupName",
                "/muster/mailer",
            ),
            ("Resources/ApiErrorAlarm/Properties/AlarmName", "5xx"),
            (
                "Resources/UserPoolDomain/Properties/Domain",
                "!Ref AWS::AccountId",
            ),
            ("Outputs/ApiUrl/Export", "{ Name: muster-api-url }"),
        ],
    );
}
