//! Metrics that are read off logs: somebody must write the line.

use std::path::Path;

use crate::template::{Template, items, referenced};
use crate::{assert_kept, assert_noticed};

/// The function that writes into a log group says what the filter looks for, in its
/// code; and a value that becomes a dimension is a field of that line.
fn filters_find_what_is_written(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for filter in template.of_type("AWS::Logs::MetricFilter") {
        let group = filter.text("LogGroupName");
        let group = referenced(&group).unwrap_or(&group);
        let code = code(&group.trim_end_matches("Logs").to_lowercase());
        let pattern = filter.text("FilterPattern");
        let metric = pattern
            .strip_prefix("{ $.fields.metric = ")
            .and_then(|rest| rest.strip_suffix(" }"));
        let line = metric.map(|metric| format!("metric = {metric}"));
        if !line.is_some_and(|line| code.contains(&line)) {
            findings.push(format!(
                "{}: nobody writes {pattern} to {group}",
                filter.name
            ));
        }
        for transformation in items(filter.property("MetricTransformations")) {
            for dimension in items(&transformation["Dimensions"]) {
                let value = dimension["Value"].as_str().unwrap_or_default();
                let field = value.strip_prefix("$.fields.");
                if !field.is_some_and(|field| code.contains(&format!(" {field},"))) {
                    findings.push(format!("{}: no line has {value}", filter.name));
                }
            }
        }
    }
    findings
}

/// The code of a function, in one text.
fn code(function: &str) -> String {
    let functions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions");
    below(&functions.join(function).join("src"))
}

/// The text of all files below a folder; nothing, if there is no such folder.
fn below(folder: &Path) -> String {
    let Ok(entries) = folder.read_dir() else {
        return String::new();
    };
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| match path.is_dir() {
            true => below(&path),
            false => std::fs::read_to_string(path).unwrap(),
        })
        .collect()
}

#[test]
fn metrics_are_read_off_lines_that_are_written() {
    assert_kept(filters_find_what_is_written);
    assert_noticed(
        filters_find_what_is_written,
        &[
            (
                "Resources/SignupMailsCappedMetric/Properties/FilterPattern",
                "'{ $.fields.metric = \"signup_mails_used_up\" }'",
            ),
            (
                "Resources/SourcesUnusableMetric/Properties/LogGroupName",
                "!Ref ApiLogs",
            ),
            (
                "Resources/SourceFailuresMetric/Properties/MetricTransformations/0/Dimensions",
                "[{ Key: Source, Value: $.fields.origin }]",
            ),
        ],
    );
}
