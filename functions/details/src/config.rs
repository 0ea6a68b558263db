//! Which sources there are, as operators write it.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`document`], [`fields`] | the document, and how its fields are read |
//! | [`url_template`] | the URL of a source |
//! | [`reload`] | the document, read again every minute |
//! | [`secrets`] | the headers of sources |

pub mod document;
pub mod fields;
pub mod reload;
pub mod secrets;
pub mod url_template;
