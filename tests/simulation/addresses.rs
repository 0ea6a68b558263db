//! The people of [`people_scenarios`](crate::people_scenarios), by their addresses.

/// Signs up and confirms.
pub const STAYS: &str = "stays@example.com";
/// Signs up, confirms, and gets another address: [`MOVED`].
pub const MOVES: &str = "moves@example.com";
/// The new address of [`MOVES`].
pub const MOVED: &str = "moved@example.com";
/// Signs up and is gone in the end: an operator or the owner of the address erases
/// the profile.
pub const LEAVES: &str = "leaves@example.com";
/// Signs up and never confirms.
pub const WAITS: &str = "waits@example.com";
/// Signs up with an address whose mail bounces for good.
pub const BOUNCES: &str = "bounces@example.com";
/// Signs up, marks the mail as spam, and sometimes follows its link all the same.
pub const COMPLAINS: &str = "complains@example.com";
/// An operator creates this profile.
pub const MADE: &str = "made@example.com";
/// Two people sign this address up, each in their own name; its owner confirms.
pub const TWICE: &str = "twice@example.com";
/// Signs up; then an operator creates the profile.
pub const TAKEN: &str = "taken@example.com";
/// Signs up twice, is edited by an operator, and sometimes confirms.
pub const KEPT: &str = "kept@example.com";
