//! Dead letters: messages that a queue gave up.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `handlers` | the routes |
//! | `messages` | dead letters in SQS, looked at |
//! | `reason`, `reason_code` | what the table knows of one |
//! | `redaction` | what is shown of one to whom |
//! | `selection` | which of them |

pub(crate) mod handlers;
pub(crate) mod messages;
pub(crate) mod reason;
pub(crate) mod reason_code;
pub(crate) mod redaction;
pub(crate) mod selection;
