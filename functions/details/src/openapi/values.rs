//! The values that answers are made of.

use crate::sources::source_error::CODES;
use muster_http::openapi::values::choice;

muster_http::values! {
    /// [`crate::sources::fan_out::Outcome`]
    SourceStatus: choice(STATUSES),
    /// [`crate::sources::source_error::Trouble`]
    SourceProblemCode: choice(CODES),
}

/// The statuses that a source may have, and what they mean.
pub(crate) const STATUSES: [(&str, &str); 6] = [
    ("ok", "it says so now, or said so not too long ago"),
    ("stale", "it said so before, and nothing newer is to be had"),
    ("timeout", "it took too long"),
    ("error", "it answers with an error, or with nothing of use"),
    ("refused", "its address is none to connect to"),
    (
        "open_circuit",
        "it failed again and again, or asked to be left alone, and was not asked",
    ),
];
