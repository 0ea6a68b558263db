//! The SQS API, as far as the functions call it.

use std::time::Duration;

use muster_core::platform::time::Time;
use serde_json::{Value, json};

use crate::queues::{DEAD, Message, Queues};

impl Queues {
    /// Answers a call.
    pub fn call(&mut self, operation: &str, body: &str, now: Time) -> String {
        let request: Value = serde_json::from_str(body).expect("JSON");
        let queue = request["QueueUrl"]
            .as_str()
            .and_then(|url| url.rsplit('/').next())
            .expect("a queue");
        let answer = match queue.strip_suffix(DEAD) {
            Some(queue) => self.call_dead(operation, queue, &request, now),
            None => self.call_alive(operation, queue, &request, now),
        };
        answer.to_string()
    }

    fn call_alive(&mut self, operation: &str, queue: &str, request: &Value, now: Time) -> Value {
        match operation {
            "SendMessage" => {
                let delay = seconds(&request["DelaySeconds"]);
                let id = self.send(queue, text(&request["MessageBody"]), delay, now);
                json!({ "MessageId": id, "MD5OfMessageBody": "" })
            }
            "SendMessageBatch" => {
                let sent = entries(request).map(|entry| {
                    let delay = seconds(&entry["DelaySeconds"]);
                    let id = self.send(queue, text(&entry["MessageBody"]), delay, now);
                    json!({ "Id": entry["Id"], "MessageId": id, "MD5OfMessageBody": "" })
                });
                json!({ "Successful": sent.collect::<Vec<_>>(), "Failed": [] })
            }
            "ChangeMessageVisibility" => {
                let delay = seconds(&request["VisibilityTimeout"]);
                self.change_visibility(queue, text(&request["ReceiptHandle"]), delay, now);
                json!({})
            }
            "GetQueueAttributes" => {
                let target = format!("arn:aws:sqs:local:1:{queue}{DEAD}");
                let queue = self.queue(queue);
                let properties = queue.properties.clone();
                let policy = json!({
                    "deadLetterTargetArn": target,
                    "maxReceiveCount": properties.max_receives,
                });
                let mut attributes = counts(&queue.messages, now);
                attributes["VisibilityTimeout"] = in_seconds(properties.visibility);
                attributes["MessageRetentionPeriod"] = in_seconds(properties.retention);
                attributes["RedrivePolicy"] = policy.to_string().into();
                json!({ "Attributes": attributes })
            }
            other => panic!("the functions make no {other} calls"),
        }
    }

    fn call_dead(&mut self, operation: &str, queue: &str, request: &Value, now: Time) -> Value {
        match operation {
            "ReceiveMessage" => {
                let limit = request["MaxNumberOfMessages"].as_u64().unwrap_or(1);
                let limit = usize::try_from(limit).expect("a number");
                assert!((1..=10).contains(&limit), "SQS hands out 1 to 10 messages");
                let visibility = seconds(&request["VisibilityTimeout"]);
                let taken = self.receive_dead(queue, limit, visibility, now);
                let names = request["MessageSystemAttributeNames"].as_array();
                let names = names.map_or(&[][..], Vec::as_slice);
                let messages = taken.iter().map(|message| handed_out(message, names));
                json!({ "Messages": messages.collect::<Vec<_>>() })
            }
            "DeleteMessageBatch" => answer_each(request, |entry| {
                // An old receipt deletes nothing, and SQS does not say so.
                self.delete_dead(queue, text(&entry["ReceiptHandle"]));
                true
            }),
            "ChangeMessageVisibilityBatch" => answer_each(request, |entry| {
                let delay = seconds(&entry["VisibilityTimeout"]);
                let receipt = text(&entry["ReceiptHandle"]);
                self.change_dead_visibility(queue, receipt, delay, now)
            }),
            "GetQueueAttributes" => {
                let queue = self.queue(queue);
                let mut attributes = counts(&queue.dead, now);
                attributes["VisibilityTimeout"] = "30".into();
                attributes["MessageRetentionPeriod"] = in_seconds(queue.properties.dead_retention);
                json!({ "Attributes": attributes })
            }
            other => panic!("the functions make no {other} calls to dead-letter queues"),
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn seconds(value: &Value) -> Duration {
    Duration::from_secs(value.as_u64().unwrap_or_default())
}

fn in_seconds(time: Duration) -> Value {
    time.as_secs().to_string().into()
}

/// The entries of a batch, which has one to ten.
fn entries(request: &Value) -> impl Iterator<Item = &Value> {
    let entries = request["Entries"].as_array().expect("entries");
    assert!((1..=10).contains(&entries.len()), "a batch has 1 to 10");
    entries.iter()
}

fn answer_each(request: &Value, mut act: impl FnMut(&Value) -> bool) -> Value {
    let (done, failed): (Vec<_>, Vec<_>) = entries(request).partition(|entry| act(entry));
    let named = |entry: &&Value| json!({ "Id": entry["Id"] });
    let refused = |entry: &&Value| json!({ "Id": entry["Id"], "Code": "InvalidParameterValue", "SenderFault": true });
    json!({
        "Successful": done.iter().map(named).collect::<Vec<_>>(),
        "Failed": failed.iter().map(refused).collect::<Vec<_>>(),
    })
}

fn handed_out(message: &Message, names: &[Value]) -> Value {
    let attributes = [
        ("ApproximateReceiveCount", message.receives.to_string()),
        ("SentTimestamp", message.sent_at.as_millis().to_string()),
    ];
    let asked = attributes
        .into_iter()
        .filter(|(name, _)| names.iter().any(|asked| asked == name));
    json!({
        "MessageId": message.id,
        "ReceiptHandle": message.receipt(),
        "Body": message.body,
        "Attributes": asked.collect::<std::collections::BTreeMap<_, _>>(),
    })
}

fn counts(messages: &[Message], now: Time) -> Value {
    let count = |is: &dyn Fn(&Message) -> bool| {
        let count = messages.iter().filter(|message| is(message)).count();
        Value::from(count.to_string())
    };
    let later = |message: &Message| message.visible_at > now;
    json!({
        "ApproximateNumberOfMessages": count(&|message| !later(message)),
        "ApproximateNumberOfMessagesNotVisible": count(&|m| later(m) && m.receives > 0),
        "ApproximateNumberOfMessagesDelayed": count(&|m| later(m) && m.receives == 0),
    })
}
