//! People sign up, and ask for their mail again.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `handlers` | the routes |
//! | `service` | one transaction for each sign-up, whatever is known of the address |
//! | `applicant` | the body, checked |
//! | `accept_language` | the language that the browser asks for |
//! | `rate_limits`, `mailbox` | limits by network address, mailbox, domain and hour |
//! | `captcha`, `captcha_proof` | the verifier; what shows that a person asks |

pub(crate) mod accept_language;
pub(crate) mod applicant;
pub(crate) mod captcha;
pub(crate) mod captcha_proof;
pub(crate) mod handlers;
pub(crate) mod mailbox;
pub(crate) mod rate_limits;
pub(crate) mod service;
