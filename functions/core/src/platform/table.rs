//! Typed access to the one table.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Delete, KeysAndAttributes, Put,
    ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::platform::failure::Failure;
use crate::platform::time::Time;

/// The most actions in one transaction: DynamoDB's own limit.
pub const MAX_TRANSACTION_ACTIONS: usize = 100;

/// The version of the items' shape. Items of another version are refused, not
/// guessed at: a function that is too old (or too new) for the table fails
/// with this number in its log instead of writing half-understood items back.
const DATA_VERSION: &str = "1";

/// A DynamoDB item, as the SDK has it.
pub type Item = HashMap<String, AttributeValue>;

/// Where an item lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

impl Key {
    /// The key as the SDK wants it.
    pub fn to_item(&self) -> Item {
        HashMap::from([
            ("pk".to_owned(), text(&self.pk)),
            ("sk".to_owned(), text(&self.sk)),
        ])
    }

    /// The key of an item that was read; `None` for what is no item of ours.
    pub fn of(item: &Item) -> Option<Self> {
        let part = |name: &str| item.get(name)?.as_s().ok().cloned();
        Some(Self {
            pk: part("pk")?,
            sk: part("sk")?,
        })
    }

    fn is_of(&self, item: &Item) -> bool {
        Self::of(item).as_ref() == Some(self)
    }
}

/// A string attribute.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number attribute.
pub fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// An item ready to be written: its fields, its key, its data version.
///
/// # Errors
/// When the fields have a shape that DynamoDB cannot hold.
pub fn encode<T: Serialize>(key: &Key, fields: &T) -> Result<Item, Failure> {
    let mut item: Item =
        serde_dynamo::to_item(fields).map_err(|error| Failure::unreadable("encode item", error))?;
    item.extend(key.to_item());
    item.insert("data_version".to_owned(), number(DATA_VERSION));
    Ok(item)
}

/// A value of any shape, as an attribute.
///
/// # Errors
/// When it has a shape that DynamoDB cannot hold.
pub fn encode_value<T: Serialize>(value: &T) -> Result<AttributeValue, Failure> {
    serde_dynamo::to_attribute_value(value)
        .map_err(|error| Failure::unreadable("encode value", error))
}

/// The fields of an item that was read.
///
/// # Errors
/// When the item is of another data version or does not have the shape of `T`.
pub fn decode<T: DeserializeOwned>(item: Item) -> Result<T, Failure> {
    match item.get("data_version") {
        Some(AttributeValue::N(version)) if version == DATA_VERSION => {}
        found => {
            let error = format!("data version {DATA_VERSION} expected, found {found:?}");
            return Err(Failure::unreadable("decode item", error));
        }
    }
    serde_dynamo::from_item(item).map_err(|error| Failure::unreadable("decode item", error))
}

/// The table, and who to ask for it.
#[derive(Debug, Clone)]
pub struct Table {
    client: Client,
    name: String,
}

/// A transaction that did not commit.
#[derive(Debug, thiserror::Error)]
pub enum NotCommitted {
    /// DynamoDB cancelled it; one reason for each action, in their order.
    #[error("transaction cancelled: {}", codes(.0))]
    Cancelled(Vec<CancellationReason>),
    /// Anything else.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// To whoever cannot tell what cancelled it: something was in the way, and may
/// not be next time.
impl From<NotCommitted> for Failure {
    fn from(error: NotCommitted) -> Self {
        match error {
            NotCommitted::Failed(failure) => failure,
            cancelled => Self::Unavailable {
                operation: "TransactWriteItems",
                source: cancelled.into(),
            },
        }
    }
}

fn codes(reasons: &[CancellationReason]) -> String {
    let codes: Vec<_> = reasons
        .iter()
        .map(|reason| reason.code().unwrap_or("?"))
        .collect();
    codes.join(", ")
}

/// Whether this action's condition was what cancelled the transaction.
pub fn condition_failed(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}

/// What a conditional update came to.
#[derive(Debug)]
pub enum Updated {
    /// The item as it is now, if the update asked for it.
    Done(Item),
    /// The condition did not hold; the item as it was found, if there is one.
    Refused(Option<Item>),
}

impl Updated {
    /// The same for an update that takes a lease under this owner's name. If the lease
    /// is already theirs, the update has done its work: its reply was lost, and the SDK
    /// sent it again.
    #[must_use]
    pub fn or_leased_to(self, owner: &str) -> Self {
        match self {
            Self::Refused(Some(item)) if item.get("lease_owner") == Some(&text(owner)) => {
                Self::Done(item)
            }
            other => other,
        }
    }
}

/// Runs an update; that its condition does not hold is an answer, no error.
///
/// # Errors
/// When the table cannot be written.
pub async fn run(update: UpdateItemFluentBuilder) -> Result<Updated, Failure> {
    match update.send().await {
        Ok(output) => Ok(Updated::Done(output.attributes.unwrap_or_default())),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(found)) => {
                Ok(Updated::Refused(found.item.clone()))
            }
            _ => Err(Failure::of("UpdateItem", error)),
        },
    }
}

