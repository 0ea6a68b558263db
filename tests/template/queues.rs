//! Queues, their dead letters, and who reads them.

use std::collections::BTreeSet;

use serde_yaml_ng::Value;

use crate::template::{Resource, Template, entries, items, referenced, texts, written};
use crate::{assert_kept, assert_noticed};

/// What AWS has where the template is silent.
const DEFAULT_VISIBILITY: u64 = 30;
const DAY: u64 = 24 * 3600;
const DEFAULT_RETENTION: u64 = 4 * DAY;
/// The longest that SQS keeps a message.
const LONGEST_RETENTION: u64 = 14 * DAY;
/// The dead letters that have addresses in them, and how long those are kept.
const WITH_ADDRESSES: (&str, u64) = ("FeedbackDeadLetterQueue", 7 * DAY);
/// Lambda counts a throttled invocation as a receive: with less than this a
/// burst alone makes dead letters.
const LEAST_RECEIVES: u64 = 5;
/// What Lambda asks for between visibility and time-out.
const VISIBILITY_PER_TIMEOUT: u64 = 6;

/// What all triggers may run at once, by the value of `BackgroundConcurrency`. An
/// account has a thousand executions at once, but ten while it is new. Each trigger
/// takes two at the least: five triggers leave the API none of ten only if all have
/// work for two, and one import alone keeps the planner at one.
const MOST_AT_ONCE: [(&str, u64); 2] = [("normal", 35), ("small", 10)];

/// One trigger: this function reads that queue.
pub(crate) struct Trigger<'a> {
    pub(crate) function: Resource<'a>,
    event: String,
    pub(crate) queue: String,
}

impl Trigger<'_> {
    fn property<'a>(&self, function: Resource<'a>, path: &str) -> &'a Value {
        function.property(&format!("Events/{}/Properties/{path}", self.event))
    }
}

/// Every queue trigger.
pub(crate) fn triggers(template: &Template) -> Vec<Trigger<'_>> {
    let mut triggers = Vec::new();
    for function in template.of_type("AWS::Serverless::Function") {
        for (event, body) in entries(function.property("Events")) {
            if body["Type"] == "SQS" {
                let arn = function.text(&format!("Events/{event}/Properties/Queue"));
                triggers.push(Trigger {
                    function,
                    event: event.to_owned(),
                    queue: referenced(&arn).unwrap_or_default().to_owned(),
                });
            }
        }
    }
    triggers
}

fn queues(template: &Template) -> impl Iterator<Item = Resource<'_>> {
    template.of_type("AWS::SQS::Queue")
}

fn dead_letter_queue_of(queue: Resource<'_>) -> Option<String> {
    referenced(&queue.text("RedrivePolicy/deadLetterTargetArn")).map(str::to_owned)
}

/// Every dead-letter queue.
pub(crate) fn dead_letter_queues(template: &Template) -> BTreeSet<String> {
    queues(template).filter_map(dead_letter_queue_of).collect()
}

fn retention(queue: Resource<'_>) -> u64 {
    let seconds = queue.property("MessageRetentionPeriod").as_u64();
    seconds.unwrap_or(DEFAULT_RETENTION)
}

/// A queue that somebody reads has a dead-letter queue of its own, which
/// nobody reads, and tries often enough before it gives up.
fn failures_are_kept(template: &Template) -> Vec<String> {
    let read: Vec<String> = triggers(template).into_iter().map(|t| t.queue).collect();
    let mut taken = Vec::new();
    let mut findings = Vec::new();
    for name in &read {
        let Some(queue) = template.find("AWS::SQS::Queue", name) else {
            findings.push(format!("{name} is read but is no queue of the template"));
            continue;
        };
        let receives = queue.property("RedrivePolicy/maxReceiveCount").as_u64();
        if receives.is_none_or(|receives| receives < LEAST_RECEIVES) {
            findings.push(format!("{name}: maxReceiveCount is below {LEAST_RECEIVES}"));
        }
        match dead_letter_queue_of(queue) {
            None => findings.push(format!("{name} has no dead-letter queue")),
            Some(dead) if template.find("AWS::SQS::Queue", &dead).is_none() => {
                findings.push(format!("{name}: {dead} is no queue of the template"));
            }
            Some(dead) if read.contains(&dead) => {
                findings.push(format!("{name}: {dead} is read by a function"));
            }
            Some(dead) if taken.contains(&dead) => {
                findings.push(format!("{name}: {dead} is another queue's too"));
            }
            Some(dead) => taken.push(dead),
        }
    }
    findings
}

