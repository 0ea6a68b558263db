//! Ctrl-C and SIGTERM: what they stop, and what there is to say about it.

use futures_util::{Stream, StreamExt};
use tokio::select;

use crate::api::Api;
use crate::cancellation::{cancel, unknown};
use crate::console::Console;
use crate::exit_status::ExitStatus;
use crate::on_interrupt::OnInterrupt;

/// A signal that asks a command to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl StopSignal {
    const fn exit_status(self) -> ExitStatus {
        match self {
            Self::Interrupt => ExitStatus::Interrupted,
            Self::Terminate => ExitStatus::Terminated,
        }
    }
}

/// The next signal. Waits for ever if there are no signals to wait for.
pub async fn next(signals: &mut (impl Stream<Item = StopSignal> + Unpin)) -> StopSignal {
    match signals.next().await {
        Some(signal) => signal,
        None => std::future::pending().await,
    }
}

/// Ends a command that was stopped, and says what that means. A second signal quits at
/// once.
pub async fn end(
    first: StopSignal,
    api: &mut Api,
    console: &mut Console<'_>,
    signals: &mut (impl Stream<Item = StopSignal> + Unpin),
) -> ExitStatus {
    match std::mem::take(&mut console.on_interrupt) {
        OnInterrupt::Exit => {}
        OnInterrupt::Explain(text) => console.remark(&text),
        OnInterrupt::CancelImport(id) => {
            console.remark(&format!(
                "The upload is stopped. Cancelling import {id}; Ctrl-C again quits at once."
            ));
            let said = select! {
                said = cancel(&id, api, console) => said,
                second = next(signals) => {
                    console.remark(&unknown(&id, "the answer was not waited for"));
                    return second.exit_status();
                }
            };
            console.remark(&said);
        }
    }
    first.exit_status()
}
