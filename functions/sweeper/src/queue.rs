//! Nudges, now or later, ten at a time: the most that `SendMessageBatch` takes.

use std::time::Duration;

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use muster_core::platform::failure::Failure;
use serde::Serialize;

const BATCH: usize = 10;

/// A queue that nudges go to.
pub(crate) struct Queue {
    sqs: aws_sdk_sqs::Client,
    url: String,
}

impl Queue {
    /// The queue at that URL.
    pub(crate) const fn new(sqs: aws_sdk_sqs::Client, url: String) -> Self {
        Self { sqs, url }
    }

    /// Sends nudges, each to be seen after its delay (in whole seconds, at most
    /// 15 minutes); says how many the queue took. One that it did not take is
    /// due again later.
    ///
    /// # Errors
    /// When the queue cannot be reached; the other batches were sent.
    pub(crate) async fn send<T: Serialize>(
        &self,
        nudges: &[(T, Duration)],
    ) -> Result<usize, Failure> {
        let (mut taken, mut failed) = (0, None);
        for batch in nudges.chunks(BATCH) {
            let entries = batch
                .iter()
                .enumerate()
                .map(entry)
                .collect::<Result<_, _>>()?;
            let sent = self
                .sqs
                .send_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries))
                .send()
                .await;
            match sent {
                Ok(output) => taken += output.successful.len(),
                Err(error) => failed = Some(Failure::of("SendMessageBatch", error)),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        Ok(taken)
    }
}

fn entry<T: Serialize>(
    (index, (nudge, delay)): (usize, &(T, Duration)),
) -> Result<SendMessageBatchRequestEntry, Failure> {
    let body =
        serde_json::to_string(nudge).map_err(|error| Failure::unreadable("encode nudge", error))?;
    SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(body)
        .delay_seconds(i32::try_from(delay.as_secs()).unwrap_or(i32::MAX))
        .build()
        .map_err(|error| Failure::unreadable("build entry", error))
}
