//! Runs the command that was typed.

use futures_util::Stream;
use muster_core::platform::settings::Variables;
use serde_json::json;
use tokio::select;

use crate::api::Api;
use crate::arguments::{Arguments, Command, Output};
use crate::console::Console;
use crate::exit_status::ExitStatus;
use crate::interruption::{StopSignal, end, next};
use crate::list_view::show_list;
use crate::table::{Column, text};
use crate::trouble::Trouble;
use crate::{dead_letters, import, imports, sources};

/// Runs the command. An import stops at a signal and explains what that means. The other
/// commands never poll `signals`, so the signal itself ends the process: a question that
/// waits for its answer could not be interrupted otherwise.
///
/// # Errors
/// Whatever did not work, and what to do about it.
pub async fn run(
    arguments: Arguments,
    console: &mut Console<'_>,
    mut signals: impl Stream<Item = StopSignal> + Unpin,
) -> Result<ExitStatus, Trouble> {
    let (access, output) = (arguments.access, arguments.output);
    let pace = console.pace;
    let api = || Api::new(access, pace);
    match arguments.command {
        Command::Queues => queues(&mut api()?, output, console).await?,
        Command::DeadLetters(command) => {
            dead_letters::run(command, &mut api()?, output, console).await?
        }
        Command::Mails { profile } => mails(&profile, &mut api()?, output, console).await?,
        Command::Import(what) => {
            let mut api = api()?;
            return select! {
                result = import::run(&what, &mut api, output, console) => result,
                signal = next(&mut signals) => {
                    Ok(end(signal, &mut api, console, &mut signals).await)
                }
            };
        }
        Command::Imports(command) => {
            let mut api = api()?;
            return select! {
                result = imports::run(command, &mut api, output, console) => result,
                signal = next(&mut signals) => {
                    Ok(end(signal, &mut api, console, &mut signals).await)
                }
            };
        }
        Command::Sources(command) => {
            sources::run(command, Variables::of_process(), output, console).await?;
        }
    }
    Ok(ExitStatus::Done)
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