/// A message stays out of sight six times as long as its reader may take.
fn visibility_outlasts_readers(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for trigger in triggers(template) {
        let name = trigger.function.name;
        let Some(timeout) = trigger.function.property("Timeout").as_u64() else {
            findings.push(format!("{name} has no Timeout"));
            continue;
        };
        let visibility = template
            .find("AWS::SQS::Queue", &trigger.queue)
            .and_then(|queue| queue.property("VisibilityTimeout").as_u64())
            .unwrap_or(DEFAULT_VISIBILITY);
        if visibility < VISIBILITY_PER_TIMEOUT * timeout {
            findings.push(format!(
                "{}: VisibilityTimeout {visibility} is below {VISIBILITY_PER_TIMEOUT} times the \
                 {timeout} s of {name}",
                trigger.queue
            ));
        }
    }
    findings
}

/// One bad record fails alone, and a full queue does not take every Lambda
/// there is.
fn triggers_are_bounded(template: &Template) -> Vec<String> {
    let mut findings: Vec<String> = template
        .of_type("AWS::Lambda::EventSourceMapping")
        .map(|mapping| {
            let name = mapping.name;
            format!("{name}: write it as an event of its function, where these rules look")
        })
        .collect();
    let mut at_once = [0; 2];
    for trigger in triggers(template) {
        let name = format!("{}.{}", trigger.function.name, trigger.event);
        let types = trigger.property(trigger.function, "FunctionResponseTypes");
        if texts(types) != ["ReportBatchItemFailures"] {
            findings.push(format!("{name} does not report batch item failures"));
        }
        let concurrency = trigger.property(trigger.function, "ScalingConfig/MaximumConcurrency");
        let [Some(normal), Some(small)] = branches_of(concurrency, "RunsManyAtOnce") else {
            findings.push(format!("{name}: MaximumConcurrency is not two numbers"));
            continue;
        };
        for (sum, count) in at_once.iter_mut().zip([normal, small]) {
            *sum += count;
            if !(2..=1000).contains(&count) {
                findings.push(format!("{name}: MaximumConcurrency is not 2 to 1000"));
            }
        }
    }
    for (sum, (value, most)) in at_once.into_iter().zip(MOST_AT_ONCE) {
        if sum > most {
            findings.push(format!(
                "{value}: all triggers together may run {sum} at once"
            ));
        }
    }
    findings
}

/// The numbers of an `!If` on this condition.
fn branches_of(value: &Value, condition: &str) -> [Option<u64>; 2] {
    match value {
        Value::Tagged(choice) if choice.tag == "If" && choice.value[0] == condition => {
            [1, 2].map(|branch| choice.value[branch].as_u64())
        }
        _ => [None; 2],
    }
}

/// How long a queue keeps what nobody takes: half of what dead letters are kept for,
/// where a message is more than a nudge (uploads, chunks); as AWS has it where the
/// sweeper nudges again. SES's events hold addresses, and are kept for less.
const KEPT_FOR: [(&str, u64); 10] = [
    ("MailQueue", DEFAULT_RETENTION),
    ("BulkMailQueue", DEFAULT_RETENTION),
    ("ImportQueue", LONGEST_RETENTION / 2),
    ("ChunkQueue", LONGEST_RETENTION / 2),
    ("FeedbackQueue", 3 * DAY),
    ("MailDeadLetterQueue", LONGEST_RETENTION),
    ("BulkMailDeadLetterQueue", LONGEST_RETENTION),
    ("ImportDeadLetterQueue", LONGEST_RETENTION),
    ("ChunkDeadLetterQueue", LONGEST_RETENTION),
    WITH_ADDRESSES,
];

