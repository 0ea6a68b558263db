//! `muster queues | dead-letters | mails | import | imports | sources`

use std::io::{IsTerminal, Write, stderr, stdin, stdout};
use std::process::ExitCode;

use clap::Parser;
use muster_cli::arguments::Arguments;
use muster_cli::console::Console;
use muster_cli::report_path::{FileId, Streams};
use muster_cli::verbs::run;
use tokio::signal::ctrl_c;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (mut output, mut aside, mut answers) = (stdout(), stderr(), stdin().lock());
    let watched = stderr().is_terminal();
    let asked = watched && stdin().is_terminal();
    let mut console = Console {
        answers: asked.then_some(&mut answers),
        watched,
        streams: Streams {
            output: FileId::of(stdout()),
            aside: FileId::of(stderr()),
        },
        ..Console::new(&mut output, &mut aside)
    };
    let interrupted = async {
        // Where there is no Ctrl-C nobody presses it.
        if ctrl_c().await.is_err() {
            std::future::pending().await
        }
    };
    match run(arguments, &mut console, interrupted).await {
        Ok(ending) => ending.into(),
        Err(trouble) => {
            // Nobody can be told that nobody listens.
            let _ = writeln!(stderr(), "error: {trouble}");
            ExitCode::FAILURE
        }
    }
}
