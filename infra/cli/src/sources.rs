//! `muster sources`

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str;

use muster_core::platform::aws::AwsSettings;
use muster_core::platform::settings::Variables;
use muster_core::platform::time::Clock;
use muster_details::answer::view::SourceView;
use muster_details::config::document::{
    Document, HeaderSource, InvalidDocument, MAX_DOCUMENT_BYTES, Source,
};
use muster_details::config::fields::Fault;
use muster_details::config::reload;
use muster_details::config::secrets::Secrets;
use muster_details::config::url_template::Person;
use muster_details::sources::addresses::Over;
use muster_details::sources::fan_out::{Gatherer, Sighting};
use muster_details::sources::source_error;
use muster_details::sources::transport;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::arguments::Output;
use crate::arguments::sources::{Check, Sources};
use crate::console::Console;
use crate::follow::reason;
use crate::table::{Column, table, text};
use crate::trouble::{OrTrouble, Trouble};

/// So many names of fields go into a column.
const FIELDS_SHOWN: usize = 8;

/// Does something about sources.
///
/// # Errors
/// Whatever did not work, and what to do about it.
pub(crate) async fn run(
    command: Sources,
    variables: Variables<'_>,
    output: Output,
    console: &mut Console<'_>,
) -> Result<(), Trouble> {
    match command {
        Sources::Check(what) => check(&what, variables, output, console).await,
    }
}

async fn check(
    what: &Check,
    variables: Variables<'_>,
    output: Output,
    console: &mut Console<'_>,
) -> Result<(), Trouble> {
    let over = match what.local {
        true => Over::Local,
        false => Over::Tls,
    };
    let text = read(&what.file)?;
    let document = match Document::parse(&text, over) {
        Ok(document) => document,
        Err(InvalidDocument(faults)) => {
            show_faults(&faults, output, console)?;
            return Err(invalid(&what.file, &text, &faults, over));
        }
    };
    // Whoever waits for the sources knows by then what they wait for.
    if output == Output::Table {
        console.show(&summary(&document))?;
    }
    let planned = document.sources.iter().map(|source| plan(source));
    let planned = planned.collect::<Vec<_>>();
    if what.no_try {
        return show_sources(&document, planned, output, console);
    }
    let deadline = document.deadline;
    let sources = with_secrets(document, variables).await?;
    let transport = transport::over_the_net(over).or_trouble(
        "there is no way out",
        "Whoever builds muster should know: its TLS cannot be set up.",
    )?;
    let attributes: BTreeMap<_, _> = what.attributes.iter().cloned().collect();
    let person = Person {
        id: what.id,
        email: what.email.key(),
        attributes: &attributes,
        is_unconfirmed: false,
    };
    let (asked, nothing) = (&sources.document.sources, HashMap::new());
    let sightings = Gatherer::new(transport, Clock::system())
        .gather(
            &sources,
            asked,
            &person,
            &nothing,
            Instant::now() + deadline,
        )
        .await;
    let seen = planned.into_iter().zip(&sightings);
    let seen = seen.map(|(planned, sighting)| with_outcome(planned, sighting));
    let seen = seen.collect::<Result<_, _>>()?;
    show_sources(&sources.document, seen, output, console)?;
    all_answered(&sightings)
}

