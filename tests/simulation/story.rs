//! What people do in a run.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use muster_core::random::Random;
use muster_core::table::Item;

use crate::endpoint::Shared;
use crate::invariants::counts_are_rows;

/// One thing that somebody does, again and again until the answer says that it
/// is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Signs up.
    SignUp(&'static str),
    /// Signs up, or signs somebody else's address up, and says more.
    SignUpAs {
        /// The address.
        address: &'static str,
        /// The name, which the attributes say again.
        name: &'static str,
    },
    /// Wants the mail again.
    Resend(&'static str),
    /// Clicks the link of the newest mail to that address, as soon as there is
    /// one.
    Confirm(&'static str),
    /// Clicks the other link: it was somebody else.
    Disown(&'static str),
    /// An operator makes a profile, with an `Idempotency-Key`.
    Create(&'static str),
    /// An operator gives a profile another address.
    Move {
        /// The old one.
        from: &'static str,
        /// The new one.
        to: &'static str,
    },
    /// An operator gives the profile of that address another name.
    Edit(String),
    /// An operator erases the profile of that address.
    Erase(String),
    /// Drops a CSV.
    Upload {
        /// The object.
        key: String,
        /// The file.
        csv: Vec<u8>,
        /// What its metadata say.
        options: BTreeMap<&'static str, String>,
    },
    /// An operator makes an import, and uploads its file.
    Import {
        /// What is done with the people in it.
        options: BTreeMap<&'static str, String>,
        /// Whether it waits to be started.
        manual: bool,
        /// The file.
        csv: Vec<u8>,
    },
    /// An operator starts the import, cancels it, has it go on.
    Start,
    /// See [`Start`](Self::Start).
    Cancel,
    /// See [`Start`](Self::Start).
    Resume,
}

/// What must hold when a story is over.
pub struct Rule {
    /// What it says.
    pub name: &'static str,
    check: Box<Check>,
}

type Check = dyn Fn(&Shared, &[Item]) -> Vec<String> + Send;

impl Rule {
    /// A rule: its findings, one line each.
    pub fn new(
        name: &'static str,
        check: impl Fn(&Shared, &[Item]) -> Vec<String> + Send + 'static,
    ) -> Self {
        let check = Box::new(check);
        Self { name, check }
    }

    /// What does not hold.
    pub fn findings(&self, shared: &Shared, items: &[Item]) -> Vec<String> {
        (self.check)(shared, items)
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// When somebody does what.
#[derive(Debug)]
pub struct Story {
    /// What begins by itself, and when.
    pub acts: Vec<(Duration, Act)>,
    /// What follows: when the first is done, the second, that long after.
    pub then: Vec<(Act, Duration, Act)>,
    /// What must hold in the end, besides what always must.
    pub rules: Vec<Rule>,
}

/// Signs up and confirms.
pub const STAYS: &str = "stays@example.com";
/// Signs up, confirms, and gets another address.
pub const MOVES: &str = "moves@example.com";
/// That address.
pub const MOVED: &str = "moved@example.com";
/// Signs up and is gone in the end: erased by an operator, or by the owner of
/// the address.
pub const LEAVES: &str = "leaves@example.com";
/// Signs up and does not care.
pub const WAITS: &str = "waits@example.com";
/// Signs up with an address that there is not.
pub const BOUNCES: &str = "bounces@example.com";
/// Signs up, and calls it spam; follows the link at times all the same.
pub const COMPLAINS: &str = "complains@example.com";
/// Is made by an operator.
pub const MADE: &str = "made@example.com";
/// Is signed up by two people, each in their own name, and confirms.
pub const TWICE: &str = "twice@example.com";
/// Signs up, and is made by an operator then.
pub const TAKEN: &str = "taken@example.com";
/// Signs up twice, is changed by an operator, and sometimes confirms.
pub const KEPT: &str = "kept@example.com";

/// More than a field may have (`ImportMaxFieldBytes`).
const LINE: usize = 64 * 1024;

/// What became of the rows of a file, had nothing gone wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// All.
    pub total: u64,
    /// Those that are refused.
    pub bad: u64,
    /// Those whose address an earlier row has.
    pub repeated: u64,
}

/// Rows of the file that a story drops.
pub const FILE: Rows = Rows {
    total: 100,
    bad: 6,
    repeated: 8,
};

impl Story {
    /// A few people who sign up, confirm, move and leave, and a file that asks
    /// for no mails.
    pub fn of(random: &Random) -> Self {
        let second =
            |limit: u64| Duration::from_millis(u64::from_le_bytes(random.bytes()) % (limit * 1000));
        let file = Act::Upload {
            key: "uploads/people.csv".to_owned(),
            csv: FILE_CSV.clone(),
            options: BTreeMap::new(),
        };
        let refuses = if random.bytes::<1>()[0] < 128 {
            BOUNCES
        } else {
            COMPLAINS
        };
        let acts = vec![
            (second(5), Act::SignUp(STAYS)),
            (second(5), Act::SignUp(STAYS)),
            (second(5), Act::SignUp(MOVES)),
            (second(5), Act::SignUp(LEAVES)),
            (second(5), Act::SignUp(WAITS)),
            (second(300), Act::Resend(WAITS)),
            (second(60), Act::Create(MADE)),
            (second(60), Act::SignUp(refuses)),
            (second(900), Act::Resend(refuses)),
            (second(20), file),
            (second(5), sign_up_as(TWICE, "First")),
            (second(600), sign_up_as(TWICE, "Second")),
            (second(600), Act::Resend(TWICE)),
            (second(5), sign_up_as(TAKEN, "First")),
            (second(600), sign_up_as(TAKEN, "Second")),
            (second(5), sign_up_as(KEPT, "First")),
            (second(600), sign_up_as(KEPT, "Second")),
        ];
        let leave = if random.bytes::<1>()[0] < 128 {
            Act::Erase(LEAVES.to_owned())
        } else {
            Act::Disown(LEAVES)
        };
        let moving = Act::Move {
            from: MOVES,
            to: MOVED,
        };
        let mut then = vec![
            (Act::SignUp(STAYS), second(60), Act::Confirm(STAYS)),
            (Act::SignUp(MOVES), second(60), Act::Confirm(MOVES)),
            (Act::SignUp(MOVES), second(90), moving.clone()),
            (moving, second(60), Act::Confirm(MOVED)),
            (Act::SignUp(LEAVES), second(30), leave),
            (sign_up_as(TWICE, "First"), second(900), Act::Confirm(TWICE)),
            (sign_up_as(TAKEN, "First"), second(900), Act::Create(TAKEN)),
            (
                sign_up_as(KEPT, "First"),
                second(900),
                Act::Edit(KEPT.to_owned()),
            ),
        ];
        // A confirmation would put right what the operator's change left.
        if random.bytes::<1>()[0] < 128 {
            let confirm = Act::Confirm(KEPT);
            then.push((Act::Edit(KEPT.to_owned()), second(60), confirm));
        }
        // Spam it was not: the link works before the complaint and after it.
        if refuses == COMPLAINS && random.bytes::<1>()[0] < 128 {
            then.push((Act::SignUp(refuses), second(600), Act::Confirm(refuses)));
        }
        let rules = vec![Rule::new(
            "the counts of an import are its rows",
            counts_are_rows,
        )];
        Self { acts, then, rules }
    }
}

const fn sign_up_as(address: &'static str, name: &'static str) -> Act {
    Act::SignUpAs { address, name }
}

impl Story {
    /// A file that turns out to be broken when some of its chunks are being
    /// imported already: a quote is opened and never closed.
    pub fn of_a_broken_file(_: &Random) -> Self {
        let mut csv = FILE_CSV.clone();
        csv.extend_from_slice(b"\"never closed");
        csv.resize(csv.len() + 2 * LINE, b'x');
        let key = "uploads/broken.csv".to_owned();
        let options = BTreeMap::new();
        Self {
            acts: vec![(Duration::ZERO, Act::Upload { key, csv, options })],
            then: Vec::new(),
            rules: Vec::new(),
        }
    }
}

/// The file that a story drops.
pub static FILE_CSV: LazyLock<Vec<u8>> = LazyLock::new(csv);

/// A hundred rows: in several chunks, with addresses that repeat across them,
/// quoted line breaks, and bad ones.
fn csv() -> Vec<u8> {
    let mut csv = "email,name,note\n".to_owned();
    for row in 0..FILE.total {
        csv.push_str(&match row {
            _ if row % 17 == 5 => format!("bad{row},Bad,\n"),
            _ if row % 10 == 9 => format!("row{}@example.com,Again,\n", row - 9),
            _ => format!("row{row}@example.com,\"Row\",\"two\nlines\"\n"),
        });
    }
    csv.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_rows_that_it_says() {
        let text = csv();
        let mut reader = csv::Reader::from_reader(&text[..]);
        let (mut total, mut bad, mut repeated) = (0, 0, 0);
        let mut seen = std::collections::HashSet::new();
        for record in reader.records() {
            let address = record.unwrap()[0].to_owned();
            total += 1;
            if !address.contains('@') {
                bad += 1;
            } else if !seen.insert(address) {
                repeated += 1;
            }
        }
        assert_eq!(
            Rows {
                total,
                bad,
                repeated
            },
            FILE
        );
    }
}