fn retention_is_as_designed(template: &Template) -> Vec<String> {
    let kept: BTreeSet<_> = queues(template)
        .map(|queue| (queue.name, retention(queue)))
        .collect();
    let designed = BTreeSet::from(KEPT_FOR);
    kept.symmetric_difference(&designed)
        .map(|(queue, seconds)| format!("{queue}: {seconds} s is not as designed"))
        .collect()
}

/// A dead letter keeps the age it had, so its queue keeps longer than any
/// other, unless there are addresses in it; and no queue stores messages in the
/// clear.
fn messages_are_kept_and_encrypted(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for queue in queues(template) {
        let name = queue.name;
        if queue.property("SqsManagedSseEnabled").as_bool() != Some(true) {
            findings.push(format!("{name} is not encrypted"));
        }
        let Some(dead) = dead_letter_queue_of(queue) else {
            continue;
        };
        let kept = template.find("AWS::SQS::Queue", &dead).map_or(0, retention);
        let expected = match dead == WITH_ADDRESSES.0 {
            true => WITH_ADDRESSES.1,
            false => LONGEST_RETENTION,
        };
        if kept != expected {
            findings.push(format!(
                "{dead} does not keep its messages for {expected} s"
            ));
        }
        if retention(queue) * 2 > kept {
            findings.push(format!("{name}: {dead} does not keep twice as long"));
        }
    }
    findings
}

/// One dead letter is enough to look.
fn dead_letters_ring(template: &Template) -> Vec<String> {
    queues(template)
        .filter_map(dead_letter_queue_of)
        .filter(|dead| {
            !template
                .of_type("AWS::CloudWatch::Alarm")
                .any(|alarm| rings_for(alarm, dead))
        })
        .map(|dead| format!("{dead} has no alarm on its first message"))
        .collect()
}

fn rings_for(alarm: Resource<'_>, queue: &str) -> bool {
    alarm.text("Namespace") == "AWS/SQS"
        && alarm.text("MetricName") == "ApproximateNumberOfMessagesVisible"
        && alarm.text("ComparisonOperator") == "GreaterThanThreshold"
        && alarm.property("Threshold").as_u64() == Some(0)
        && items(alarm.property("Dimensions")).iter().any(|dimension| {
            dimension["Name"] == "QueueName"
                && written(&dimension["Value"]) == format!("${{{queue}.QueueName}}")
        })
}

#[test]
fn every_queue_that_is_read_keeps_its_failures() {
    assert_kept(failures_are_kept);
    assert_noticed(
        failures_are_kept,
        &[
            ("Resources/MailQueue/Properties/RedrivePolicy", ""),
            (
                "Resources/MailQueue/Properties/RedrivePolicy/maxReceiveCount",
                "4",
            ),
            (
                "Resources/ChunkQueue/Properties/RedrivePolicy/maxReceiveCount",
                "",
            ),
            ("Resources/ImportDeadLetterQueue", ""),
            (
                "Resources/BulkMailQueue/Properties/RedrivePolicy/deadLetterTargetArn",
                "!GetAtt MailDeadLetterQueue.Arn",
            ),
            (
                "Resources/MailQueue/Properties/RedrivePolicy/deadLetterTargetArn",
                "!GetAtt ChunkQueue.Arn",
            ),
            (
                "Resources/MailerFunction/Properties/Events/Mail/Properties/Queue",
                "!GetAtt OtherQueue.Arn",
            ),
        ],
    );
}

