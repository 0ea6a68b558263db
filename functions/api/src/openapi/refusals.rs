//! What comes instead of what was asked for, beside what every function says
//! ([`muster_http::openapi::refusals`]).

use muster_http::openapi::refusals::{
    INVALID, either, invalid_field, problem, retry_after, with_problems,
};
use muster_http::problem::{Kind, Problem};
use muster_http::profile::absent;

use crate::problems::{
    changed, malformed_if_match, no_import, none_refused, not_failed, not_over, nothing_to_confirm,
    of_another_site, reused, taken, went_round,
};

muster_http::refusals! {
    /// 400, without a body
    BadHeader: problem(&malformed_if_match(), "A header makes no sense."),
    /// 404
    NotFound: problem(&absent(), "There is no such thing, or no longer."),
    /// 403, where no token is needed
    FromElsewhere: with_problems(
        [("form-of-another-site", of_another_site()), ("not-by-the-edge", went_round())],
        "A page of another site sent the form. Or the deployment is reached by something in \
         front of it, and this request came another way.",
    ),
    /// 404, of a report
    NoReport: with_problems(
        [("none-refused", none_refused()), ("not-over", not_over()), ("no-import", no_import())],
        "There is no such import, or no report of it.",
    ),
    /// 409
    Conflict: problem(&taken(), "Another profile has the e-mail address."),
    /// 409, of a mail
    NothingToConfirm: problem(
        &nothing_to_confirm(),
        "The address is confirmed, or it is `undeliverable`; `detail` says why.",
    ),
    /// 409, of an import
    NotNow: problem(
        &Problem::new(Kind::Conflict, "it is over; there is nothing left to stop"),
        "The import's status does not allow it; `detail` says why.",
    ),
    /// 412
    PreconditionFailed: problem(
        &changed(),
        "The profile is another version than `If-Match` names. Nothing was changed.",
    ),
    /// 422, when there may be a key
    InvalidOrReused: with_problems(
        [("invalid-fields", invalid_field()), ("idempotency-key-reused", reused())],
        &format!("{INVALID} Or the `Idempotency-Key` came with another body before."),
    ),
    /// 422, of chunks
    NotFailed: problem(
        &Problem::invalid(vec![not_failed(0)]),
        &format!("{INVALID} Or chunks that it names have not failed."),
    ),
    /// 428
    PreconditionRequired: problem(
        &Problem::new(
            Kind::PreconditionRequired,
            "send the ETag of the version that you mean to change as If-Match",
        ),
        "`If-Match` is missing.",
    ),
    /// 429
    TooManyRequests: either(
        &Problem::new(
            Kind::TooManyRequests,
            "too many requests from this network address; try again later",
        ),
        "Too Many Requests",
        "A problem: too many sign-ups from this network address. The gateway's message: the API \
         takes no more requests at the moment.",
    )
    .header("Retry-After", retry_after()),
}
