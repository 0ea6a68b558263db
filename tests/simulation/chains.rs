//! Recursive loops: a message carries how often each function was invoked on its way.
//!
//! Lambda keeps this count in the trace header, which the SDK passes on to SQS. After
//! 16 invocations of one function in one chain it stops the next, unless the function
//! has `RecursiveLoop: Allow`; the message goes to the dead-letter queue
//! (docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value;

use crate::template::template;

/// Invocations of one function in one chain.
pub const MOST: u32 = 16;

/// The attribute of a message that carries the count.
pub const ATTRIBUTE: &str = "AWSTraceHeader";

/// The functions that `template.yaml` lets run in a loop.
static MAY_LOOP: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let resources = template()["Resources"].as_mapping().expect("resources");
    let functions = resources.values().map(|resource| &resource["Properties"]);
    functions
        .filter(|function| function["RecursiveLoop"] == "Allow")
        .filter_map(|function| function_of(function["CodeUri"].as_str()?))
        .map(str::to_owned)
        .collect()
});

/// `target/lambda/import-worker/` is the code of `import-worker`.
fn function_of(code: &str) -> Option<&str> {
    code.trim_end_matches('/').rsplit('/').next()
}

/// How often each function was invoked from the first message on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain(BTreeMap<String, u32>);

impl Chain {
    /// What an invocation of a function adds to the chains of its event's messages. An
    /// event without messages begins a chain.
    pub fn of_invocation(function: &str, event: &Value) -> Self {
        let records = event["Records"].as_array().into_iter().flatten();
        let headers = records.filter_map(|record| record["attributes"][ATTRIBUTE].as_str());
        let mut chain = Self::default();
        for header in headers {
            chain.join(&Self::parse(header));
        }
        *chain.0.entry(function.to_owned()).or_default() += 1;
        chain
    }

    /// Whether Lambda stops the invocation of a function at the end of this chain.
    pub fn is_stopped_at(&self, function: &str) -> bool {
        self.0.get(function).is_some_and(|times| *times >= MOST) && !MAY_LOOP.contains(function)
    }

    /// The chain as a header.
    pub fn header(&self) -> String {
        let parts = self.0.iter().map(|(name, times)| format!("{name}:{times}"));
        format!("Lineage={}", parts.collect::<Vec<_>>().join("|"))
    }

    fn parse(header: &str) -> Self {
        let parts = header.trim_start_matches("Lineage=").split('|');
        let parts = parts.filter_map(|part| {
            let (name, times) = part.split_once(':')?;
            Some((name.to_owned(), times.parse().ok()?))
        });
        Self(parts.collect())
    }

    fn join(&mut self, other: &Self) {
        for (name, times) in &other.0 {
            let known = self.0.entry(name.clone()).or_default();
            *known = (*known).max(*times);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn after(function: &str, times: u32) -> Chain {
        (0..times).fold(Chain::default(), |chain, _| {
            let attributes = json!({ ATTRIBUTE: chain.header() });
            let event = json!({ "Records": [{ "attributes": attributes }] });
            Chain::of_invocation(function, &event)
        })
    }

    #[test]
    fn the_seventeenth_invocation_of_a_chain_is_stopped() {
        assert!(!after("mailer", 15).is_stopped_at("mailer"));
        assert!(after("mailer", 16).is_stopped_at("mailer"));
        assert!(
            !after("mailer", 16).is_stopped_at("feedback"),
            "each for itself"
        );
        assert!(!after("import-worker", 100).is_stopped_at("import-worker"));
    }

    #[test]
    fn a_batch_goes_on_from_its_longest_chain() {
        let record =
            |times| json!({ "attributes": { ATTRIBUTE: after("mailer", times).header() } });
        let event = json!({ "Records": [record(3), record(7), {}] });
        assert_eq!(Chain::of_invocation("mailer", &event), after("mailer", 8));
        assert_eq!(
            Chain::of_invocation("mailer", &json!({})),
            after("mailer", 1)
        );
    }
}