#[test]
fn visibility_is_six_times_the_time_out_of_each_reader() {
    assert_kept(visibility_outlasts_readers);
    assert_noticed(
        visibility_outlasts_readers,
        &[
            ("Resources/MailQueue/Properties/VisibilityTimeout", "179"),
            ("Resources/ImportQueue/Properties/VisibilityTimeout", ""),
            ("Resources/ImportWorkerFunction/Properties/Timeout", "301"),
            ("Resources/MailerFunction/Properties/Timeout", ""),
        ],
    );
}

#[test]
fn every_trigger_reports_single_failures_and_is_bounded() {
    assert_kept(triggers_are_bounded);
    let mail = "Resources/MailerFunction/Properties/Events/Mail/Properties";
    assert_noticed(
        triggers_are_bounded,
        &[
            (&format!("{mail}/FunctionResponseTypes"), ""),
            (&format!("{mail}/FunctionResponseTypes"), "[]"),
            (&format!("{mail}/ScalingConfig"), ""),
            (&format!("{mail}/ScalingConfig/MaximumConcurrency"), "5"),
            (
                &format!("{mail}/ScalingConfig/MaximumConcurrency"),
                "!If [RunsManyAtOnce, 5, 1]",
            ),
            (
                &format!("{mail}/ScalingConfig/MaximumConcurrency"),
                "!If [RunsManyAtOnce, 5, 3]",
            ),
            (
                &format!("{mail}/ScalingConfig/MaximumConcurrency"),
                "!If [RunsManyAtOnce, 6, 2]",
            ),
            (
                &format!("{mail}/ScalingConfig/MaximumConcurrency"),
                "!If [HasPublicUrl, 5, 2]",
            ),
            (
                &format!("{mail}/ScalingConfig/MaximumConcurrency"),
                "!Ref Workers",
            ),
            (
                "Resources/Reader",
                "{ Type: AWS::Lambda::EventSourceMapping }",
            ),
        ],
    );
}

#[test]
fn messages_are_encrypted_and_dead_letters_outlive_the_rest() {
    assert_kept(messages_are_kept_and_encrypted);
    assert_noticed(
        messages_are_kept_and_encrypted,
        &[
            (
                "Resources/MailQueue/Properties/SqsManagedSseEnabled",
                "false",
            ),
            (
                "Resources/ChunkDeadLetterQueue/Properties/SqsManagedSseEnabled",
                "",
            ),
            (
                "Resources/ChunkDeadLetterQueue/Properties/MessageRetentionPeriod",
                "604800",
            ),
            (
                "Resources/ChunkQueue/Properties/MessageRetentionPeriod",
                "1209600",
            ),
            (
                "Resources/FeedbackDeadLetterQueue/Properties/MessageRetentionPeriod",
                "1209600",
            ),
        ],
    );
}

#[test]
fn each_queue_keeps_its_messages_as_long_as_designed() {
    assert_kept(retention_is_as_designed);
    assert_noticed(
        retention_is_as_designed,
        &[
            (
                "Resources/ImportQueue/Properties/MessageRetentionPeriod",
                "60",
            ),
            ("Resources/ChunkQueue/Properties/MessageRetentionPeriod", ""),
            (
                "Resources/FeedbackQueue/Properties/MessageRetentionPeriod",
                "345600",
            ),
            (
                "Resources/MailQueue/Properties/MessageRetentionPeriod",
                "3600",
            ),
            ("Resources/NewQueue", "{ Type: AWS::SQS::Queue }"),
        ],
    );
}

#[test]
fn every_dead_letter_queue_has_an_alarm() {
    assert_kept(dead_letters_ring);
    assert_noticed(
        dead_letters_ring,
        &[
            ("Resources/MailDeadLetterAlarm", ""),
            ("Resources/ChunkDeadLetterAlarm/Properties/Threshold", "10"),
            (
                "Resources/ImportDeadLetterAlarm/Properties/Dimensions/0/Value",
                "!GetAtt ImportQueue.QueueName",
            ),
        ],
    );
}
