//! Profiles, and the locks on their addresses.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`email`], [`person`], [`locale`], [`validation`] | what people type, parsed once; what is wrong with it |
//! | [`profile`], [`source`], [`undeliverable`], [`overwritten`] | the profile's item, and what it is made of |
//! | [`email_lock`] | the lock that gives an address to one profile |
//! | [`new_profile`] | profile, lock and first mail, stored in one transaction |
//! | [`profile_with_mails`] | a profile and its mails, read together |
//! | [`erasure`] | a profile and all that belongs to it, removed |
//! | [`idempotency`] | the record of an `Idempotency-Key` |
//! | [`source_cache`] | what outside sources said of a person |

pub mod email;
pub mod email_lock;
pub mod erasure;
pub mod idempotency;
pub mod locale;
pub mod new_profile;
pub mod overwritten;
pub mod person;
pub mod profile;
pub mod profile_with_mails;
pub mod source;
pub mod source_cache;
pub mod undeliverable;
pub mod validation;
