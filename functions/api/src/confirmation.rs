//! People follow the links of their mails: they confirm an address, or reject a sign-up.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `handlers`, `reject` | the routes |
//! | `service` | the state of a token, and the transaction behind the button |
//! | `link` | links as mail programs and people change them |
//! | `form`, `pages` | what a browser sends and shows |

pub(crate) mod form;
pub(crate) mod handlers;
pub(crate) mod link;
pub(crate) mod pages;
pub(crate) mod reject;
pub(crate) mod service;
