//! SQS: queues that deliver at least once, late, doubled and out of order.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_core::mail::nudge::MailNudge;
use muster_core::platform::random::Random;
use muster_core::platform::time::Time;
use serde_json::{Value, json};

use crate::chains::{self, Chain};

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

/// What the name of a dead-letter queue has after that of its queue.
pub const DEAD: &str = "-dlq";

/// The URL of a queue.
pub fn url(name: &str) -> String {
    format!("http://sqs.local/1/{name}")
}

/// The URL of a queue's dead-letter queue.
pub fn dead_letters_url(name: &str) -> String {
    url(&format!("{name}{DEAD}"))
}

/// A message in a queue.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its id: the same however often it is delivered.
    pub id: String,
    /// What it says.
    pub body: String,
    /// When it was sent, wherever it is now.
    pub sent_at: Time,
    /// From when on it is handed out.
    pub visible_at: Time,
    /// How often it was handed out.
    pub receives: u32,
    /// What was invoked on its way.
    pub chain: Chain,
    receipt: String,
}

/// What `template.yaml` says of a queue.
#[derive(Debug, Clone)]
pub struct Properties {
    /// The function that it triggers.
    pub reader: &'static str,
    /// How long a message that was handed out is out of sight.
    pub visibility: Duration,
    /// How often a message is handed out before it is a dead letter.
    pub max_receives: u32,
    /// How long messages are kept.
    pub retention: Duration,
    /// How long dead letters are kept.
    pub dead_retention: Duration,
}

/// A queue and its dead letters.
#[derive(Debug)]
pub struct Queue {
    /// What it is like.
    pub properties: Properties,
    /// Messages that somebody is to handle.
    pub messages: Vec<Message>,
    /// Messages that were received too often.
    pub dead: Vec<Message>,
}

/// All queues.
#[derive(Debug)]
pub struct Queues {
    queues: BTreeMap<&'static str, Queue>,
    random: Random,
    count: u64,
    /// Whether they deliver once and at once, as they do most of the time.
    pub is_punctual: bool,
    /// The chain that what is sent now belongs to: empty but for a call of a function.
    pub chain: Chain,
    /// When a nudge of a profile was to be seen for the first time.
    pub seen_first: BTreeMap<String, Time>,
}

impl Queues {
    /// Empty queues with the properties given.
    pub fn new(
        properties: impl IntoIterator<Item = (&'static str, Properties)>,
        random: Random,
    ) -> Self {
        let queue = |properties| Queue {
            properties,
            messages: Vec::new(),
            dead: Vec::new(),
        };
        Self {
            queues: properties
                .into_iter()
                .map(|(name, properties)| (name, queue(properties)))
                .collect(),
            random,
            count: 0,
            is_punctual: false,
            chain: Chain::default(),
            seen_first: BTreeMap::new(),
        }
    }

    /// Puts a message into a queue, once or twice, now or late.
    pub fn send(&mut self, queue: &str, body: &str, delay: Duration, now: Time) -> String {
        self.count += 1;
        let id = format!("m{}", self.count);
        let late = Duration::from_millis(match self.random.bytes::<1>()[0] {
            _ if self.is_punctual => 0,
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
            chain: self.chain.clone(),
            receipt: String::new(),
        };
        if let Ok(MailNudge { profile_id, .. }) = serde_json::from_str(body) {
            let first = self.seen_first.entry(profile_id.to_string());
            first.or_insert(message.visible_at);
        }
        // At least once: SQS may deliver a copy that it had deleted.
        let again = self.random.bytes::<1>()[0] < 16 && !self.is_punctual;
        let copies = 1 + usize::from(again);
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
            message.visible_at = now.after(queue.properties.visibility);
            message.receipt = format!("r{batch}-{index}");
            taken.push(message.clone());
        }
        let (dead, alive): (Vec<_>, Vec<_>) = taken.into_iter().partition(|message| {
            message.receives > queue.properties.max_receives
                || message.chain.is_stopped_at(queue.properties.reader)
        });
        for message in dead {
            queue
                .messages
                .retain(|other| other.receipt != message.receipt);
            queue.dead.push(Message {
                visible_at: now,
                ..message
            });
        }
        alive
    }

    /// Takes up to `limit` dead letters that can be seen, in no order, and fewer
    /// than there are as chance has it.
    pub fn receive_dead(
        &mut self,
        queue: &str,
        limit: usize,
        visibility: Duration,
        now: Time,
    ) -> Vec<Message> {
        let limit = 1 + usize::from(self.random.bytes::<1>()[0]) % limit.max(1);
        let random = self.random.clone();
        self.count += 1;
        let batch = self.count;
        let dead = &mut self.queue(queue).dead;
        let mut seen: Vec<usize> = (0..dead.len())
            .filter(|index| dead[*index].visible_at <= now)
            .collect();
        let mut taken = Vec::new();
        while !seen.is_empty() && taken.len() < limit {
            let index = seen.swap_remove(usize::from(random.bytes::<1>()[0]) % seen.len());
            let message = &mut dead[index];
            message.receives += 1;
            message.visible_at = now.after(visibility);
            message.receipt = format!("d{batch}-{index}");
            taken.push(message.clone());
        }
        taken
    }

    /// Forgets a dead letter; says whether it was there.
    pub fn delete_dead(&mut self, queue: &str, receipt: &str) -> bool {
        let dead = &mut self.queue(queue).dead;
        let before = dead.len();
        dead.retain(|message| message.receipt != receipt);
        dead.len() < before
    }

    /// Makes a dead letter visible at another time; says whether it was there.
    pub fn change_dead_visibility(
        &mut self,
        queue: &str,
        receipt: &str,
        delay: Duration,
        now: Time,
    ) -> bool {
        let dead = self.queue(queue).dead.iter_mut();
        let mut found = dead.filter(|message| message.receipt == receipt);
        let message = found.next();
        let was_there = message.is_some();
        if let Some(message) = message {
            message.visible_at = now.after(delay);
        }
        was_there
    }

    /// A message that was sent and handed out until it was given up.
    pub fn give_up(&mut self, queue: &'static str, body: &str, now: Time) -> String {
        let id = self.send(queue, body, Duration::ZERO, now);
        // At least once, and once is enough here.
        let messages = &mut self.queue(queue).messages;
        let first = messages.iter().position(|message| message.id == id);
        let mut message = messages.swap_remove(first.expect("the message"));
        messages.retain(|other| other.id != id);
        message.receives = self.queue(queue).properties.max_receives + 1;
        message.visible_at = now;
        self.queue(queue).dead.push(message);
        id
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

    /// Messages in a queue, whether to be seen or not.
    pub fn depth(&self, queue: &str) -> usize {
        self.queues[queue].messages.len()
    }

    /// Queue, and how many of its messages are dead.
    pub fn dead_letters(&self) -> impl Iterator<Item = (&'static str, &Message)> {
        self.queues
            .iter()
            .flat_map(|(name, queue)| queue.dead.iter().map(move |message| (*name, message)))
    }

    /// A queue.
    pub fn queue(&mut self, name: &str) -> &mut Queue {
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
                chains::ATTRIBUTE: self.chain.header(),
            },
            "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:local:1:{queue}"),
        })
    }
}
