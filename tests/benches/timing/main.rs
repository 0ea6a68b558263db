//! `make bench`: can a stranger tell by the time of an answer whether an
//! address has a profile?
//!
//! The built `bootstrap` of the API answers `POST /signup` and
//! `POST /signup/resend` about addresses of every [`Class`], one after the
//! other, warm, in rounds: each round asks once about each class, in an order
//! that chance has. A request is timed from its event being handed to the
//! process until its answer arrives. What takes its time beside the function
//! falls on all classes alike, and a table that grows slows all of them down.
//!
//! AWS is the endpoint of the simulation behind a socket, and answers each call
//! at a fixed time after it came, [`ANSWER`] or a little more by its operation,
//! however long dynoxide worked on it: what an `Update` costs more than a `Put`
//! in a database in memory is not what it costs in DynamoDB, and DynamoDB is
//! nothing we could mend. The answers
//! in which an address shows leave last of those that are under way together, so
//! that the handling of others does not hide how long they took. What is
//! left is the function's own: how many calls it makes, in which order, which at
//! the same time, and its processor time in between. A round in which any answer
//! left late does not count, for any class.
//!
//! With `--attributes` each sign-up says much, which must cost as long whatever
//! becomes of it.
//!
//! That the instrument works is shown by two controls: unknown addresses against
//! other unknown ones, which must look the same, and an endpoint that takes
//! [`PLANTED`] longer to tell of a known address, which must be found.

// In a bench a panic is an answer, and printing is what it is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod class;
mod people;
mod place;
mod statistics;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::class::{Class, Route};
use crate::people::People;
use crate::place::Place;
use crate::statistics::{Comparison, compare};

/// How long AWS takes for a call: longer than dynoxide needs for all calls that
/// are made at the same time.
const ANSWER: Duration = Duration::from_millis(4);
/// The same where sign-ups have attributes.
const ANSWER_TO_MUCH: Duration = Duration::from_millis(8);
/// The leak that must be found.
const PLANTED: Duration = Duration::from_micros(200);

/// As test vector leakage assessment (TVLA) and dudect have it: below this,
/// chance explains the difference.
const TOLD_APART: f64 = 4.5;

/// Rounds before anything counts.
const WARM_UP: usize = 50;

/// Measures what the time of an answer tells.
#[derive(Parser)]
struct Arguments {
    /// Pairs of a known and an unknown address, for each route and class.
    #[arg(long, default_value_t = 500)]
    count: usize,
    /// Bytes of attributes in each sign-up, in values of a thousand: 14000 is
    /// about the most that a body takes. Resends have none, and are left out then.
    #[arg(long, default_value_t = 0)]
    attributes: usize,
    /// Decides the addresses, and the order within each round.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What `cargo bench` says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    measure(&arguments).await
}

async fn measure(arguments: &Arguments) -> ExitCode {
    // A thread that sleeps wakes up late: this one never does.
    tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    let (count, controls) = (arguments.count, arguments.count);
    let needed = [
        (Class::Confirmed, WARM_UP + count),
        (Class::Pending, WARM_UP + count),
        (Class::CoolingDown, WARM_UP + count),
        (Class::Planted, WARM_UP + controls),
    ];
    let mut place = Place::new(arguments.seed, arguments.attributes).await;
    let mut people = People::prepare(&mut place, &needed).await;
    println!("{}", Comparison::HEADER);
    let mut good = true;
    let routes = match arguments.attributes {
        0 => &Route::ALL[..],
        _ => &[Route::SignUp],
    };
    for route in routes.iter().copied() {
        people.cool_down(&place);
        for (classes, count) in [(&Class::QUESTION[..], count), (&Class::CONTROLS, controls)] {
            let samples = rounds(&mut place, &mut people, route, classes, count).await;
            assert!(
                samples[0].len() >= count / 2,
                "most answers were late: this machine is too busy to tell"
            );
            good &= report(route, classes, &samples);
        }
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Asks about each class once in each round; the times in microseconds, class
/// by class.
async fn rounds(
    place: &mut Place,
    people: &mut People,
    route: Route,
    classes: &[Class],
    count: usize,
) -> Vec<Vec<f64>> {
    let mut samples = vec![Vec::with_capacity(count); classes.len()];
    for round in 0..WARM_UP + count {
        let mut order: Vec<usize> = (0..classes.len()).collect();
        place.shuffle(&mut order);
        let mut times = vec![0.0; classes.len()];
        let late = place.late();
        for index in order {
            let class = classes[index];
            let person = people.of(class, round, place);
            place.plant(if class == Class::Planted {
                PLANTED
            } else {
                Duration::ZERO
            });
            let took = place.ask(route, &person.address).await;
            times[index] = took.as_secs_f64() * 1e6;
            person.check(class, route, place);
        }
        if round >= WARM_UP && place.late() == late {
            for (samples, took) in samples.iter_mut().zip(times) {
                samples.push(took);
            }
        }
    }
    samples
}

/// Prints each class against the first; says whether all is as it should be.
fn report(route: Route, classes: &[Class], samples: &[Vec<f64>]) -> bool {
    let mut good = true;
    for (class, known) in classes.iter().zip(samples).skip(1) {
        let found = compare(known, &samples[0]);
        let (as_it_should, verdict) = match (class, found.t.abs()) {
            (Class::Planted, t) if t >= TOLD_APART => (true, "found, as it must be"),
            (Class::Planted, _) => (false, "NOT FOUND"),
            (_, t) if t < TOLD_APART => (true, "not told apart"),
            _ => (false, "TOLD APART"),
        };
        println!(
            "{:<15} {:<17} {found}  {verdict}",
            route.path(),
            class.name()
        );
        good &= as_it_should;
    }
    good
}
