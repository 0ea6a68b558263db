//! Error answers.

use crate::answer::view::source_failed_example;
use muster_http::openapi::refusals::problem;
use muster_http::profile::absent;

muster_http::refusals! {
    /// 404
    NotFound: problem(&absent(), "There is no such profile."),
    /// 502
    SourceFailed: problem(
        &source_failed_example(),
        "A source failed that is required. The problem has what there is all the same: \
         `profile`, `sources` and `merged`, as the answer would.",
    ),
}
