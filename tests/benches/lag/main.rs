//! `make bench`: how long does the import worker keep others from their turn, and
//! what does a row cost it?
//!
//! The worker's own code, optimised as it is on AWS, imports a file on a runtime of
//! one thread, as it does there; a [`probe`] on the same runtime wants a turn every
//! 100 µs, and notes how late it comes. AWS is on another thread, behind a socket:
//! S3 makes the file as it is read, and DynamoDB is the simulation's, but for
//! transactions of profiles, which are taken at their word and answered at once.
//! So the worker never waits, and what the probe sees is the worker at its worst.
//!
//! The same probe on a loop with nothing else to do says what of it is the
//! machine's. The cost of a row is the processor time of the worker's thread in
//! another import, without the probe, which is never idle.

// In a bench a panic is an answer, and printing is what it is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod endpoint;
mod probe;

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aws_lambda_events::sqs::SqsEvent;
use clap::Parser;
use muster_core::platform::time::Clock;
use muster_import_worker::worker::Worker;
use muster_simulation::queues::CHUNK;
use serde_json::json;

use crate::endpoint::Endpoint;
use crate::probe::{Lags, probe};

/// Nobody is to wait longer for a turn, but for one in a hundred.
const GOAL: Duration = Duration::from_millis(1);
/// How long an idle loop is looked at.
const IDLE: Duration = Duration::from_secs(2);

/// Measures the import worker.
#[derive(Parser)]
struct Arguments {
    /// Rows of the file.
    #[arg(long, default_value_t = 200_000)]
    rows: u64,
    /// What `cargo bench` says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    measure(arguments.rows).await
}

async fn measure(rows: u64) -> ExitCode {
    let endpoint = Endpoint::start();
    let idle = probed(tokio::time::sleep(IDLE)).await;
    println!("{:<34} {idle}", "lag of an idle loop");
    let worker = endpoint.worker();
    endpoint.plan("uploads/watched.csv", rows).await;
    let lags = probed(import(&endpoint, &worker)).await;
    println!(
        "{:<34} {lags}",
        format!("lag while {rows} rows are imported")
    );
    endpoint.plan("uploads/unwatched.csv", rows).await;
    let (began, before) = (Instant::now(), busy());
    import(&endpoint, &worker).await;
    let (took, busy) = (began.elapsed(), busy() - before);
    println!(
        "{:<34} {:.1} µs of a processor; {:.0} rows a second",
        "a row costs the worker",
        busy.as_secs_f64() * 1e6 / rows as f64,
        rows as f64 / took.as_secs_f64(),
    );
    if lags.at(990) <= GOAL {
        ExitCode::SUCCESS
    } else {
        println!("one turn in a hundred comes more than {GOAL:?} late");
        ExitCode::FAILURE
    }
}

/// How late turns came while something was done.
async fn probed(work: impl Future<Output = ()>) -> Lags {
    let probing = tokio::spawn(probe());
    work.await;
    probe::STOP.store(true, Ordering::Relaxed);
    probing.await.expect("lags")
}

/// Delivers chunks, as SQS would, until there are none.
async fn import(endpoint: &Endpoint, worker: &Worker) {
    while let Some(message) = endpoint.receive(CHUNK) {
        let event = json!({ "Records": [message.record(CHUNK)] });
        let event: SqsEvent = serde_json::from_value(event).expect("an event");
        let deadline = Clock::system().now().after(Duration::from_secs(300));
        let answer = worker.answer(event, deadline).await.expect("an answer");
        assert!(answer.batch_item_failures.is_empty(), "{answer:?}");
        endpoint.delete(CHUNK, &message);
    }
}

/// Processor time of this thread, as Linux counts it.
fn busy() -> Duration {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a count");
    let nanos = counted.split_whitespace().next().expect("a number");
    Duration::from_nanos(nanos.parse().expect("a number"))
}
