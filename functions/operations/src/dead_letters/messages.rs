//! Dead letters in SQS: looked at, sent again, thrown away.
//!
//! SQS shows messages by handing them out. A letter that is handed out is out of
//! sight of others for a minute; what was only looked at is put back at once, and
//! comes back by itself if we die. That uses nothing up: a dead-letter queue has
//! no queue of its own to give its messages up to. Only the count of receives
//! grows.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry as Visibility,
    DeleteMessageBatchRequestEntry as Deletion, Message, MessageSystemAttributeName,
};
use futures_util::future::join_all;
use muster_core::platform::failure::Failure;
use muster_core::platform::time::{Clock, Time};

use crate::settings::Queue;

/// The most messages of one call.
const BATCH: usize = 10;
/// How long others do not see what we hold: longer than the function may run.
const HELD: Duration = Duration::from_secs(60);
/// Without waiting, SQS asks only some of its machines, and says that there is
/// nothing when there is. It waits only if there is nothing.
const WAIT_SECONDS: i32 = 1;
/// After this long no more letters are taken, so that the answer comes before
/// the gateway loses patience.
pub(crate) const TIME: Duration = Duration::from_secs(10);

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its id in SQS.
    pub id: String,
    /// What it says.
    pub body: String,
    /// When it was sent to the queue that gave it up.
    pub sent_at: Time,
    /// How often it was handed out, to us too.
    pub receives: u32,
    receipt: String,
}

/// The letters that one request holds, by their ids: SQS may hand out the same
/// one twice.
pub(crate) type Held = BTreeMap<String, Letter>;

/// What was seen of a dead-letter queue.
#[derive(Debug)]
pub struct Seen {
    /// The letters, the oldest first.
    pub letters: Vec<Letter>,
    /// Whether there was nothing more to see.
    pub whole: bool,
}

/// The dead-letter queues.
pub struct DeadLetters {
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) clock: Clock,
}

impl DeadLetters {
    /// Dead-letter queues by way of that client.
    pub const fn new(sqs: aws_sdk_sqs::Client, clock: Clock) -> Self {
        Self { sqs, clock }
    }

    /// Looks at up to `limit` letters, which stay where they are.
    ///
    /// # Errors
    /// When SQS does not do its part.
    pub async fn look(&self, queue: &Queue, limit: usize) -> Result<Seen, Failure> {
        self.look_until(queue, |held| limit.saturating_sub(held.len()))
            .await
    }

    /// Looks for one letter, which stays where it is.
    ///
    /// # Errors
    /// When SQS does not do its part.
    pub async fn find(&self, queue: &Queue, id: &str) -> Result<Seen, Failure> {
        let wanted = |held: &Held| if held.contains_key(id) { 0 } else { BATCH };
        let mut seen = self.look_until(queue, wanted).await?;
        seen.letters.retain(|letter| letter.id == id);
        Ok(seen)
    }

    /// Looks at letters for as long as more of them are wanted.
    async fn look_until(
        &self,
        queue: &Queue,
        wanted: impl Fn(&Held) -> usize,
    ) -> Result<Seen, Failure> {
        let mut held = Held::new();
        let whole = self.hold(queue, &mut held, wanted).await;
        self.put_back(queue, held.values()).await;
        let mut letters: Vec<_> = held.into_values().collect();
        letters.sort_by(|a, b| (a.sent_at, &a.id).cmp(&(b.sent_at, &b.id)));
        Ok(Seen {
            letters,
            whole: whole?,
        })
    }

    /// Takes letters and says whether the queue had no more. What was taken is
    /// held, also if it goes wrong in the end.
    async fn hold(
        &self,
        queue: &Queue,
        held: &mut Held,
        wanted: impl Fn(&Held) -> usize,
    ) -> Result<bool, Failure> {
        let end = self.clock.now().after(TIME);
        loop {
            let count = wanted(held);
            if count == 0 || self.clock.now() >= end {
                return Ok(false);
            }
            let letters = self.receive(queue, count).await?;
            if letters.is_empty() {
                return Ok(true);
            }
            held.extend(letters.into_iter().map(|l| (l.id.clone(), l)));
        }
    }

