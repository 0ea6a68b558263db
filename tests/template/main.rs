//! Rules that `template.yaml` keeps, read from the file itself: no stack, no
//! emulator. What an emulator does not enforce (roles, retention, visibility
//! against time-outs) would otherwise be found out on AWS.
//!
//! Each rule is tried twice: the template keeps it, and a template in which
//! one line is different is seen to break it.

// In a test a panic is an answer, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod abuse;
mod api;
mod contract;
mod environment;
mod functions;
mod loops;
mod metrics;
mod names;
mod queues;
mod roles;
mod schedule;
mod sources;
mod state;
mod template;

use template::Template;

/// What is wrong with a template, one line for each finding.
type Rule = fn(&Template) -> Vec<String>;

fn assert_kept(rule: Rule) {
    let findings = rule(&Template::load());
    assert!(
        findings.is_empty(),
        "template.yaml:\n  {}",
        findings.join("\n  ")
    );
}

/// Makes each change by itself and asks the rule to find it. A change is a
/// path to the line and its new value; an empty value takes the line away.
fn assert_noticed(rule: Rule, changes: &[(&str, &str)]) {
    for (path, value) in changes {
        let findings = rule(&Template::load().with(path, value));
        assert!(
            !findings.is_empty(),
            "nobody noticed that {path} became `{value}`"
        );
    }
}
