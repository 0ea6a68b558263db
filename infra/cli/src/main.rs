//! `muster queues | dead-letters | mails`

use std::io::{IsTerminal, Write, stderr, stdin, stdout};
use std::process::ExitCode;

use clap::Parser;
use muster_cli::arguments::Arguments;
use muster_cli::console::Console;
use muster_cli::verbs::run;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (mut output, mut questions, mut answers) = (stdout(), stderr(), stdin().lock());
    let watched = stdin().is_terminal() && stderr().is_terminal();
    let mut console = Console {
        output: &mut output,
        questions: &mut questions,
        answers: watched.then_some(&mut answers),
    };
    match run(arguments, &mut console).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            // Nobody can be told that nobody listens.
            let _ = writeln!(stderr(), "error: {trouble}");
            ExitCode::FAILURE
        }
    }
}
