//! The functions: what they are built from, what they are told, where they log.

use std::collections::BTreeSet;

use crate::template::{Resource, Template, entries, referenced};
use crate::{assert_kept, assert_noticed};

/// What one function is made of and told.
struct Function {
    name: &'static str,
    binary: &'static str,
    environment: &'static [&'static str],
    /// The source that reads the environment.
    settings: &'static str,
}

const FUNCTIONS: &[Function] = &[
    Function {
        name: "ApiFunction",
        binary: "api",
        environment: &[
            "MUSTER_TABLE",
            "MUSTER_MAIL_QUEUE_URL",
            "MUSTER_IMPORT_QUEUE_URL",
            "MUSTER_UPLOADS_BUCKET",
            "MUSTER_IMPORT_MAX_FILE_BYTES",
            "MUSTER_SIGNUPS_PER_ADDRESS",
            "MUSTER_SIGNUP_MAILS_PER_HOUR",
            "MUSTER_SIGNUP_MAILS_PER_DOMAIN",
            "MUSTER_CAPTCHA_URL",
            "MUSTER_CAPTCHA_SECRET_NAME",
            "MUSTER_VIEWER_ADDRESS_HEADER",
            "MUSTER_ORIGIN_SECRET_NAME",
            "MUSTER_PUBLIC_URL",
        ],
        settings: include_str!("../../functions/api/src/settings.rs"),
    },
    Function {
        name: "MailerFunction",
        binary: "mailer",
        environment: &[
            "MUSTER_TABLE",
            "MUSTER_MAIL_QUEUE_URL",
            "MUSTER_BULK_MAIL_QUEUE_URL",
            "MUSTER_PUBLIC_URL",
            "MUSTER_SENDER",
            "MUSTER_CONFIGURATION_SET",
            "MUSTER_PRODUCT_NAME",
            "MUSTER_ACCENT_COLOUR",
            "MUSTER_MAIL_FOOTER",
            "MUSTER_DEFAULT_LANGUAGE",
            "MUSTER_REMINDER_HOURS",
            "MUSTER_MAIL_PAUSED",
        ],
        settings: include_str!("../../functions/mailer/src/settings.rs"),
    },
    Function {
        name: "ImportPlannerFunction",
        binary: "import-planner",
        environment: &[
            "MUSTER_TABLE",
            "MUSTER_IMPORT_QUEUE_URL",
            "MUSTER_CHUNK_QUEUE_URL",
            "MUSTER_IMPORT_PRESETS",
            "MUSTER_IMPORT_CHUNKS_AT_ONCE",
            "MUSTER_IMPORT_MAX_FILE_BYTES",
            "MUSTER_IMPORT_MAX_ROWS",
            "MUSTER_IMPORT_MAX_LINE_BYTES",
            "MUSTER_IMPORT_MAX_FIELD_BYTES",
            "MUSTER_IMPORT_MAX_COLUMNS",
        ],
        settings: include_str!("../../functions/import-planner/src/settings.rs"),
    },
    Function {
        name: "ImportWorkerFunction",
        binary: "import-worker",
        environment: &["MUSTER_TABLE", "MUSTER_CHUNK_QUEUE_URL"],
        settings: include_str!("../../functions/import-worker/src/settings.rs"),
    },
    Function {
        name: "SweeperFunction",
        binary: "sweeper",
        environment: &[
            "MUSTER_TABLE",
            "MUSTER_BULK_MAIL_QUEUE_URL",
            "MUSTER_IMPORT_QUEUE_URL",
            "MUSTER_CHUNK_QUEUE_URL",
            "MUSTER_MAILS_PER_MINUTE",
            "MUSTER_MAIL_QUEUE_URL",
            "MUSTER_MAIL_PAUSED",
        ],
        settings: include_str!("../../functions/sweeper/src/settings.rs"),
    },
    Function {
        name: "FeedbackFunction",
        binary: "feedback",
        environment: &[
            "MUSTER_TABLE",
            "MUSTER_FEEDBACK_QUEUE_URL",
            "MUSTER_REMINDER_HOURS",
        ],
        settings: include_str!("../../functions/feedback/src/settings.rs"),
    },
    Function {
        name: "OperationsFunction",
        binary: "operations",
        environment: &[
            "MUSTER_TABLE",
            "MUSTER_MAIL_QUEUE_URL",
            "MUSTER_MAIL_DLQ_URL",
            "MUSTER_BULK_MAIL_QUEUE_URL",
            "MUSTER_BULK_MAIL_DLQ_URL",
            "MUSTER_IMPORT_QUEUE_URL",
            "MUSTER_IMPORT_DLQ_URL",
            "MUSTER_CHUNK_QUEUE_URL",
            "MUSTER_CHUNK_DLQ_URL",
            "MUSTER_FEEDBACK_QUEUE_URL",
            "MUSTER_FEEDBACK_DLQ_URL",
        ],
        settings: include_str!("../../functions/operations/src/settings.rs"),
    },
    Function {
        name: "DetailsFunction",
        binary: "details",
        environment: &["MUSTER_TABLE", "MUSTER_SOURCES_PARAMETER"],
        settings: include_str!("../../functions/details/src/settings.rs"),
    },
];

/// What a function reads and no deployment tells it: of use by hand, and in tests.
const BY_HAND: [&str; 1] = ["MUSTER_SOURCES_FILE"];

