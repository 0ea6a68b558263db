//! Operators create, start, cancel, resume and follow imports.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `handlers` | the routes |
//! | `transitions` | an import created, and moved from one status to the next |
//! | `upload_form` | the form by which its file gets to S3 |
//! | `view`, `report_link` | an import as it is shown; where its report of refused rows is |

pub(crate) mod handlers;
pub(crate) mod report_link;
pub(crate) mod transitions;
pub(crate) mod upload_form;
pub(crate) mod view;
