//! How a batch of queue messages is answered: each record for itself.
//!
//! A record that fails is named in the partial batch response and comes back;
//! a record that panics fails like any other. A record without an id cannot be
//! named, and a response with an empty name fails the whole batch silently,
//! so that is an error up front.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::FutureExt;
use futures_util::future::join_all;

use crate::platform::failure::Failure;

/// A batch that cannot be answered record by record.
#[derive(Debug, thiserror::Error)]
#[error("a record of the batch has no messageId: the whole batch goes back to the queue")]
pub struct NamelessRecord;

/// Whether a record is done with, or comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Acknowledged: the queue forgets it.
    Done,
    /// Left to the queue: comes back after the visibility timeout, and is
    /// dead-lettered in the end.
    Retry,
    /// The same, but back after this long.
    RetryIn(Duration),
}

impl Answer {
    /// Back soon at first, and later each time: with five receives allowed,
    /// an outage of three quarters of an hour dead-letters nothing.
    pub fn retry_with_back_off(record: &SqsMessage) -> Self {
        let factor = 4_u64.pow(receives(record).saturating_sub(1).min(3));
        Self::RetryIn(Duration::from_secs(30 * factor))
    }
}

/// How often a record has been received, this time included.
pub fn receives(record: &SqsMessage) -> u32 {
    record
        .attributes
        .get("ApproximateReceiveCount")
        .and_then(|count| count.parse().ok())
        .unwrap_or(1)
}

/// The queues that a function reads: where a record's visibility is changed.
#[derive(Debug, Clone)]
pub struct Queues {
    sqs: aws_sdk_sqs::Client,
    urls: Vec<String>,
}

impl Queues {
    /// The queues at these URLs.
    pub const fn new(sqs: aws_sdk_sqs::Client, urls: Vec<String>) -> Self {
        Self { sqs, urls }
    }

    /// Handles all records of a batch at once and names those that come back.
    ///
    /// # Errors
    /// When a record has no id. Nothing has been handled then.
    pub async fn answer<F>(
        &self,
        event: SqsEvent,
        handle: impl Fn(SqsMessage) -> F,
    ) -> Result<SqsBatchResponse, NamelessRecord>
    where
        F: Future<Output = Answer>,
    {
        let ids = event
            .records
            .iter()
            .map(|record| record.message_id.clone().filter(|id| !id.is_empty()))
            .collect::<Option<Vec<_>>>()
            .ok_or(NamelessRecord)?;
        let answers = join_all(event.records.into_iter().map(|record| {
            // A panic is a bug, but one record's: its neighbours are not to be
            // handled again because of it.
            AssertUnwindSafe(self.answer_one(record, &handle)).catch_unwind()
        }))
        .await;
        let mut response = SqsBatchResponse::default();
        for (id, answer) in ids.into_iter().zip(answers) {
            match answer {
                Ok(Answer::Done) => {}
                Ok(Answer::Retry | Answer::RetryIn(_)) => response.add_failure(id),
                Err(_) => {
                    tracing::error!(message_id = id, "a record made its handler panic");
                    response.add_failure(id);
                }
            }
        }
        Ok(response)
    }

    async fn answer_one<F>(&self, record: SqsMessage, handle: impl Fn(SqsMessage) -> F) -> Answer
    where
        F: Future<Output = Answer>,
    {
        let queue = record.event_source_arn.clone();
        let receipt = record.receipt_handle.clone();
        let answer = handle(record).await;
        if let Answer::RetryIn(delay) = answer {
            self.show_again(queue.as_deref(), receipt, delay).await;
        }
        answer
    }

    /// Makes a message visible again after `delay`. If that fails, it is
    /// visible again after the queue's visibility timeout: later, not lost.
    async fn show_again(&self, queue_arn: Option<&str>, receipt: Option<String>, delay: Duration) {
        let Some(url) = self.url_of(queue_arn.unwrap_or_default()) else {
            return;
        };
        let result = self
            .sqs
            .change_message_visibility()
            .queue_url(url)
            .set_receipt_handle(receipt)
            .visibility_timeout(i32::try_from(delay.as_secs().max(1)).unwrap_or(i32::MAX))
            .send()
            .await;
        if let Err(error) = result {
            let error = Failure::of("ChangeMessageVisibility", error);
            tracing::warn!(%error, "a record comes back later than it could");
        }
    }

    /// Both an ARN and a URL end in the queue's name.
    fn url_of(&self, arn: &str) -> Option<&str> {
        let name = arn.rsplit(':').next()?;
        self.urls
            .iter()
            .find(|url| url.rsplit('/').next() == Some(name))
            .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::aws::AwsSettings;
    use crate::platform::settings::Variables;
    use serde_json::json;

    fn queues() -> Queues {
        let mut variables = Variables::from_fn(|name| match name {
            "AWS_SESSION_TOKEN" | "AWS_ENDPOINT_URL" => None,
            _ => Some("eu-central-1".to_owned()),
        });
        let config = AwsSettings::read(&mut variables).sdk_config();
        let urls = ["https://sqs/1/mail", "https://sqs/1/bulk-mail"].map(str::to_owned);
        Queues::new(aws_sdk_sqs::Client::new(&config), urls.to_vec())
    }

    fn event(ids: &[Option<&str>]) -> SqsEvent {
        let records: Vec<_> = ids
            .iter()
            .map(|id| json!({"messageId": id, "body": id, "eventSource": "aws:sqs"}))
            .collect();
        serde_json::from_value(json!({ "Records": records })).unwrap()
    }

    fn failures(response: &SqsBatchResponse) -> Vec<&str> {
        response
            .batch_item_failures
            .iter()
            .map(|failure| failure.item_identifier.as_str())
            .collect()
    }

    #[tokio::test]
    async fn each_record_answers_for_itself() {
        let batch = event(&[Some("fine"), Some("late"), Some("bug")]);
        let response = queues()
            .answer(batch, |record| async move {
                match record.body.as_deref() {
                    Some("late") => Answer::Retry,
                    Some("bug") => panic!("a bug"),
                    _ => Answer::Done,
                }
            })
            .await
            .unwrap();
        assert_eq!(failures(&response), ["late", "bug"]);
    }

    #[tokio::test]
    async fn a_record_without_a_name_fails_the_batch_before_any_work() {
        for nameless in [None, Some("")] {
            let batch = event(&[Some("fine"), nameless]);
            let result = queues()
                .answer(batch, |_| async { panic!("handled") })
                .await;
            assert!(result.is_err());
        }
    }

    #[test]
    fn a_queue_is_found_by_its_whole_name() {
        let queues = queues();
        assert_eq!(
            queues.url_of("arn:aws:sqs:eu-central-1:1:mail"),
            Some("https://sqs/1/mail")
        );
        assert_eq!(
            queues.url_of("arn:aws:sqs:eu-central-1:1:bulk-mail"),
            Some("https://sqs/1/bulk-mail")
        );
        assert_eq!(queues.url_of("arn:aws:sqs:eu-central-1:1:il"), None);
    }

    #[test]
    fn the_back_off_grows_with_the_receives() {
        let after = |count: &str| {
            let record =
                json!({"messageId": "m", "attributes": {"ApproximateReceiveCount": count}});
            Answer::retry_with_back_off(&serde_json::from_value(record).unwrap())
        };
        assert_eq!(after("1"), Answer::RetryIn(Duration::from_secs(30)));
        assert_eq!(after("3"), Answer::RetryIn(Duration::from_secs(480)));
        assert_eq!(after("9"), Answer::RetryIn(Duration::from_secs(1920)));
    }
}