/// The text of a document.
fn read(path: &Path) -> Result<String, Trouble> {
    let name = path.display();
    let mut bytes = Vec::new();
    // One byte more than there may be: that is noticed, and no more is of interest.
    let limit = MAX_DOCUMENT_BYTES as u64 + 1;
    let file = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    file.or_trouble(
        format!("{name} cannot be read"),
        "Check its name and its permissions.",
    )?;
    if bytes.len() > MAX_DOCUMENT_BYTES {
        // It is said together with where; what the cut did to the last letter is not.
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    let text = str::from_utf8(&bytes).or_trouble(
        format!("{name} is not UTF-8"),
        "Write it anew: a document of sources is JSON, and JSON is UTF-8.",
    )?;
    if text.trim().is_empty() {
        return Err(Trouble::new(
            format!("{name} is empty"),
            r#"The least that a document has is {"sources": {}}."#,
        ));
    }
    Ok(text.to_owned())
}

fn show_faults(faults: &[Fault], output: Output, console: &mut Console<'_>) -> Result<(), Trouble> {
    let columns = [
        Column("POINTER", "/pointer", pointer),
        Column("CODE", "/code", text),
        Column("DETAIL", "/detail", text),
    ];
    let errors = faults.iter().map(|Fault { pointer, violation }| {
        json!({ "pointer": pointer, "code": violation.code, "detail": violation.detail })
    });
    let errors: Vec<_> = errors.collect();
    match output {
        Output::Json => console.show_json(&json!({ "errors": errors })),
        Output::Table => console.show(&table(&columns, &errors)),
    }
}

/// The pointer to the whole document is the empty text, and would not be seen.
fn pointer(value: &Value) -> String {
    match value.as_str() {
        Some("") => r#""""#.to_owned(),
        _ => text(value),
    }
}

fn invalid(path: &Path, text: &str, faults: &[Fault], over: Over) -> Trouble {
    let name = path.display();
    let trouble = Trouble::new(
        format!("{name} breaks {}", count(faults.len(), "rule")),
        "Mend all of it and check again: a document counts as a whole or not at all.",
    );
    let local = Document::parse(text, Over::Local);
    let left = local.map_or_else(|InvalidDocument(faults)| faults.len(), |_| 0);
    match over == Over::Tls && left < faults.len() {
        true => trouble.and("--local allows http, and sources on this machine."),
        false => trouble,
    }
}

fn summary(document: &Document) -> String {
    let sources = count(document.sources.len(), "source");
    let deadline = document.deadline.as_millis();
    format!("The document is valid: {sources}, all asked at once, within {deadline} ms.")
}

fn count(count: usize, what: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {what}{ending}")
}

/// What the document says of a source, as far as it matters to who waits for it.
fn plan(source: &Source) -> Value {
    json!({
        "name": source.name,
        "timeout_ms": source.timeout.as_millis() as u64,
        "required": source.required,
    })
}

/// The same, with what the function would say of it; of the data only the names.
fn with_outcome(mut planned: Value, sighting: &Sighting) -> Result<Value, Trouble> {
    let view = serde_json::to_value(SourceView::of(sighting)).or_trouble(
        "what a source says cannot be shown",
        "Try again; if it stays so, its answer is none that the function can pass on.",
    )?;
    planned["status"] = view["status"].clone();
    planned["latency_ms"] = view["latency_ms"].clone();
    planned["kept"] = view.get("data").map_or(Value::Null, names);
    planned["problem"] = view["problem"].clone();
    let trouble = sighting.outcome.trouble();
    if let Some(cause) = trouble.and_then(source_error::Trouble::cause) {
        planned["problem"]["cause"] = cause.into();
    }
    Ok(planned)
}

/// What there is in an answer: the names of its fields, or what it is instead of
/// fields; nothing that it says of a person.
fn names(data: &Value) -> Value {
    match data {
        Value::Object(members) => members.keys().map(String::as_str).collect(),
        Value::Array(items) => count(items.len(), "item").into(),
        Value::String(_) => "a text".into(),
        Value::Number(_) => "a number".into(),
        Value::Bool(_) => "true or false".into(),
        Value::Null => "null".into(),
    }
}

fn show_sources(
    document: &Document,
    items: Vec<Value>,
    output: Output,
    console: &mut Console<'_>,
) -> Result<(), Trouble> {
    let columns = [
        Column("SOURCE", "/name", text),
        Column("TIMEOUT", "/timeout_ms", millis),
        Column("REQUIRED", "/required", text),
        Column("STATUS", "/status", text),
        Column("LATENCY", "/latency_ms", millis),
        Column("KEPT", "/kept", fields),
        Column("PROBLEM", "/problem", problem),
    ];
    let was_tried = items.iter().any(|item| item.get("status").is_some());
    let columns = if was_tried { &columns } else { &columns[..3] };
    match output {
        Output::Json => {
            let deadline = document.deadline.as_millis() as u64;
            console.show_json(&json!({ "deadline_ms": deadline, "sources": items }))
        }
        Output::Table if items.is_empty() => Ok(()),
        Output::Table => console.show(&table(columns, &items)),
    }
}

fn problem(problem: &Value) -> String {
    match problem.get("cause") {
        Some(cause) => format!("{} ({})", reason(problem), text(cause)),
        None => reason(problem),
    }
}

fn millis(value: &Value) -> String {
    match value {
        Value::Null => text(value),
        value => format!("{value} ms"),
    }
}

fn fields(value: &Value) -> String {
    let Value::Array(names) = value else {
        return text(value);
    };
    let shown: Vec<_> = names.iter().take(FIELDS_SHOWN).map(text).collect();
    match names.len() - shown.len() {
        0 if shown.is_empty() => "no fields".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The document with its secrets. Who needs none needs no AWS.
async fn with_secrets(
    document: Document,
    mut variables: Variables<'_>,
) -> Result<reload::Sources, Trouble> {
    let aws = AwsSettings::read(&mut variables);
    let mut headers = document.sources.iter().flat_map(|source| &source.headers);
    if headers.any(|(_, value)| matches!(value, HeaderSource::Secret { .. })) {
        variables.finish().or_trouble(
            "the document names secrets, and nobody says how to read them",
            "Set them, or give --no-try. All but the region come from a profile of the AWS command \
             line by: eval \"$(aws configure export-credentials --format env)\"",
        )?;
    }
    let secrets = Secrets::new(&aws.sdk_config());
    Ok(reload::Sources::with_secrets(document, &secrets).await)
}

fn all_answered(sightings: &[Sighting]) -> Result<(), Trouble> {
    let silent = sightings
        .iter()
        .filter(|sighting| sighting.outcome.data().is_none());
    let silent: Vec<_> = silent.map(|sighting| &*sighting.source.name).collect();
    if silent.is_empty() {
        return Ok(());
    }
    let what = format!(
        "{} of {} did not answer: {}",
        silent.len(),
        count(sightings.len(), "source"),
        silent.join(", ")
    );
    let trouble = Trouble::new(what, "The problem of each says why.");
    match sightings.iter().any(lacks_a_secret) {
        true => Err(trouble.and(
            "Of a secret, check that it is there (aws secretsmanager describe-secret --secret-id \
             …), that it has the key, and that these credentials may read it.",
        )),
        false => Err(trouble),
    }
}

fn lacks_a_secret(sighting: &Sighting) -> bool {
    let trouble = sighting.outcome.trouble();
    trouble.is_some_and(|trouble| matches!(trouble, source_error::Trouble::SecretMissing(_)))
}
