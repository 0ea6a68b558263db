//! Ctrl-C and SIGTERM: what they stop, and what there is to say about it.

use futures_util::{Stream, StreamExt};
use tokio::select;

use crate::api::Api;
use crate::cancellation::{cancel, unknown};
use crate::console::Console;
use crate::ending::Ending;

/// A signal that asks a command to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl StopSignal {
    const fn ending(self) -> Ending {
        match self {
            Self::Interrupt => Ending::Interrupted,
            Self::Terminate => Ending::Terminated,
        }
    }
}

/// What a command is doing when it is stopped.
#[derive(Debug, Default)]
pub enum Stage {
    /// Nothing that lasts.
    #[default]
    Passing,
    /// Something that ends or goes on by itself, and the text that says which.
    Leaving(String),
    /// It uploads the file of the import with this id: the import is cancelled.
    Uploading(String),
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
) -> Ending {
    match std::mem::take(&mut console.stage) {
        Stage::Passing => {}
        Stage::Leaving(text) => console.remark(&text),
        Stage::Uploading(id) => {
            console.remark(&format!(
                "The upload is stopped. Cancelling import {id}; Ctrl-C again quits at once."
            ));
            let said = select! {
                said = cancel(&id, api, console) => said,
                second = next(signals) => {
                    console.remark(&unknown(&id, "the answer was not waited for"));
                    return second.ending();
                }
            };
            console.remark(&said);
        }
    }
    first.ending()
}
