//! Recursive loops: Lambda drops the 17th message of a chain that comes by the same
//! function again and again, unless the function has `RecursiveLoop: Allow`.

use std::collections::BTreeSet;

use crate::queues::triggers;
use crate::roles::allowed;
use crate::template::{Resource, Template};
use crate::{assert_kept, assert_noticed};

/// The functions that a function can invoke by a message.
fn invoked_by(template: &Template, function: Resource<'_>) -> BTreeSet<String> {
    let sends_to = allowed(template, function, "sqs:SendMessage");
    triggers(template)
        .into_iter()
        .filter(|trigger| sends_to.contains(&trigger.queue))
        .map(|trigger| trigger.function.name.to_owned())
        .collect()
}

/// Whether a function can invoke itself, directly or through others.
fn can_loop(template: &Template, function: Resource<'_>) -> bool {
    let mut reached = invoked_by(template, function);
    loop {
        let functions = template.of_type("AWS::Serverless::Function");
        let next: BTreeSet<_> = functions
            .filter(|other| reached.contains(other.name))
            .flat_map(|other| invoked_by(template, other))
            .chain(reached.clone())
            .collect();
        if next == reached {
            return reached.contains(function.name);
        }
        reached = next;
    }
}

/// A function that can invoke itself is told that it may; from any other, Lambda's
/// guard against loops is not taken.
fn only_loops_are_allowed(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for function in template.of_type("AWS::Serverless::Function") {
        let name = function.name;
        let told = function.text("RecursiveLoop");
        match can_loop(template, function) {
            true if told != "Allow" => findings.push(format!(
                "{name} sends to a queue that triggers it: Lambda stops the 17th message"
            )),
            false if !told.is_empty() => {
                findings.push(format!("{name} cannot loop, and has RecursiveLoop: {told}"));
            }
            _ => {}
        }
    }
    findings
}

#[test]
fn a_function_that_feeds_its_own_queue_may_loop() {
    assert_kept(only_loops_are_allowed);
    let statements =
        |role: &str| format!("Resources/{role}/Properties/Policies/0/PolicyDocument/Statement");
    let nudge = format!("{}/3/Resource", statements("ApiRole"));
    assert_noticed(
        only_loops_are_allowed,
        &[
            (
                "Resources/ImportWorkerFunction/Properties/RecursiveLoop",
                "",
            ),
            (
                "Resources/ImportPlannerFunction/Properties/RecursiveLoop",
                "Terminate",
            ),
            ("Resources/MailerFunction/Properties/RecursiveLoop", "Allow"),
            (
                &format!("{}/1/Action", statements("MailerRole")),
                "[sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes, sqs:SendMessage]",
            ),
        ],
    );
    // The API is triggered by no queue, and so loops with none.
    let all = "[!GetAtt MailQueue.Arn, !GetAtt ImportQueue.Arn, !GetAtt ChunkQueue.Arn]";
    let findings = only_loops_are_allowed(&Template::load().with(&nudge, all));
    assert!(findings.is_empty(), "{findings:?}");
    // By way of another: planner to mailer to planner.
    let mail = Template::load()
        .with(
            &format!("{}/5/Resource", statements("ImportPlannerRole")),
            "[!GetAtt ChunkQueue.Arn, !GetAtt ImportQueue.Arn, !GetAtt MailQueue.Arn]",
        )
        .with(
            &format!("{}/3", statements("MailerRole")),
            "{ Action: sqs:SendMessage, Resource: !GetAtt ImportQueue.Arn }",
        );
    assert_eq!(only_loops_are_allowed(&mail).len(), 1);
}
