//! DynamoDB: the wire protocol in front of dynoxide.

use dynoxide::Database;
use dynoxide::errors::DynoxideError;
use muster_core::people::email_lock::lock_key;
use muster_core::platform::table::{Key, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The table's name in every run.
pub const TABLE: &str = "muster";

/// One table, in memory.
pub struct DynamoDb {
    database: Database,
}

impl DynamoDb {
    /// An empty table with the keys and indexes of `template.yaml`.
    pub fn new(table: &Value) -> Self {
        let database = Database::memory().expect("a database in memory");
        let dynamodb = Self { database };
        let (status, answer) = dynamodb.call("CreateTable", &table.to_string());
        assert_eq!(status, 200, "CreateTable: {answer}");
        dynamodb
    }

    /// Answers one call as DynamoDB would: status and JSON.
    pub fn call(&self, operation: &str, body: &str) -> (u16, String) {
        let db = &self.database;
        let result = match operation {
            "CreateTable" => run(body, |request| db.create_table(request)),
            "GetItem" => run(body, |request| db.get_item(request)),
            "BatchGetItem" => run(body, |request| db.batch_get_item(request)),
            "PutItem" => run(body, |request| db.put_item(request)),
            "UpdateItem" => run(body, |request| db.update_item(request)),
            "DeleteItem" => run(body, |request| db.delete_item(request)),
            "Query" => run(body, |request| db.query(request)),
            "Scan" => run(body, |request| db.scan(request)),
            "TransactWriteItems" => run(body, |request| db.transact_write_items(request)),
            other => panic!("the functions make no {other} calls"),
        };
        match result {
            Ok(json) => (200, json),
            Err(error) => (error.status_code(), error.to_json()),
        }
    }

    /// Every item, for the invariants to look at.
    pub fn items(&self) -> Vec<muster_core::platform::table::Item> {
        self.scan(json!({ "TableName": TABLE })).collect()
    }

    /// The same, when they are too many to be held at once.
    pub fn each_item(&self) -> impl Iterator<Item = muster_core::platform::table::Item> {
        self.scan(json!({ "TableName": TABLE }))
    }

    /// The index entries of whatever is due some day.
    pub fn due(&self) -> Vec<muster_core::platform::table::Item> {
        self.scan(json!({ "TableName": TABLE, "IndexName": "due" }))
            .collect()
    }

    /// The profile that has an address.
    pub fn owner(&self, address: &str) -> Option<String> {
        let lock = self.item(&lock_key(address))?;
        lock["profile_id"].as_s().ok().cloned()
    }

    /// One item.
    pub fn item(&self, key: &Key) -> Option<muster_core::platform::table::Item> {
        let key = json!({ "pk": { "S": key.pk }, "sk": { "S": key.sk } });
        let (_, answer) = self.call(
            "GetItem",
            &json!({ "TableName": TABLE, "Key": key }).to_string(),
        );
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        answer["Item"].is_object().then(|| item(&answer["Item"]))
    }

    /// Sets one attribute of an item, past every condition.
    pub fn set(&self, pk: &str, sk: &str, attribute: &str, value: &Value) {
        let request = json!({
            "TableName": TABLE,
            "Key": { "pk": { "S": pk }, "sk": { "S": sk } },
            "UpdateExpression": "SET #attribute = :value",
            "ExpressionAttributeNames": { "#attribute": attribute },
            "ExpressionAttributeValues": { ":value": value },
        });
        let (status, answer) = self.call("UpdateItem", &request.to_string());
        assert_eq!(status, 200, "UpdateItem: {answer}");
    }

    /// Writes an item, past the functions.
    pub fn put<T: Serialize>(&self, key: &Key, fields: &T) {
        let item = encode(key, fields).expect("an item");
        let item: serde_json::Map<_, _> = item
            .into_iter()
            .map(|(name, value)| (name, typed(&value)))
            .collect();
        let request = json!({ "TableName": TABLE, "Item": item });
        let (status, answer) = self.call("PutItem", &request.to_string());
        assert_eq!(status, 200, "PutItem: {answer}");
    }

    /// Removes an item, as time-to-live does.
    pub fn remove(&self, pk: &str, sk: &str) {
        let key = json!({ "pk": { "S": pk }, "sk": { "S": sk } });
        let request = json!({ "TableName": TABLE, "Key": key });
        let (status, answer) = self.call("DeleteItem", &request.to_string());
        assert_eq!(status, 200, "DeleteItem: {answer}");
    }

    /// All of it, page by page. With no limit to a page, dynoxide reads all that is
    /// left for each.
    fn scan(&self, mut request: Value) -> impl Iterator<Item = muster_core::platform::table::Item> {
        request["Limit"] = json!(1000);
        let mut next = Some(request);
        let pages = std::iter::from_fn(move || {
            let mut request = next.take()?;
            let (status, answer) = self.call("Scan", &request.to_string());
            assert_eq!(status, 200, "Scan: {answer}");
            let mut answer: Value = serde_json::from_str(&answer).expect("JSON");
            let last = answer["LastEvaluatedKey"].take();
            if !last.is_null() {
                request["ExclusiveStartKey"] = last;
                next = Some(request);
            }
            let items = answer["Items"].as_array().expect("items");
            Some(items.iter().map(item).collect::<Vec<_>>())
        });
        pages.flatten()
    }
}

fn run<Request, Response>(
    body: &str,
    call: impl FnOnce(Request) -> Result<Response, DynoxideError>,
) -> Result<String, DynoxideError>
where
    Request: DeserializeOwned,
    Response: Serialize,
{
    let request = serde_json::from_str(body)
        .map_err(|error| DynoxideError::SerializationException(error.to_string()))?;
    let response = call(request)?;
    serde_json::to_string(&response)
        .map_err(|error| DynoxideError::SerializationException(error.to_string()))
}

fn item(value: &Value) -> muster_core::platform::table::Item {
    let fields = value.as_object().expect("an item");
    fields
        .iter()
        .map(|(name, value)| (name.clone(), attribute(value)))
        .collect()
}

/// One value as DynamoDB's JSON has it.
fn typed(value: &aws_sdk_dynamodb::types::AttributeValue) -> Value {
    use aws_sdk_dynamodb::types::AttributeValue;
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::Bool(yes) => json!({ "BOOL": yes }),
        AttributeValue::L(values) => json!({ "L": values.iter().map(typed).collect::<Vec<_>>() }),
        other => panic!("not needed so far: {other:?}"),
    }
}

/// The value that DynamoDB's JSON has.
fn attribute(value: &Value) -> aws_sdk_dynamodb::types::AttributeValue {
    use aws_sdk_dynamodb::types::AttributeValue;
    let (kind, value) = value
        .as_object()
        .and_then(|value| value.iter().next())
        .expect("a typed value");
    let text = || value.as_str().unwrap_or_default().to_owned();
    match kind.as_str() {
        "S" => AttributeValue::S(text()),
        "N" => AttributeValue::N(text()),
        "BOOL" => AttributeValue::Bool(value.as_bool().unwrap_or_default()),
        "NULL" => AttributeValue::Null(true),
        "L" => AttributeValue::L(
            value
                .as_array()
                .expect("a list")
                .iter()
                .map(attribute)
                .collect(),
        ),
        "M" => AttributeValue::M(item(value)),
        other => panic!("no item of ours holds a {other}"),
    }
}
