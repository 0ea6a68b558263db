//! The third act: what other systems know of the person who signed up.

use std::time::{Duration, Instant};

use muster_cli::trouble::Trouble;
use muster_core::people::email::Email;
use serde_json::{Value, json};

use super::Stage;
use crate::environment::Environment;
use crate::sources::Sources;

const SOURCES: [&str; 3] = ["crm", "billing", "loyalty"];
/// An age is in whole seconds, so the first one takes a moment.
const AGE_LIMIT: Duration = Duration::from_secs(20);

/// Has three sources know something of the person, asks for all of it, and again
/// when they know something newer. Says where that is to be had.
///
/// # Errors
/// The first claim that does not hold.
pub(super) async fn play(stage: &Stage<'_>, environment: &Environment) -> Result<String, Trouble> {
    let console = stage.console;
    let sources = Sources::at(environment.get("AWS_ENDPOINT_URL")?)?;
    let address = stage.ada();
    let found = stage.get(&format!("/profiles?email={address}")).await?;
    let id = found["items"][0]["id"].as_str();
    let id = id.ok_or_else(|| stage.failed("the person has no profile"))?;
    let path = format!("/profiles/{id}/details");

    console.heading("Three other systems know that person, too");
    tell(stage, &sources, &address, 1).await?;
    let (details, took) = ask(stage, &path).await?;
    console.done(format!("GET {path} has asked all of them in {took} ms:\n"));
    show(stage, &details);
    check(stage, &details, [1, 1, 1])?;
    for (field, value, source) in [
        ("city", json!("London"), "crm"),
        ("plan", json!("pro"), "billing"),
        ("points", json!(1843), "loyalty"),
    ] {
        stage.expect(
            &format!("{field} of all together"),
            &details["merged"][field],
            &json!({ "value": value, "source": source }),
        )?;
    }
    console.done("crm and billing disagree on the city: crm, which is trusted more, is believed");

    tell(stage, &sources, &address, 2).await?;
    let (details, took) = stage
        .wait_for("answer from the cache", AGE_LIMIT, async || {
            let (details, took) = ask(stage, &path).await?;
            let age = details["sources"]["crm"]["age_s"].as_u64();
            Ok((age > Some(0)).then_some((details, took)))
        })
        .await?;
    console.done(format!("all have news; a moment later, in {took} ms:\n"));
    show(stage, &details);
    check(stage, &details, [1, 2, 1])?;
    console.done("only billing, which nobody may keep, was asked again; the others are cached");
    Ok(path)
}

/// Has each source know something. Two know a city, and not the same one; the
/// edition tells what was kept from what was asked for.
async fn tell(
    stage: &Stage<'_>,
    sources: &Sources,
    address: &str,
    edition: u64,
) -> Result<(), Trouble> {
    let person = Email::parse(address).map_err(|violation| stage.failed(violation.detail))?;
    let crm = json!({ "data": { "person": { "city": "London", "edition": edition } } });
    let billing = json!({ "plan": "pro", "city": "Turin", "edition": edition });
    let loyalty = json!({ "points": 1843, "edition": edition });
    for (source, what) in SOURCES.iter().zip([crm, billing, loyalty]) {
        sources.say(source, &person, &what).await?;
    }
    Ok(())
}

/// The details, and how many milliseconds they took.
async fn ask(stage: &Stage<'_>, path: &str) -> Result<(Value, u128), Trouble> {
    let start = Instant::now();
    let details = stage.get(path).await?;
    Ok((details, start.elapsed().as_millis()))
}

fn show(stage: &Stage<'_>, details: &Value) {
    let line = |source: &str, status: &str, latency: &str, age: &str| {
        let line = format!("    {source:<8} {status:<8} {latency:>8} {age:>6}");
        stage.console.line(line);
    };
    line("source", "status", "latency", "age");
    for name in SOURCES {
        let source = &details["sources"][name];
        line(
            name,
            source["status"].as_str().unwrap_or("?"),
            &format!("{} ms", source["latency_ms"]),
            &format!("{} s", source["age_s"]),
        );
    }
    stage.console.line("");
}

/// All sources are fine, and each says what it knew in that edition.
fn check(stage: &Stage<'_>, details: &Value, editions: [u64; 3]) -> Result<(), Trouble> {
    for (name, edition) in SOURCES.iter().zip(editions) {
        let source = &details["sources"][name];
        stage.expect(
            &format!("status of {name}"),
            &source["status"],
            &json!("ok"),
        )?;
        stage.expect(
            &format!("edition of {name}"),
            &source["data"]["edition"],
            &json!(edition),
        )?;
    }
    Ok(())
}