impl Table {
    /// The table of that name.
    pub const fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// The SDK client, for calls that only one function makes.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads one item, as it is now (strongly consistent).
    ///
    /// # Errors
    /// When the table cannot be read, or the item cannot be understood.
    pub async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, Failure> {
        let output = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.to_item()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| Failure::of("GetItem", error))?;
        output.item.map(decode).transpose()
    }

    /// Reads several items, at most a hundred, as they are now; answers in the order
    /// of the keys. What the table has no time for at once is asked for again, as long
    /// as that brings anything.
    ///
    /// # Errors
    /// When the table cannot be read, or has no time now.
    pub async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Failure> {
        let mut left = KeysAndAttributes::builder()
            .set_keys(Some(keys.iter().map(Key::to_item).collect()))
            .consistent_read(true)
            .build()
            .map_err(|error| Failure::unreadable("build BatchGetItem", error))?;
        let mut found = Vec::new();
        loop {
            let asked = left.keys.len();
            let (items, unprocessed) = self.batch(left).await?;
            found.extend(items);
            match unprocessed {
                None => break,
                Some(rest) if rest.keys.len() < asked => left = rest,
                Some(_) => {
                    return Err(Failure::Unavailable {
                        operation: "BatchGetItem",
                        source: "no key was processed".into(),
                    });
                }
            }
        }
        let mut take = |key: &Key| {
            let place = found.iter().position(|item| key.is_of(item))?;
            Some(found.swap_remove(place))
        };
        Ok(keys.iter().map(&mut take).collect())
    }

    /// What one call brings, and what it leaves.
    async fn batch(
        &self,
        asked: KeysAndAttributes,
    ) -> Result<(Vec<Item>, Option<KeysAndAttributes>), Failure> {
        let output = self
            .client
            .batch_get_item()
            .request_items(&self.name, asked)
            .send()
            .await
            .map_err(|error| Failure::of("BatchGetItem", error))?;
        let items = output
            .responses
            .and_then(|mut tables| tables.remove(&self.name));
        let left = output
            .unprocessed_keys
            .and_then(|mut tables| tables.remove(&self.name));
        let left = left.filter(|left| !left.keys.is_empty());
        Ok((items.unwrap_or_default(), left))
    }

    /// Reads every item of one partition, as they are now, in the order of
    /// their keys.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn partition(&self, pk: &str) -> Result<Vec<Item>, Failure> {
        let query = self
            .client
            .query()
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(pk));
        self.query(query).await
    }

    /// Reads every item of one partition from a sort key on, as they are now, in
    /// the order of their keys.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn partition_from(&self, first: &Key) -> Result<Vec<Item>, Failure> {
        let query = self
            .client
            .query()
            .key_condition_expression("pk = :pk AND sk >= :sk")
            .expression_attribute_values(":pk", text(&first.pk))
            .expression_attribute_values(":sk", text(&first.sk));
        self.query(query).await
    }

    /// Reads every item of one partition whose sort key starts with `prefix`,
    /// as they are now, in the order of their keys.
    ///
    /// # Errors
    /// When the table cannot be read, or an item cannot be understood.
    pub async fn list<T: DeserializeOwned>(
        &self,
        pk: &str,
        prefix: &str,
    ) -> Result<Vec<T>, Failure> {
        let query = self
            .client
            .query()
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(pk))
            .expression_attribute_values(":prefix", text(prefix));
        self.query(query).await?.into_iter().map(decode).collect()
    }

    async fn query(&self, query: QueryFluentBuilder) -> Result<Vec<Item>, Failure> {
        query
            .table_name(&self.name)
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .map_err(|error| Failure::of("Query", error))
    }

    /// Writes an item unless its key is taken; says whether it did.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn put_if_absent<T: Serialize>(
        &self,
        key: &Key,
        fields: &T,
    ) -> Result<bool, Failure> {
        self.put_if(key, fields, &Condition::absent()).await
    }

    /// Writes an item on a condition; says whether it is there now.
    ///
    /// It also is if the condition fails on the very same item: the SDK sends the
    /// write again when its reply was lost, and then meets what it wrote.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn put_if<T: Serialize>(
        &self,
        key: &Key,
        fields: &T,
        condition: &Condition,
    ) -> Result<bool, Failure> {
        let item = encode(key, fields)?;
        let result = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item.clone()))
            .condition_expression(&condition.expression)
            .set_expression_attribute_names(names(&[&condition.expression]))
            .set_expression_attribute_values(condition.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(found)) => {
                    Ok(found.item.as_ref() == Some(&item))
                }
                _ => Err(Failure::of("PutItem", error)),
            },
        }
    }

    /// Changes an item on a condition, which has the values of both
    /// expressions; answers with the item as it is then.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn change_if(
        &self,
        key: &Key,
        expression: &str,
        condition: &Condition,
    ) -> Result<Updated, Failure> {
        let update = self
            .update_plain(key)
            .update_expression(expression)
            .condition_expression(&condition.expression)
            .set_expression_attribute_names(names(&[expression, &condition.expression]))
            .set_expression_attribute_values(condition.values())
            .return_values(ReturnValue::AllNew);
        run(update).await
    }

    /// An update of one item, to be given its expressions. `#status` stands
    /// for `status`, which is a reserved word.
    pub fn update(&self, key: &Key) -> UpdateItemFluentBuilder {
        self.update_plain(key)
            .expression_attribute_names("#status", "status")
    }

    /// The same for an item without a status: DynamoDB refuses a name that
    /// no expression uses.
    pub fn update_plain(&self, key: &Key) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key.to_item()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// Commits all actions or none.
    ///
    /// `token` makes a repeat within ten minutes the same transaction: give
    /// the same one for identical actions only.
    ///
    /// # Errors
    /// [`NotCommitted::Cancelled`] with DynamoDB's reasons, or the failure.
    pub async fn transact(
        &self,
        actions: Vec<TransactWriteItem>,
        token: &str,
    ) -> Result<(), NotCommitted> {
        self.client
            .transact_write_items()
            .set_transact_items(Some(actions))
            .client_request_token(token)
            .send()
            .await
            .map_err(not_committed)?;
        Ok(())
    }

    /// The action that writes an item on a condition; if the condition fails,
    /// the cancellation reason carries the item that was in the way.
    ///
    /// # Errors
    /// When the fields cannot be encoded.
    pub fn put<T: Serialize>(
        &self,
        key: &Key,
        fields: &T,
        condition: &Condition,
    ) -> Result<TransactWriteItem, Failure> {
        let put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(encode(key, fields)?))
            .condition_expression(&condition.expression)
            .set_expression_attribute_names(names(&[&condition.expression]))
            .set_expression_attribute_values(condition.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| Failure::unreadable("build Put", error))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// The action that changes an item on a condition, which has the values
    /// of both expressions.
    ///
    /// # Errors
    /// None that a caller of ours can cause.
    pub fn change(
        &self,
        key: &Key,
        expression: &str,
        condition: &Condition,
    ) -> Result<TransactWriteItem, Failure> {
        let update = Update::builder()
            .table_name(&self.name)
            .set_key(Some(key.to_item()))
            .update_expression(expression)
            .condition_expression(&condition.expression)
            .set_expression_attribute_names(names(&[expression, &condition.expression]))
            .set_expression_attribute_values(condition.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| Failure::unreadable("build Update", error))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// The action that changes nothing, and lets the others happen on a condition;
    /// if it fails, the cancellation reason carries the item that was in the way.
    ///
    /// # Errors
    /// None that a caller of ours can cause.
    pub fn check(&self, key: &Key, condition: &Condition) -> Result<TransactWriteItem, Failure> {
        let check = ConditionCheck::builder()
            .table_name(&self.name)
            .set_key(Some(key.to_item()))
            .condition_expression(&condition.expression)
            .set_expression_attribute_names(names(&[&condition.expression]))
            .set_expression_attribute_values(condition.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| Failure::unreadable("build ConditionCheck", error))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// The action that removes an item on a condition, or whatever it is; if the
    /// condition fails, the cancellation reason carries the item.
    ///
    /// # Errors
    /// None that a caller of ours can cause.
    pub fn delete(
        &self,
        key: &Key,
        condition: Option<&Condition>,
    ) -> Result<TransactWriteItem, Failure> {
        let expression = condition.map(|condition| &*condition.expression);
        let delete = Delete::builder()
            .table_name(&self.name)
            .set_key(Some(key.to_item()))
            .set_condition_expression(expression.map(str::to_owned))
            .set_expression_attribute_names(expression.and_then(|text| names(&[text])))
            .set_expression_attribute_values(condition.and_then(Condition::values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| Failure::unreadable("build Delete", error))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}

/// What the `#names` of expressions stand for: the attribute of that name,
/// which may be a word that DynamoDB reserves.
fn names(expressions: &[&str]) -> Option<HashMap<String, String>> {
    let names: HashMap<_, _> = expressions
        .iter()
        .flat_map(|expression| expression.split('#').skip(1))
        .map(|rest| {
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            (format!("#{}", &rest[..end]), rest[..end].to_owned())
        })
        .collect();
    // DynamoDB refuses an empty map.
    (!names.is_empty()).then_some(names)
}

/// A condition expression with its values.
#[derive(Debug, Clone)]
pub struct Condition {
    expression: String,
    values: HashMap<String, AttributeValue>,
}

impl Condition {
    /// Nothing is there.
    pub fn absent() -> Self {
        Self::new("attribute_not_exists(pk)")
    }

    /// Whatever is there.
    pub fn any() -> Self {
        Self::new("attribute_exists(pk) OR attribute_not_exists(pk)")
    }

    /// Nothing is there, or only what has expired: time-to-live removes it
    /// late, so it counts as absent.
    pub fn absent_or_expired(now: Time) -> Self {
        Self::new("attribute_not_exists(pk) OR expires_at <= :seconds")
            .with(":seconds", number(now.as_seconds()))
    }

    /// Any expression.
    pub fn new(expression: impl Into<String>) -> Self {
        Self {
            expression: expression.into(),
            values: HashMap::new(),
        }
    }

    /// The condition and another one.
    #[must_use]
    pub fn and(self, other: &str) -> Self {
        Self {
            expression: format!("({}) AND {other}", self.expression),
            ..self
        }
    }

    /// Gives a `:name` of the expression its value.
    #[must_use]
    pub fn with(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(name.to_owned(), value);
        self
    }

    fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        // DynamoDB refuses an empty map.
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}

fn not_committed(error: SdkError<TransactWriteItemsError>) -> NotCommitted {
    let reasons = match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons.clone()
        }
        _ => None,
    };
    match reasons {
        Some(reasons) => NotCommitted::Cancelled(reasons),
        None => NotCommitted::Failed(Failure::of("TransactWriteItems", error)),
    }
}

/// Whether something with this expiry counts as absent.
pub fn expired(expires_at: Option<i64>, now: Time) -> bool {
    expires_at.is_some_and(|expires_at| expires_at <= now.as_seconds())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Thing {
        name: String,
    }

    fn key() -> Key {
        Key {
            pk: "THING#1".to_owned(),
            sk: "THING".to_owned(),
        }
    }

    #[test]
    fn an_item_carries_its_key_and_version() {
        let thing = Thing {
            name: "x".to_owned(),
        };
        let item = encode(&key(), &thing).unwrap();
        assert_eq!(item["pk"], text("THING#1"));
        assert_eq!(item["data_version"], number(1));
        assert_eq!(decode::<Thing>(item).unwrap(), thing);
    }

    #[test]
    fn a_name_stands_for_its_attribute() {
        let found = names(&["SET #status = :s, #list=:l", "#status <> :e"]).unwrap();
        let expected = [("#status", "status"), ("#list", "list")];
        let expected = expected.map(|(name, attribute)| (name.to_owned(), attribute.to_owned()));
        assert_eq!(found, HashMap::from(expected));
        assert_eq!(names(&["attribute_not_exists(pk)"]), None);
    }

    #[test]
    fn another_version_is_refused() {
        let mut item = encode(
            &key(),
            &Thing {
                name: "x".to_owned(),
            },
        )
        .unwrap();
        item.insert("data_version".to_owned(), number(2));
        let error = decode::<Thing>(item).unwrap_err();
        assert!(!error.is_transient());
        assert!(
            error.to_string().contains("data version 1 expected"),
            "{error}"
        );
    }
}
