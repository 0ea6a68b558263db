//! What `template.yaml` deploys: a table, a bucket and queues, with nothing in them.

use std::time::Duration;

use muster_core::platform::random::Random;
use muster_core::platform::time::Clock;
use serde_json::{Value, json};

use crate::bug::Bug;
use crate::dynamodb::{DynamoDb, TABLE};
use crate::faults::Schedule;
use crate::process::Function;
use crate::queues::{BULK_MAIL, CHUNK, FEEDBACK, IMPORT, MAIL, Properties, Queues};
use crate::state::{Shared, State};
use crate::template::template;

/// A table, a bucket and queues with nothing in them.
pub fn empty_world(schedule: Schedule, bug: Option<Bug>, clock: &Clock, random: &Random) -> State {
    let dynamodb = DynamoDb::new(&table());
    let queues = Queues::new(queues(), random.clone());
    State::new(Shared::new(
        dynamodb,
        queues,
        schedule,
        bug,
        clock.clone(),
        random.clone(),
    ))
}

/// `template.yaml`, as far as DynamoDB wants to know.
fn table() -> Value {
    let properties = &template()["Resources"]["Table"]["Properties"];
    let part = |name: &str| serde_json::to_value(&properties[name]).expect("JSON");
    json!({
        "TableName": TABLE,
        "BillingMode": part("BillingMode"),
        "AttributeDefinitions": part("AttributeDefinitions"),
        "KeySchema": part("KeySchema"),
        "GlobalSecondaryIndexes": part("GlobalSecondaryIndexes"),
    })
}

/// What AWS has where the template is silent.
const DEFAULT_RETENTION: u64 = 4 * 24 * 3600;

fn queues() -> Vec<(&'static str, Properties)> {
    let resources = &template()["Resources"];
    [
        (MAIL, "Mail", Function::Mailer),
        (BULK_MAIL, "BulkMail", Function::Mailer),
        (IMPORT, "Import", Function::Planner),
        (CHUNK, "Chunk", Function::Worker),
        (FEEDBACK, "Feedback", Function::Feedback),
    ]
    .into_iter()
    .map(|(name, resource, reader)| {
        let queue = &resources[format!("{resource}Queue")]["Properties"];
        let dead = &resources[format!("{resource}DeadLetterQueue")]["Properties"];
        let visibility = queue["VisibilityTimeout"].as_u64();
        let receives = queue["RedrivePolicy"]["maxReceiveCount"].as_u64();
        let retention = |queue: &serde_yaml_ng::Value| {
            let seconds = queue["MessageRetentionPeriod"].as_u64();
            Duration::from_secs(seconds.unwrap_or(DEFAULT_RETENTION))
        };
        let properties = Properties {
            reader: reader.name(),
            visibility: Duration::from_secs(visibility.expect("a visibility timeout")),
            max_receives: receives.expect("receives").try_into().expect("a number"),
            retention: retention(queue),
            dead_retention: retention(dead),
        };
        (name, properties)
    })
    .collect()
}
