//! What is done.

use futures_util::Stream;
use muster_core::settings::Variables;
use serde_json::{Value, json};
use tokio::select;

use crate::api::Api;
use crate::arguments::{Arguments, Output, Verb};
use crate::console::Console;
use crate::ending::Ending;
use crate::interruption::{StopSignal, end, next};
use crate::table::{Column, table, text};
use crate::trouble::Trouble;
use crate::{dead_letters, import, imports, sources};

/// Does what the arguments say. Imports stop at a signal, and say what that means. The
/// other commands are ended by the signal itself, as `signals` is not asked for any: a
/// question that waits for its answer sees nothing else.
///
/// # Errors
/// Whatever did not work, and what to do about it.
pub async fn run(
    arguments: Arguments,
    console: &mut Console<'_>,
    mut signals: impl Stream<Item = StopSignal> + Unpin,
) -> Result<Ending, Trouble> {
    let (access, output) = (arguments.access, arguments.output);
    let pace = console.pace;
    let api = || Api::new(access, pace);
    match arguments.verb {
        Verb::Queues => queues(&mut api()?, output, console).await?,
        Verb::DeadLetters(verb) => dead_letters::run(verb, &mut api()?, output, console).await?,
        Verb::Mails { profile } => mails(&profile, &mut api()?, output, console).await?,
        Verb::Import(what) => {
            let mut api = api()?;
            return select! {
                ending = import::run(&what, &mut api, output, console) => ending,
                signal = next(&mut signals) => {
                    Ok(end(signal, &mut api, console, &mut signals).await)
                }
            };
        }
        Verb::Imports(verb) => {
            let mut api = api()?;
            return select! {
                ending = imports::run(verb, &mut api, output, console) => ending,
                signal = next(&mut signals) => {
                    Ok(end(signal, &mut api, console, &mut signals).await)
                }
            };
        }
        Verb::Sources(verb) => {
            sources::run(verb, Variables::of_process(), output, console).await?;
        }
    }
    Ok(Ending::Done)
}

/// Shows a list, in columns or as it came.
///
/// # Errors
/// When it cannot be written.
pub fn show_list(
    list: &Value,
    columns: &[Column],
    if_empty: &str,
    output: Output,
    console: &mut Console<'_>,
) -> Result<(), Trouble> {
    let items = list["items"].as_array().map_or(&[][..], Vec::as_slice);
    match output {
        Output::Json => console.show_json(list),
        Output::Table if items.is_empty() => console.show(if_empty),
        Output::Table => console.show(&table(columns, items)),
    }
}

async fn queues(api: &mut Api, output: Output, console: &mut Console<'_>) -> Result<(), Trouble> {
    let columns = [
        Column("QUEUE", "/name", text),
        Column("VISIBLE", "/messages/visible", text),
        Column("IN FLIGHT", "/messages/in_flight", text),
        Column("DELAYED", "/messages/delayed", text),
        Column("DEAD LETTERS", "/dead_letters", text),
        Column("CARRIES", "/carries", text),
    ];
    let list = api.get(&["queues"], &[]).await?;
    show_list(&list, &columns, "There are no queues.", output, console)
}

async fn mails(
    profile: &str,
    api: &mut Api,
    output: Output,
    console: &mut Console<'_>,
) -> Result<(), Trouble> {
    let columns = [
        Column("NUMBER", "/number", text),
        Column("KIND", "/kind", text),
        Column("STATUS", "/status", text),
        Column("ATTEMPTS", "/attempts", text),
        Column("CREATED", "/created_at", text),
        Column("SENT", "/sent_at", text),
        Column("TO", "/to", text),
        Column("REASON", "/reason", text),
    ];
    let id = match profile.contains('@') {
        true => owner(profile, api).await?,
        false => profile.to_owned(),
    };
    let (items, _) = api.list(&["profiles", &id, "mails"], None).await?;
    let list = json!({ "items": items });
    show_list(
        &list,
        &columns,
        "The profile has no mails.",
        output,
        console,
    )
}

/// The id of the profile with that address.
async fn owner(email: &str, api: &mut Api) -> Result<String, Trouble> {
    let found = api.get(&["profiles"], &[("email", email)]).await?;
    let id = found["items"][0]["id"].as_str();
    id.map(str::to_owned).ok_or_else(|| {
        Trouble::new(
            "no profile has this e-mail address",
            "Check its spelling. A sign-up that was not confirmed in time is gone.",
        )
    })
}
