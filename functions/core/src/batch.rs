//! How a batch of queue messages is answered: each record for itself.
//!
//! A record that fails is named in the partial batch response and comes back
//! after its visibility timeout; a record that panics fails like any other. A
//! record without an id cannot be named, and a response with an empty name
//! fails the whole batch silently, so that is an error up front.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::FutureExt;
use futures_util::future::join_all;

/// A batch that cannot be answered record by record.
#[derive(Debug, thiserror::Error)]
#[error("a record of the batch has no messageId: the whole batch goes back to the queue")]
pub struct NamelessRecord;

/// Whether a record is done with, or comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Acknowledged: the queue forgets it.
    Done,
    /// Left to the queue: retried, and dead-lettered in the end.
    Retry,
}

/// Handles all records of a batch at once and names those to be retried.
///
/// # Errors
/// When a record has no id. Nothing has been handled then.
pub async fn answer<F>(
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
        // sent again because of it.
        AssertUnwindSafe(async { handle(record).await }).catch_unwind()
    }))
    .await;
    let mut response = SqsBatchResponse::default();
    for (id, answer) in ids.into_iter().zip(answers) {
        match answer {
            Ok(Answer::Done) => {}
            Ok(Answer::Retry) => response.add_failure(id),
            Err(_) => {
                tracing::error!(message_id = id, "a record made its handler panic");
                response.add_failure(id);
            }
        }
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
            .map(|f| f.item_identifier.as_str())
            .collect()
    }

    #[tokio::test]
    async fn each_record_answers_for_itself() {
        let response = answer(
            event(&[Some("fine"), Some("late"), Some("bug")]),
            |record| async move {
                match record.body.as_deref() {
                    Some("late") => Answer::Retry,
                    Some("bug") => panic!("a bug"),
                    _ => Answer::Done,
                }
            },
        )
        .await
        .unwrap();
        assert_eq!(failures(&response), ["late", "bug"]);
    }

    #[tokio::test]
    async fn a_record_without_a_name_fails_the_batch_before_any_work() {
        for nameless in [None, Some("")] {
            let result = answer(event(&[Some("fine"), nameless]), |_| async {
                panic!("handled")
            })
            .await;
            assert!(result.is_err());
        }
    }
}
