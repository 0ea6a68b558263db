//! SQS: queues that deliver at least once, late, doubled and out of order.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_core::random::Random;
use muster_core::time::Time;
use serde_json::{Value, json};

/// The queues of `template.yaml`.
pub const MAIL: &str = "mail";
/// Nudges of the sweeper.
pub const BULK_MAIL: &str = "bulk-mail";
/// S3's events.
pub const IMPORT: &str = "import";
/// Chunks to import.
pub const CHUNK: &str = "chunk";
/// What SES reports.
pub const FEEDBACK: &str = "feedback";

/// The URL of a queue.
pub fn url(name: &str) -> String {
    format!("http://sqs.local/1/{name}")
}

/// A message in a queue.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its id: the same however often it is delivered.
    pub id: String,
    /// What it says.
    pub body: String,
    sent_at: Time,
    visible_at: Time,
    receives: u32,
    receipt: String,
}

/// A queue and its dead letters.
#[derive(Debug)]
pub struct Queue {
    visibility: Duration,
    max_receives: u32,
    messages: Vec<Message>,
    /// Messages that were received too often.
    pub dead: Vec<Message>,
}

/// All queues.
#[derive(Debug)]
pub struct Queues {
    queues: BTreeMap<&'static str, Queue>,
    random: Random,
    count: u64,
}

impl Queues {
    /// Empty queues with the visibility timeouts given.
    pub fn new(
        visibility: impl IntoIterator<Item = (&'static str, Duration)>,
        random: Random,
    ) -> Self {
        let queue = |visibility| Queue {
            visibility,
            max_receives: 5,
            messages: Vec::new(),
            dead: Vec::new(),
        };
        Self {
            queues: visibility
                .into_iter()
                .map(|(name, visibility)| (name, queue(visibility)))
                .collect(),
            random,
            count: 0,
        }
    }

    /// Puts a message into a queue, once or twice, now or late.
    pub fn send(&mut self, queue: &str, body: &str, delay: Duration, now: Time) -> String {
        self.count += 1;
        let id = format!("m{}", self.count);
        let late = Duration::from_millis(match self.random.bytes::<1>()[0] {
            0..8 => 30_000,
            8..24 => 3_000,
            other => u64::from(other) / 8,
        });
        let message = Message {
            id: id.clone(),
            body: body.to_owned(),
            sent_at: now,
            visible_at: now.after(delay + late),
            receives: 0,
            receipt: String::new(),
        };
        // At least once: SQS may deliver a copy that it had deleted.
        let copies = 1 + usize::from(self.random.bytes::<1>()[0] < 16);
        let messages = &mut self.queue(queue).messages;
        messages.extend(std::iter::repeat_n(message, copies));
        id
    }

    /// Takes up to `limit` visible messages, in no order.
    pub fn receive(&mut self, queue: &'static str, limit: usize, now: Time) -> Vec<Message> {
        let random = self.random.clone();
        self.count += 1;
        let batch = self.count;
        let queue = self.queue(queue);
        let mut taken = Vec::new();
        let mut visible: Vec<usize> = (0..queue.messages.len())
            .filter(|index| queue.messages[*index].visible_at <= now)
            .collect();
        while !visible.is_empty() && taken.len() < limit {
            let index = visible.swap_remove(usize::from(random.bytes::<1>()[0]) % visible.len());
            let message = &mut queue.messages[index];
            message.receives += 1;
            message.visible_at = now.after(queue.visibility);
            message.receipt = format!("r{batch}-{index}");
            taken.push(message.clone());
        }
        let (dead, alive): (Vec<_>, Vec<_>) = taken
            .into_iter()
            .partition(|message| message.receives > queue.max_receives);
        for message in dead {
            queue
                .messages
                .retain(|other| other.receipt != message.receipt);
            queue.dead.push(message);
        }
        alive
    }

    /// Forgets a message that was handled.
    pub fn delete(&mut self, queue: &str, receipt: &str) {
        self.queue(queue)
            .messages
            .retain(|message| message.receipt != receipt);
    }

    /// Forgets every copy of a message.
    pub fn forget(&mut self, queue: &str, id: &str) {
        self.queue(queue)
            .messages
            .retain(|message| message.id != id);
    }

    /// Makes a received message visible at another time.
    pub fn change_visibility(&mut self, queue: &str, receipt: &str, delay: Duration, now: Time) {
        for message in &mut self.queue(queue).messages {
            if message.receipt == receipt {
                message.visible_at = now.after(delay);
            }
        }
    }

    /// When the next message of any queue is to be seen.
    pub fn next_visible(&self) -> Option<Time> {
        self.queues
            .values()
            .flat_map(|queue| &queue.messages)
            .map(|message| message.visible_at)
            .min()
    }

    /// Queue, and how many of its messages are dead.
    pub fn dead_letters(&self) -> impl Iterator<Item = (&'static str, &Message)> {
        self.queues
            .iter()
            .flat_map(|(name, queue)| queue.dead.iter().map(move |message| (*name, message)))
    }

    /// Answers a call of the SQS API.
    pub fn call(&mut self, operation: &str, body: &str, now: Time) -> String {
        let request: Value = serde_json::from_str(body).expect("JSON");
        let queue = request["QueueUrl"]
            .as_str()
            .and_then(|url| url.rsplit('/').next())
            .expect("a queue");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let seconds = |value: &Value| Duration::from_secs(value.as_u64().unwrap_or_default());
        match operation {
            "SendMessage" => {
                let delay = seconds(&request["DelaySeconds"]);
                let id = self.send(queue, &text(&request["MessageBody"]), delay, now);
                json!({ "MessageId": id, "MD5OfMessageBody": "" }).to_string()
            }
            "SendMessageBatch" => {
                let entries = request["Entries"].as_array().expect("entries");
                let sent: Vec<_> = entries
                    .iter()
                    .map(|entry| {
                        let id =
                            self.send(queue, &text(&entry["MessageBody"]), Duration::ZERO, now);
                        json!({ "Id": entry["Id"], "MessageId": id, "MD5OfMessageBody": "" })
                    })
                    .collect();
                json!({ "Successful": sent, "Failed": [] }).to_string()
            }
            "ChangeMessageVisibility" => {
                let delay = seconds(&request["VisibilityTimeout"]);
                self.change_visibility(queue, &text(&request["ReceiptHandle"]), delay, now);
                "{}".to_owned()
            }
            other => panic!("the functions make no {other} calls"),
        }
    }

    fn queue(&mut self, name: &str) -> &mut Queue {
        self.queues
            .get_mut(name)
            .unwrap_or_else(|| panic!("there is no queue {name}"))
    }
}

impl Message {
    /// The handle of this delivery.
    pub fn receipt(&self) -> &str {
        &self.receipt
    }

    /// The record that Lambda hands to the function.
    pub fn record(&self, queue: &str) -> Value {
        json!({
            "messageId": self.id,
            "receiptHandle": self.receipt,
            "body": self.body,
            "attributes": {
                "ApproximateReceiveCount": self.receives.to_string(),
                "SentTimestamp": self.sent_at.as_millis().to_string(),
            },
            "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:local:1:{queue}"),
        })
    }
}