    /// Takes some letters, which others do not see meanwhile; none, if there
    /// are none to be seen.
    ///
    /// # Errors
    /// When SQS does not do its part.
    pub(crate) async fn receive(
        &self,
        queue: &Queue,
        at_most: usize,
    ) -> Result<Vec<Letter>, Failure> {
        let output = self
            .sqs
            .receive_message()
            .queue_url(&queue.dead_letters_url)
            .max_number_of_messages(i32::try_from(at_most.min(BATCH)).unwrap_or(1))
            .visibility_timeout(seconds(HELD))
            .wait_time_seconds(WAIT_SECONDS)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await
            .map_err(|error| Failure::of("ReceiveMessage", error))?;
        let messages = output.messages.unwrap_or_default();
        Ok(messages.into_iter().filter_map(letter).collect())
    }

    /// Sends letters to the queue they came from; says which of them it took.
    /// One by one: together they might be too long for one call.
    ///
    /// # Errors
    /// When it took none.
    pub(crate) async fn send(
        &self,
        queue: &Queue,
        letters: Vec<Letter>,
    ) -> Result<Vec<Letter>, Failure> {
        let sends = letters.into_iter().map(async |letter| {
            let send = self.sqs.send_message().queue_url(&queue.url);
            match send.message_body(&letter.body).send().await {
                Ok(_) => Ok(letter),
                Err(error) => Err(Failure::of("SendMessage", error)),
            }
        });
        let mut taken = Vec::new();
        let mut refused = None;
        for sent in join_all(sends).await {
            match sent {
                Ok(letter) => taken.push(letter),
                Err(error) => {
                    tracing::warn!(queue = queue.name, %error, "a dead letter stays one");
                    refused = Some(error);
                }
            }
        }
        match refused {
            Some(error) if taken.is_empty() => Err(error),
            _ => Ok(taken),
        }
    }

    /// Deletes up to ten letters; gives the ids of those that are gone.
    ///
    /// # Errors
    /// When SQS does not do its part.
    pub(crate) async fn delete(
        &self,
        queue: &Queue,
        letters: &[Letter],
    ) -> Result<Vec<String>, Failure> {
        if letters.is_empty() {
            return Ok(Vec::new());
        }
        let entries = letters.iter().enumerate().map(|(index, letter)| {
            Deletion::builder()
                .id(index.to_string())
                .receipt_handle(&letter.receipt)
                .build()
        });
        let entries = entries
            .collect::<Result<_, _>>()
            .map_err(|error| Failure::unreadable("build entry", error))?;
        let output = self
            .sqs
            .delete_message_batch()
            .queue_url(&queue.dead_letters_url)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| Failure::of("DeleteMessageBatch", error))?;
        let deleted = output.successful.iter();
        let deleted = deleted.filter_map(|entry| letters.get(entry.id.parse::<usize>().ok()?));
        Ok(deleted.map(|letter| letter.id.clone()).collect())
    }

    /// Has others see letters again. If that fails, they do so when [`HELD`] is
    /// over: later, not never.
    pub(crate) async fn put_back(&self, queue: &Queue, letters: impl Iterator<Item = &Letter>) {
        let entries: Vec<_> = letters
            .enumerate()
            .filter_map(|(index, letter)| {
                Visibility::builder()
                    .id((index % BATCH).to_string())
                    .receipt_handle(&letter.receipt)
                    .visibility_timeout(0)
                    .build()
                    .ok()
            })
            .collect();
        let calls = entries.chunks(BATCH).map(async |batch| {
            let call = self.sqs.change_message_visibility_batch();
            let call = call.queue_url(&queue.dead_letters_url);
            if let Err(error) = call.set_entries(Some(batch.to_vec())).send().await {
                let error = Failure::of("ChangeMessageVisibilityBatch", error);
                tracing::warn!(queue = queue.name, %error, "dead letters are out of sight for a minute");
            }
        });
        join_all(calls).await;
    }
}

/// A message as SQS hands it out; without an id or a receipt nothing could be
/// done with it.
fn letter(message: Message) -> Option<Letter> {
    let attributes = message.attributes.unwrap_or_default();
    let number = |name| -> Option<i64> { attributes.get(&name)?.parse().ok() };
    let sent_at = number(MessageSystemAttributeName::SentTimestamp);
    let receives = number(MessageSystemAttributeName::ApproximateReceiveCount);
    Some(Letter {
        id: message.message_id?,
        body: message.body.unwrap_or_default(),
        sent_at: Time::from_millis(sent_at.unwrap_or_default()),
        receives: receives.and_then(|n| n.try_into().ok()).unwrap_or_default(),
        receipt: message.receipt_handle?,
    })
}

fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}
