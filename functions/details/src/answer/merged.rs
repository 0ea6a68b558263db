//! One view of a person out of many.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A field, and who says so.
#[derive(Serialize, ToSchema)]
#[schema(as = MergedField)]
pub(crate) struct Field {
    /// What it is.
    value: Value,
    /// The source that says so; `profile` if it is the profile itself.
    source: String,
}

/// Merges what the sources know, the most trusted first: of each field, the first
/// value counts that is not `null`. What is no object becomes one field, named like
/// its source.
pub(crate) fn merged<'a>(
    known: impl IntoIterator<Item = (&'a str, &'a Value)>,
) -> BTreeMap<String, Field> {
    let mut merged = BTreeMap::new();
    for (source, data) in known {
        let mut add = |name: &str, value: &Value| {
            if !value.is_null() {
                merged.entry(name.to_owned()).or_insert_with(|| Field {
                    value: value.clone(),
                    source: source.to_owned(),
                });
            }
        };
        match data {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| add(name, value)),
            other => add(source, other),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_who_knows_a_field_has_it() {
        let crm = json!({ "name": "Ada", "plan": null, "address": { "city": "London" } });
        let billing = json!({ "name": "A. Lovelace", "plan": "pro", "address": { "zip": "1" } });
        let merged = merged([("crm", &crm), ("billing", &billing)]);
        assert_eq!(
            serde_json::to_value(merged).unwrap(),
            json!({
                "name": { "value": "Ada", "source": "crm" },
                "plan": { "value": "pro", "source": "billing" },
                "address": { "value": { "city": "London" }, "source": "crm" },
            })
        );
    }

    #[test]
    fn what_is_no_object_is_named_like_its_source() {
        let merged = merged([("scores", &json!([1, 2])), ("none", &json!(null))]);
        assert_eq!(
            serde_json::to_value(merged).unwrap(),
            json!({ "scores": { "value": [1, 2], "source": "scores" } })
        );
    }
}
