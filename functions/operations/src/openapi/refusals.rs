//! Error answers.

use crate::problems::{no_such_letter, no_such_queue};
use muster_core::people::validation::Violation;
use muster_http::openapi::refusals::{INVALID, problem, with_problems};
use muster_http::problem::{FieldError, Problem};

muster_http::refusals! {
    /// 404
    NoSuchQueue: problem(&no_such_queue(), "There is no such queue."),
    /// 404, of one letter
    NoSuchLetter: with_problems(
        [("queue", no_such_queue()), ("letter", no_such_letter())],
        "There is no such queue, or it has no such dead letter, or somebody is looking at it.",
    ),
    /// 422
    InvalidSelection: problem(&no_selection(), INVALID),
}

fn no_selection() -> Problem {
    let violation = Violation::new("missing", "send the ids, or all as true");
    Problem::invalid(vec![FieldError::at("/ids", violation)])
}
