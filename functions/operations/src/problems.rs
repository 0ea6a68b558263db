//! Problems that several handlers answer with, and that the OpenAPI document shows.

use muster_http::problem::{Kind, Problem};

/// There is no queue of that name.
pub(crate) fn no_such_queue() -> Problem {
    Problem::new(
        Kind::NotFound,
        "there is no such queue; GET /queues has them all",
    )
}

/// There is no letter of that id, as far as can be seen.
pub(crate) fn no_such_letter() -> Problem {
    Problem::new(
        Kind::NotFound,
        "there is no such dead letter, or somebody is looking at it",
    )
}
