//! `muster queues | dead-letters | mails | import | imports | sources`

use std::io::{IsTerminal, Write, stderr, stdin, stdout};
use std::process::ExitCode;

use clap::Parser;
use futures_util::Stream;
use futures_util::stream::unfold;
use muster_cli::arguments::Arguments;
use muster_cli::commands::run;
use muster_cli::console::Console;
use muster_cli::exit_status::ExitStatus;
use muster_cli::interruption::StopSignal;
use muster_cli::report_path::{FileId, Streams};
use muster_cli::trouble::{OrTrouble, Trouble};
use tokio::runtime::Builder;
use tokio::select;
use tokio::signal::unix::{Signal, SignalKind, signal};

fn main() -> ExitCode {
    match command(Arguments::parse()) {
        Ok(status) => status.into(),
        Err(trouble) => {
            // Nobody can be told that nobody listens.
            let _ = writeln!(stderr(), "error: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn command(arguments: Arguments) -> Result<ExitStatus, Trouble> {
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
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.or_trouble("the runtime cannot start", "Check the limits of ulimit.")?;
    let result = runtime.block_on(run(arguments, &mut console, Box::pin(stop_signals())));
    // Dropped, it would wait for a name server or a disk that does not answer.
    runtime.shutdown_background();
    result
}

/// Ctrl-C and SIGTERM. Until the first is waited for, both end the process as usual.
fn stop_signals() -> impl Stream<Item = StopSignal> {
    unfold(None, |handlers: Option<[Signal; 2]>| async {
        let handlers = handlers.or_else(|| handle().ok());
        // Where signals cannot be handled, none comes.
        let [mut interrupt, mut terminate] = handlers?;
        let signal = select! {
            _ = interrupt.recv() => StopSignal::Interrupt,
            _ = terminate.recv() => StopSignal::Terminate,
        };
        Some((signal, Some([interrupt, terminate])))
    })
}

fn handle() -> std::io::Result<[Signal; 2]> {
    Ok([
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    ])
}
