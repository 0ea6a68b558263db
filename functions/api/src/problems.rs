//! Problems that several handlers answer with, and that the OpenAPI document shows.

use muster_core::people::validation::Violation;
use muster_http::problem::{FieldError, Kind, Problem};

/// The address has a profile.
pub(crate) fn taken() -> Problem {
    Problem::new(
        Kind::Conflict,
        "a profile with this e-mail address exists; GET /profiles?email= finds it",
    )
}

/// The version is another one by now.
pub(crate) fn changed() -> Problem {
    Problem::new(
        Kind::PreconditionFailed,
        "this is not the version that If-Match names; read it again",
    )
}

/// `If-Match` is not a list of ETags.
pub(crate) fn malformed_if_match() -> Problem {
    Problem::new(
        Kind::Malformed,
        "If-Match must be an ETag in its quotes, several with commas between, or *",
    )
}

/// The address is confirmed.
pub(crate) fn nothing_to_confirm() -> Problem {
    Problem::new(Kind::Conflict, "the profile's address is confirmed already")
}

/// The key came with something else before.
pub(crate) fn reused() -> Problem {
    Problem::new(
        Kind::KeyReused,
        "this Idempotency-Key came with another payload before; take a new one",
    )
}

/// There is none.
pub(crate) fn no_import() -> Problem {
    Problem::new(Kind::NotFound, "there is no such import")
}

/// The chunk at this index of the list cannot be run again.
pub(crate) fn not_failed(index: usize) -> FieldError {
    let violation = Violation::new(
        "not_failed",
        "the number of a chunk that has failed: chunks.failed of the import has them",
    );
    FieldError::at(format!("/chunks/{index}"), violation)
}

/// There is nothing to report.
pub(crate) fn none_refused() -> Problem {
    Problem::new(Kind::NotFound, "no row of this import was refused")
}

/// It is not written yet.
pub(crate) fn not_over() -> Problem {
    Problem::new(
        Kind::NotFound,
        "the import is not over; its report comes at the end",
    )
}

/// What a form of another site hears.
pub(crate) fn of_another_site() -> Problem {
    Problem::new(
        Kind::Forbidden,
        "this form was not sent by a page of this site; open the link in the mail once more",
    )
}

/// What a request hears that did not come by the edge.
pub(crate) fn went_round() -> Problem {
    Problem::new(
        Kind::Forbidden,
        "the API is not to be reached this way; use its public address",
    )
}
