//! The parameters of `template.yaml`, and what each may be.

use std::collections::BTreeMap;

use muster_cli::trouble::{OrTrouble, Trouble};
use regex::Regex;
use serde::Deserialize;
use serde_yaml_ng::Value;

/// What a parameter may be.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Parameter {
    /// The value unless a deployment says otherwise.
    pub default: Option<Value>,
    allowed_values: Option<Vec<Value>>,
    allowed_pattern: Option<String>,
    constraint_description: Option<String>,
    min_length: Option<usize>,
    max_length: Option<usize>,
    min_value: Option<f64>,
    max_value: Option<f64>,
}

/// The parameters by name.
#[derive(Debug, Deserialize)]
pub struct Template {
    /// The section `Parameters`.
    #[serde(rename = "Parameters")]
    pub parameters: BTreeMap<String, Parameter>,
}

impl Template {
    /// Reads the template.
    ///
    /// # Errors
    /// When the text is no template, or a pattern of it is none.
    pub fn parse(text: &str) -> Result<Self, Trouble> {
        serde_yaml_ng::from_str(text)
            .or_trouble("template.yaml cannot be read", "Correct the file.")
    }
}

impl Parameter {
    /// Why a value is refused, as CloudFormation would, or nothing.
    pub fn refuses(&self, value: &str) -> Option<String> {
        let says = |reason: String| {
            let description = self.constraint_description.clone();
            Some(description.unwrap_or(reason))
        };
        if let Some(allowed) = &self.allowed_values {
            let allowed: Vec<_> = allowed.iter().map(text).collect();
            if !allowed.iter().any(|allowed| allowed == value) {
                return Some(format!("must be one of {}", allowed.join(", ")));
            }
        }
        if let Some(pattern) = &self.allowed_pattern
            && !matches(pattern, value)
        {
            return says(format!("must match {pattern}"));
        }
        let length = value.chars().count();
        if self.max_length.is_some_and(|most| length > most) {
            let most = self.max_length.unwrap_or_default();
            return Some(format!(
                "must have at most {most} characters, and has {length}"
            ));
        }
        if self.min_length.is_some_and(|least| length < least) {
            return says("must not be empty".to_owned());
        }
        self.is_out_of_range(value)
    }

    fn is_out_of_range(&self, value: &str) -> Option<String> {
        let (min, max) = (self.min_value, self.max_value);
        if min.is_none() && max.is_none() {
            return None;
        }
        let Ok(number) = value.parse::<f64>() else {
            return Some("must be a number".to_owned());
        };
        if min.is_some_and(|min| number < min) {
            return Some(format!("must be at least {}", min.unwrap_or_default()));
        }
        if max.is_some_and(|max| number > max) {
            return Some(format!("must be at most {}", max.unwrap_or_default()));
        }
        None
    }
}

/// CloudFormation's patterns match the whole value.
fn matches(pattern: &str, value: &str) -> bool {
    Regex::new(&format!(r"\A(?:{pattern})\z")).is_ok_and(|pattern| pattern.is_match(value))
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}
