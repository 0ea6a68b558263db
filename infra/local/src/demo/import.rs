//! The second act: somebody drops a CSV.

use std::time::{Duration, Instant};

use aws_sdk_s3::Client as S3;
use muster_cli::trouble::{OrTrouble, Trouble};
use muster_imports::object::s3_client;
use serde_json::{Value, json};

use super::Stage;
use super::people::People;
use crate::aws_settings::aws_settings;
use crate::environment::Environment;

const ROWS: usize = 20_000;
const START_LIMIT: Duration = Duration::from_secs(60);
const FINISH_LIMIT: Duration = Duration::from_secs(300);
/// How many of the bad rows are shown.
const SHOWN: usize = 7;

/// Drops a file, follows the import and checks what became of every row.
///
/// # Errors
/// The first claim that does not hold.
pub(super) async fn play(stage: &Stage<'_>, environment: &Environment) -> Result<(), Trouble> {
    let console = stage.console;
    let people = People::generate(ROWS, &stage.run);
    let bucket = environment.get("MUSTER_UPLOADS_BUCKET")?;
    let key = format!("uploads/demo-{}.csv", stage.run);
    let settings = aws_settings(environment.get("AWS_ENDPOINT_URL")?)?;
    let s3 = s3_client(&settings, &settings.sdk_config());

    console.heading(&format!("An operator drops a CSV of {ROWS} rows"));
    drop_file(&s3, bucket, &key, people.csv.clone()).await?;
    console.done(format!(
        "s3://{bucket}/{key} ({} KiB)",
        people.csv.len() / 1024
    ));
    let start = Instant::now();
    let id = stage
        .wait_for("import for the file", START_LIMIT, async || {
            find(stage, &key).await
        })
        .await?;
    let import = follow(stage, &id).await?;
    let seconds = start.elapsed().as_secs_f64();
    check(stage, &import, &people)?;
    console.done(format!(
        "{ROWS} rows in {seconds:.1} s: {} created, {} skipped, {} refused",
        import["rows"]["created"], import["rows"]["skipped"], import["rows"]["failed"]
    ));
    let report = import["report"]["key"]
        .as_str()
        .ok_or_else(|| stage.failed("the import has no report"))?;
    show_report(stage, &fetch(&s3, bucket, report).await?, &people)?;
    let found = stage
        .get(&format!("/profiles?email={}", people.somebody))
        .await?;
    stage.expect(
        "source of an imported profile",
        &found["items"][0]["source"],
        &json!("import"),
    )?;
    console.done(format!(
        "GET /profiles?email={} finds an imported profile",
        people.somebody
    ));
    Ok(())
}

async fn drop_file(s3: &S3, bucket: &str, key: &str, bytes: Vec<u8>) -> Result<(), Trouble> {
    s3.put_object()
        .bucket(bucket)
        .key(key)
        .body(bytes.into())
        .send()
        .await
        .or_trouble("the file cannot be uploaded", "make down, then try again.")?;
    Ok(())
}

/// The id of the import of an object.
async fn find(stage: &Stage<'_>, key: &str) -> Result<Option<String>, Trouble> {
    let imports = stage.get("/imports").await?;
    let import = imports["items"]
        .as_array()
        .and_then(|items| items.iter().find(|import| import["object"]["key"] == key));
    Ok(import
        .and_then(|import| import["id"].as_str())
        .map(str::to_owned))
}

/// Shows the progress until the import is over.
async fn follow(stage: &Stage<'_>, id: &str) -> Result<Value, Trouble> {
    let bar = stage.console.rows(ROWS as u64);
    let path = format!("/imports/{id}");
    let result = stage
        .wait_for("end of the import", FINISH_LIMIT, async || {
            let import = stage.get(&path).await?;
            bar.set_position(answered(&import));
            let over = matches!(
                import["status"].as_str(),
                Some("completed" | "completed_with_errors" | "failed")
            );
            Ok(over.then_some(import))
        })
        .await;
    bar.finish_and_clear();
    result
}

fn answered(import: &Value) -> u64 {
    ["created", "updated", "skipped", "failed"]
        .iter()
        .filter_map(|kind| import["rows"][kind].as_u64())
        .sum()
}

fn check(stage: &Stage<'_>, import: &Value, people: &People) -> Result<(), Trouble> {
    stage.expect(
        "status of the import",
        &import["status"],
        &json!("completed_with_errors"),
    )?;
    let expected = json!({
        "total": people.rows,
        "created": people.good(),
        "updated": 0,
        "skipped": people.repeated,
        "failed": people.bad,
    });
    stage.expect("rows of the import", &import["rows"], &expected)
}

async fn fetch(s3: &S3, bucket: &str, key: &str) -> Result<Vec<u8>, Trouble> {
    let object = s3
        .get_object()
        .bucket(bucket)
        .key(key)
        .send()
        .await
        .or_trouble("the report cannot be fetched", "make down, then try again.")?;
    let bytes = object
        .body
        .collect()
        .await
        .or_trouble("the report cannot be fetched", "make down, then try again.")?;
    Ok(bytes.to_vec())
}

fn show_report(stage: &Stage<'_>, report: &[u8], people: &People) -> Result<(), Trouble> {
    let mut reader = csv::Reader::from_reader(report);
    let rows: Vec<csv::StringRecord> = reader
        .records()
        .collect::<Result<_, _>>()
        .or_trouble("the report is no CSV", "This is a bug: please report it.")?;
    stage.expect("rows of the report", &(rows.len() as u64), &people.bad)?;
    stage.console.done(format!(
        "the report names each refused row; the first {SHOWN}:\n"
    ));
    for row in rows.iter().take(SHOWN) {
        let from_end = |place: usize| row.get(row.len().saturating_sub(place)).unwrap_or_default();
        stage.console.line(format!(
            "    line {:>5}  {:<6} {:<18} {}",
            from_end(4),
            from_end(3),
            from_end(2),
            from_end(1)
        ));
    }
    stage.console.line("");
    Ok(())
}