fn functions(template: &Template) -> impl Iterator<Item = Resource<'_>> {
    template.of_type("AWS::Serverless::Function")
}

/// A function has the environment it reads: a name it misses stops its start,
/// a name too many is one that nobody reads.
fn environment_is_what_is_read(template: &Template) -> Vec<String> {
    let shared = template.of_every_function("Environment/Variables");
    let mut findings = Vec::new();
    for function in functions(template) {
        let Some(contract) = FUNCTIONS.iter().find(|known| known.name == function.name) else {
            findings.push(format!("{} is not in this test's list", function.name));
            continue;
        };
        let own = function.property("Environment/Variables");
        let given: BTreeSet<&str> = entries(shared)
            .chain(entries(own))
            .map(|(name, _)| name)
            .collect();
        let read: BTreeSet<&str> = contract.environment.iter().copied().collect();
        for name in read.difference(&given) {
            findings.push(format!("{} is not told {name}", function.name));
        }
        for name in given.difference(&read) {
            findings.push(format!(
                "{} is told {name} and does not read it",
                function.name
            ));
        }
    }
    for known in FUNCTIONS {
        if !functions(template).any(|function| function.name == known.name) {
            findings.push(format!("there is no {}", known.name));
        }
    }
    findings
}

/// Every function is the binary of its crate, and says how much it may take.
fn code_and_limits_are_given(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for known in FUNCTIONS {
        let Some(function) = template.find("AWS::Serverless::Function", known.name) else {
            continue;
        };
        if function.text("CodeUri") != format!("target/lambda/{}/", known.binary) {
            findings.push(format!("{} is not the binary {}", known.name, known.binary));
        }
        for limit in ["Timeout", "MemorySize"] {
            if function.property(limit).as_u64().is_none() {
                findings.push(format!("{} has no {limit}", known.name));
            }
        }
    }
    findings
}

/// A function logs to a group of its own, which forgets.
fn logs_are_kept_apart(template: &Template) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut findings = Vec::new();
    for function in functions(template) {
        let name = function.name;
        let text = function.text("LoggingConfig/LogGroup");
        match referenced(&text) {
            None => findings.push(format!("{name} has no log group of the template")),
            Some(group) if template.find("AWS::Logs::LogGroup", group).is_none() => {
                findings.push(format!("{name}: {group} is no log group of the template"));
            }
            Some(group) if !taken.insert(group.to_owned()) => {
                findings.push(format!("{name}: {group} is another function's too"));
            }
            Some(_) => {}
        }
    }
    for group in template.of_type("AWS::Logs::LogGroup") {
        if group.property("RetentionInDays").is_null() {
            findings.push(format!("{} keeps its lines for ever", group.name));
        }
    }
    findings
}

/// The names that a `settings.rs` asks a deployment for, by its text: the crate
/// itself would have to be built for this test.
fn required_by(settings: &str) -> BTreeSet<&str> {
    settings
        .split('"')
        .filter(|name| name.starts_with("MUSTER_") && !name.contains(' '))
        .filter(|name| !BY_HAND.contains(name))
        .collect()
}

#[test]
fn the_list_of_this_test_is_what_the_crates_require() {
    for function in FUNCTIONS {
        let listed: BTreeSet<&str> = function.environment.iter().copied().collect();
        assert_eq!(
            required_by(function.settings),
            listed,
            "{}",
            function.binary
        );
    }
}

#[test]
fn each_function_is_told_exactly_what_it_reads() {
    assert_kept(environment_is_what_is_read);
    let variables = "Environment/Variables";
    assert_noticed(
        environment_is_what_is_read,
        &[
            (&format!("Globals/Function/{variables}/MUSTER_TABLE"), ""),
            (
                &format!("Resources/MailerFunction/Properties/{variables}/MUSTER_SENDER"),
                "",
            ),
            (
                &format!("Resources/ApiFunction/Properties/{variables}/MUSTER_EXTRA"),
                "x",
            ),
            (
                &format!("Resources/DetailsFunction/Properties/{variables}/MUSTER_SOURCES_FILE"),
                "/tmp/sources.json",
            ),
            ("Resources/ImportWorkerFunction", ""),
            (
                "Resources/NewFunction",
                "{ Type: AWS::Serverless::Function }",
            ),
        ],
    );
}

#[test]
fn each_function_is_its_binary_with_limits() {
    assert_kept(code_and_limits_are_given);
    assert_noticed(
        code_and_limits_are_given,
        &[
            (
                "Resources/ApiFunction/Properties/CodeUri",
                "target/lambda/mailer/",
            ),
            ("Resources/ImportPlannerFunction/Properties/MemorySize", ""),
            ("Resources/ApiFunction/Properties/Timeout", ""),
        ],
    );
}

#[test]
fn each_function_has_a_log_group_that_forgets() {
    assert_kept(logs_are_kept_apart);
    assert_noticed(
        logs_are_kept_apart,
        &[
            ("Resources/ApiFunction/Properties/LoggingConfig", ""),
            (
                "Resources/ApiFunction/Properties/LoggingConfig/LogGroup",
                "!Ref MailerLogs",
            ),
            ("Resources/MailerLogs", ""),
            ("Resources/MailerLogs/Properties/RetentionInDays", ""),
        ],
    );
}
