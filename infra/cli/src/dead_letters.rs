//! `muster dead-letters`

use serde_json::{Value, json};

use crate::api::{Api, Repeat};
use crate::arguments::{DeadLetters, Output, Selection};
use crate::console::Console;
use crate::list_view::show_list;
use crate::table::{Column, age, fields, text};
use crate::trouble::Trouble;

/// Does something about dead letters.
///
/// # Errors
/// Whatever did not work, and what to do about it.
pub(crate) async fn run(
    command: DeadLetters,
    api: &mut Api,
    output: Output,
    console: &mut Console<'_>,
) -> Result<(), Trouble> {
    match command {
        DeadLetters::List { queue, limit } => list(&queue, limit, api, output, console).await,
        DeadLetters::Show { queue, id } => show(&queue, &id, api, output, console).await,
        DeadLetters::Redrive(which) => {
            // One that is redriven is easily seen to; a thousand are a load.
            if which.all && !which.yes {
                console.confirm(&format!("Redrive all dead letters of {}?", which.queue))?;
            }
            clear(&which, "redrive", "redriven", api, output, console).await
        }
        DeadLetters::Purge(which) => {
            if !which.yes {
                console.confirm(&match which.all {
                    true => format!("Purge all dead letters of {} for good?", which.queue),
                    false => format!(
                        "Purge {} of the dead letters of {} for good?",
                        which.ids.len(),
                        which.queue
                    ),
                })?;
            }
            clear(&which, "purge", "purged", api, output, console).await
        }
    }
}

async fn list(
    queue: &str,
    limit: usize,
    api: &mut Api,
    output: Output,
    console: &mut Console<'_>,
) -> Result<(), Trouble> {
    let columns = [
        Column("ID", "/id", text),
        Column("AGE", "/age_s", age),
        Column("RECEIVES", "/receive_count", text),
        Column("REASON", "/reason/code", text),
        Column("DETAIL", "/reason/detail", text),
    ];
    let limit = limit.to_string();
    let path = ["queues", queue, "dead-letters"];
    let list = api.get(&path, &[("limit", &limit)]).await?;
    show_list(
        &list,
        &columns,
        "There are no dead letters.",
        output,
        console,
    )?;
    if output == Output::Table && list["more"] == true {
        console.show("There may be more: --limit lists up to 100.")?;
    }
    Ok(())
}

async fn show(
    queue: &str,
    id: &str,
    api: &mut Api,
    output: Output,
    console: &mut Console<'_>,
) -> Result<(), Trouble> {
    let letter = api.get(&["queues", queue, "dead-letters", id], &[]).await?;
    if output == Output::Json {
        return console.show_json(&letter);
    }
    let reason = &letter["reason"];
    console.show(&fields(&[
        ("id", text(&letter["id"])),
        ("sent", text(&letter["sent_at"])),
        ("age", age(&letter["age_s"])),
        ("receives", text(&letter["receive_count"])),
        ("reason", text(&reason["code"])),
        ("detail", text(&reason["detail"])),
        ("status", text(&reason["status"])),
        ("attempts", text(&reason["attempts"])),
        ("body", text(&letter["body"])),
    ]))
}

/// Clears letters away, and goes on for as long as the API says that its time ran
/// out and gets on.
async fn clear(
    which: &Selection,
    what: &str,
    done: &str,
    api: &mut Api,
    output: Output,
    console: &mut Console<'_>,
) -> Result<(), Trouble> {
    let path = ["queues", &which.queue, "dead-letters", what];
    let body = match which.all {
        true => json!({ "all": true }),
        false => json!({ "ids": which.ids }),
    };
    let mut count = 0;
    let answer = loop {
        let answer = api.post(&path, Some(&body), Repeat::Unbegun).await?;
        let now = answer[done].as_u64().unwrap_or_default();
        count += now;
        // Of named ones it cannot be asked again which of them remain.
        if !which.all || now == 0 || answer["remaining"] == 0 {
            break answer;
        }
    };
    let (remaining, not_found) = (&answer["remaining"], &answer["not_found"]);
    match output {
        Output::Json => console
            .show_json(&json!({ done: count, "remaining": remaining, "not_found": not_found }))?,
        Output::Table => console.show(&format!("{count} {done}"))?,
    }
    whole(remaining, not_found)
}

/// Whether all that was asked for was done.
fn whole(remaining: &Value, not_found: &Value) -> Result<(), Trouble> {
    let absent: Vec<_> = not_found
        .as_array()
        .into_iter()
        .flatten()
        .map(text)
        .collect();
    if !absent.is_empty() {
        return Err(Trouble::new(
            format!("not found: {}", absent.join(", ")),
            "Somebody may be looking at them: try again in a minute, or list them anew.",
        ));
    }
    if remaining.as_u64().is_some_and(|count| count > 0) {
        return Err(Trouble::new(
            format!("about {remaining} remain"),
            "Try again; if none is moved, look for the reason in the log of the function.",
        ));
    }
    Ok(())
}
