//! What two or more of Muster's functions must agree on. There is no HTTP and no
//! Lambda runtime in here.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`platform`] | settings, clients, time, ids, the table, queues |
//! | [`people`] | profiles and the locks on their addresses |
//! | [`mail`] | mails, from the transaction that asks for one to what SES reports of it |
//!
//! Imports have a library of their own, `muster-imports`.

pub mod mail;
pub mod people;
pub mod platform;
