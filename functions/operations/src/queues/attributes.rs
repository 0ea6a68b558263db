//! What SQS says of a queue.

use std::collections::HashMap;

use aws_sdk_sqs::types::QueueAttributeName::{
    self, ApproximateNumberOfMessages as Visible, ApproximateNumberOfMessagesDelayed as Delayed,
    ApproximateNumberOfMessagesNotVisible as InFlight, RedrivePolicy,
};
use muster_core::platform::failure::Failure;
use serde_json::Value;

/// What SQS says of a queue.
pub(crate) struct Attributes(HashMap<QueueAttributeName, String>);

impl Attributes {
    /// Asks.
    ///
    /// # Errors
    /// When SQS does not do its part.
    pub(crate) async fn get(sqs: &aws_sdk_sqs::Client, url: &str) -> Result<Self, Failure> {
        let output = sqs
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(QueueAttributeName::All)
            .send()
            .await
            .map_err(|error| Failure::of("GetQueueAttributes", error))?;
        Ok(Self(output.attributes.unwrap_or_default()))
    }

    /// Messages that are there, seen or not.
    pub(crate) fn messages(&self) -> usize {
        self.number(&Visible) + self.number(&InFlight) + self.number(&Delayed)
    }

    /// A number, by its name.
    pub(crate) fn number(&self, name: &QueueAttributeName) -> usize {
        let text = self.0.get(name);
        text.and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// How often a message is received before it is given up. In the policy it is a number, or a text: both are taken by SQS, and
    /// given back as they were.
    pub(crate) fn max_receive_count(&self) -> usize {
        let policy = self.0.get(&RedrivePolicy);
        let policy = policy.and_then(|text| serde_json::from_str::<Value>(text).ok());
        let count = policy.map(|mut policy| policy["maxReceiveCount"].take());
        let count = match count {
            Some(Value::String(text)) => text.parse().ok(),
            Some(number) => number.as_u64().and_then(|n| usize::try_from(n).ok()),
            None => None,
        };
        count.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_read_however_it_spells_its_number() {
        for policy in [
            r#"{"deadLetterTargetArn":"a","maxReceiveCount":5}"#,
            r#"{"deadLetterTargetArn":"a","maxReceiveCount":"5"}"#,
        ] {
            let attributes = Attributes(HashMap::from([(RedrivePolicy, policy.to_owned())]));
            assert_eq!(attributes.max_receive_count(), 5, "{policy}");
        }
    }
}
