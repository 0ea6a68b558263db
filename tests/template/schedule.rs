//! The clock: what it invokes, how often, and who may.

use serde_yaml_ng::Value;

use crate::template::{Resource, Template, entries, items, written};
use crate::{assert_kept, assert_noticed};

/// How often a sweep is due; leases, back-offs and the pace of bulk mail count on it.
const EACH_MINUTE: &str = "rate(1 minute)";
/// Seconds of that. Lambda takes no less as the age of an event.
const MINUTE: u64 = 60;

/// Functions with their schedules.
fn schedules(template: &Template) -> Vec<(Resource<'_>, &Value)> {
    let functions = template.of_type("AWS::Serverless::Function");
    functions
        .flat_map(|function| {
            let events = entries(function.property("Events"));
            let timed = events.filter(|(_, event)| {
                event["Type"]
                    .as_str()
                    .is_some_and(|kind| kind.starts_with("Schedule"))
            });
            timed.map(move |(_, event)| (function, &event["Properties"]))
        })
        .collect()
}

/// The sweeper runs each minute, is done by the next, and is not left switched off.
fn the_sweeper_runs_each_minute(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    let schedules = schedules(template);
    if !schedules
        .iter()
        .any(|(function, _)| function.name == "SweeperFunction")
    {
        findings.push("no clock invokes the sweeper".to_owned());
    }
    for (function, schedule) in schedules {
        let name = function.name;
        let rate = written(&schedule["ScheduleExpression"]);
        if rate != EACH_MINUTE {
            findings.push(format!("{name} runs at {rate}"));
        }
        if !schedule["State"].is_null() && schedule["State"] != "ENABLED" {
            findings.push(format!("{name} has a schedule that is switched off"));
        }
        if schedule["FlexibleTimeWindow"] != Value::Null {
            findings.push(format!("{name} runs at some time of its minute"));
        }
        if function
            .property("Timeout")
            .as_u64()
            .is_none_or(|timeout| timeout >= MINUTE)
        {
            findings.push(format!("{name} may still run when the next run begins"));
        }
    }
    findings
}

/// Neither the scheduler nor Lambda repeats a run, nor keeps it for later: the next run
/// does what this one did not. Asynchronous events would be tried three times, and kept
/// for six hours when functions are throttled.
fn runs_do_not_pile_up(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for (function, schedule) in schedules(template) {
        let name = function.name;
        if schedule["RetryPolicy"]["MaximumRetryAttempts"].as_u64() != Some(0) {
            findings.push(format!("the scheduler repeats {name}"));
        }
        let event = |limit: &str| {
            function
                .property(&format!("EventInvokeConfig/{limit}"))
                .as_u64()
        };
        if event("MaximumRetryAttempts") != Some(0) {
            findings.push(format!("Lambda repeats {name}"));
        }
        if event("MaximumEventAgeInSeconds") != Some(MINUTE) {
            findings.push(format!(
                "Lambda keeps events of {name} until the next is due"
            ));
        }
    }
    findings
}

/// The scheduler invokes by a role of the template that only this account's schedules
/// may take, and that allows this one call.
fn only_our_schedule_invokes(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for (function, schedule) in schedules(template) {
        let name = function.name;
        let role = written(&schedule["RoleArn"]);
        let role = crate::template::referenced(&role)
            .and_then(|role| template.find("AWS::IAM::Role", role));
        let Some(role) = role else {
            findings.push(format!("{name} is invoked by a role that SAM makes"));
            continue;
        };
        for trust in items(role.property("AssumeRolePolicyDocument/Statement")) {
            let account = written(&trust["Condition"]["StringEquals"]["aws:SourceAccount"]);
            if written(&trust["Principal"]["Service"]) != "scheduler.amazonaws.com"
                || account != "${AWS::AccountId}"
            {
                findings.push(format!("schedules of others may take {}", role.name));
            }
        }
        let statements = items(role.property("Policies"))
            .iter()
            .flat_map(|policy| items(&policy["PolicyDocument"]["Statement"]));
        let allowed: Vec<_> = statements
            .map(|statement| {
                (
                    written(&statement["Action"]),
                    written(&statement["Resource"]),
                )
            })
            .collect();
        if allowed
            != [(
                "lambda:InvokeFunction".to_owned(),
                format!("${{{name}.Arn}}"),
            )]
        {
            findings.push(format!("{} allows {allowed:?}", role.name));
        }
    }
    findings
}

const SWEEPER: &str = "Resources/SweeperFunction/Properties";
const SCHEDULE: &str = "Resources/SweeperFunction/Properties/Events/EveryMinute/Properties";

#[test]
fn the_sweeper_is_invoked_each_minute() {
    assert_kept(the_sweeper_runs_each_minute);
    assert_noticed(
        the_sweeper_runs_each_minute,
        &[
            (&format!("{SCHEDULE}/ScheduleExpression"), "rate(1 hour)"),
            (&format!("{SCHEDULE}/ScheduleExpression"), "rate(2 minutes)"),
            (&format!("{SCHEDULE}/ScheduleExpression"), ""),
            (&format!("{SCHEDULE}/State"), "DISABLED"),
            (
                &format!("{SCHEDULE}/FlexibleTimeWindow"),
                "{ Mode: FLEXIBLE, MaximumWindowInMinutes: 15 }",
            ),
            (&format!("{SWEEPER}/Timeout"), "60"),
            (&format!("{SWEEPER}/Events"), ""),
        ],
    );
}

#[test]
fn sweeps_are_neither_repeated_nor_kept() {
    assert_kept(runs_do_not_pile_up);
    assert_noticed(
        runs_do_not_pile_up,
        &[
            (&format!("{SCHEDULE}/RetryPolicy"), ""),
            (&format!("{SWEEPER}/EventInvokeConfig"), ""),
            (
                &format!("{SWEEPER}/EventInvokeConfig/MaximumRetryAttempts"),
                "2",
            ),
            (
                &format!("{SWEEPER}/EventInvokeConfig/MaximumRetryAttempts"),
                "",
            ),
            (
                &format!("{SWEEPER}/EventInvokeConfig/MaximumEventAgeInSeconds"),
                "21600",
            ),
        ],
    );
}

#[test]
fn the_role_of_the_schedule_is_for_this_account() {
    assert_kept(only_our_schedule_invokes);
    let role = "Resources/SweeperScheduleRole/Properties";
    let trust = format!("{role}/AssumeRolePolicyDocument/Statement/0");
    assert_noticed(
        only_our_schedule_invokes,
        &[
            (&format!("{SCHEDULE}/RoleArn"), ""),
            (&format!("{SCHEDULE}/RoleArn"), "!GetAtt ApiRole.Arn"),
            (&format!("{trust}/Condition"), ""),
            (
                &format!("{trust}/Condition/StringEquals"),
                "{ aws:SourceAccount: '*' }",
            ),
            (
                &format!("{role}/Policies/0/PolicyDocument/Statement/0/Resource"),
                "!GetAtt ApiFunction.Arn",
            ),
        ],
    );
}
