//! `muster-local up | inbox | down | demo`

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use muster_cli::trouble::Trouble;
use muster_local::console::Console;
use muster_local::place::Place;
use muster_local::{demo, emulator, inbox, up};

/// Muster on this machine, without AWS and without Docker.
///
/// MUSTER_LOCAL_PORT moves the stack to another port (default 4566),
/// MUSTER_LOCAL_DIR its files to another folder (default .local). If
/// AWS_ENDPOINT_URL is set, that emulator is used instead of starting one.
#[derive(Parser)]
#[command(name = "muster-local", verbatim_doc_comment)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the local stack and deploy template.yaml to it.
    Up,
    /// Show the mails that were sent, with their links.
    Inbox,
    /// Stop the local stack.
    Down,
    /// Start the stack and run the main job on it.
    Demo,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let console = Console::new();
    match run(&arguments.command, &console).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            console.trouble(&trouble);
            ExitCode::FAILURE
        }
    }
}

async fn run(command: &Command, console: &Console) -> Result<(), Trouble> {
    let place = Place::find()?;
    match command {
        Command::Up => {
            let environment = up::up(&place, console).await?;
            up::tell(&environment, &place, console);
            Ok(())
        }
        Command::Inbox => inbox::show(&place, console).await,
        Command::Down => emulator::stop(&place, console).await,
        Command::Demo => demo::run(&place, console).await,
    }
}
