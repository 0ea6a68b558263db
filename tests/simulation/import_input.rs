//! What the imports of the scenarios are given: options, and the rows of a CSV.

use std::collections::{BTreeMap, BTreeSet};

/// A row of the file.
#[derive(Debug, Clone)]
pub struct Row {
    /// The line of the file that it starts on.
    pub line: u64,
    /// Absent in a row that is refused whatever happens.
    pub address: Option<String>,
    /// The name that it gives; empty if it gives none.
    pub name: String,
}

/// What an import is given.
#[derive(Debug, Clone)]
pub struct ImportInput {
    /// The options, by their names in the API.
    pub options: BTreeMap<&'static str, String>,
    /// The rows of the file, in their order.
    pub rows: Vec<Row>,
}

impl ImportInput {
    /// Whether an option has that value.
    pub fn is(&self, option: &str, value: &str) -> bool {
        self.options.get(option).is_some_and(|found| found == value)
    }

    /// The lines of the rows that are refused whatever happens.
    pub fn bad(&self) -> impl Iterator<Item = u64> + '_ {
        let bad = self.rows.iter().filter(|row| row.address.is_none());
        bad.map(|row| row.line)
    }

    /// The rows with that address, in their order.
    pub fn rows_of<'p>(&'p self, address: &'p str) -> impl Iterator<Item = &'p Row> {
        let rows = self.rows.iter();
        rows.filter(move |row| row.address.as_deref() == Some(address))
    }

    /// Every address of the file, once.
    pub fn addresses(&self) -> BTreeSet<&str> {
        self.rows
            .iter()
            .filter_map(|row| row.address.as_deref())
            .collect()
    }
}

/// People who sign up, do not confirm, and are in the file.
pub const PENDING: [&str; 2] = ["pending0@example.com", "pending1@example.com"];
/// Signs up, confirms, and is in the file.
pub const OWNED: &str = "owned@example.com";
/// An operator creates this profile; it is in the file, too.
pub const MADE: &str = "made@example.com";
/// Is in the file, and signs up meanwhile.
pub const LATE: &str = "row15@example.com";

/// Those who get a mail because they sign up.
pub const SIGNS_UP: [&str; 4] = [PENDING[0], PENDING[1], OWNED, LATE];

/// The address of a row, unless the row repeats or has a known one.
pub fn address(row: u64) -> String {
    format!("row{row}@example.com")
}

/// A CSV with that many rows: in several chunks, some bad, some over two lines. With
/// `repeats`, some have an address that repeats across chunks or is known already.
pub fn file(rows: u64, repeats: bool) -> (Vec<u8>, Vec<Row>) {
    let mut csv = "email,name,note\n".to_owned();
    let mut found = Vec::new();
    let mut line = 2;
    for row in 0..rows {
        let email = match row {
            _ if row % 17 == 7 => None,
            12 | 52 if repeats => Some(MADE.to_owned()),
            22 | 72 if repeats => Some(OWNED.to_owned()),
            30 | 60 if repeats => Some(PENDING[0].to_owned()),
            63 | 85 if repeats => Some(PENDING[1].to_owned()),
            _ if repeats && row % 10 == 9 => Some(address(row / 2)),
            _ => Some(address(row)),
        };
        let text = email.clone().unwrap_or(format!("=bad{row}"));
        let note = if row % 5 == 1 {
            "\"two\nlines\""
        } else {
            "one line"
        };
        let name = format!("Row {row}");
        csv.push_str(&format!("{text},{name},{note}\n"));
        found.push(Row {
            line,
            address: email,
            name,
        });
        line += if row % 5 == 1 { 2 } else { 1 };
    }
    (csv.into_bytes(), found)
}

/// A CSV of ninety rows in which eleven addresses occur three times: first without a
/// name, then with one more attribute, then with another one. One of them is of a
/// profile that an operator created, one of a sign-up.
pub fn file_of_repeats() -> (Vec<u8>, Vec<Row>) {
    let mut csv = "email,name,note,second,third\n".to_owned();
    let mut found = Vec::new();
    for row in 0..90 {
        let email = match row % 30 {
            3 => None,
            4 => Some(MADE.to_owned()),
            5 => Some(PENDING[0].to_owned()),
            other @ 0..12 => Some(address(other)),
            _ => Some(address(row)),
        };
        let text = email.clone().unwrap_or(format!("bad{row}"));
        let (name, more) = match row / 30 {
            0 => (String::new(), ","),
            1 => (format!("Row {row}"), "yes,"),
            _ => (format!("Row {row}"), ",yes"),
        };
        csv.push_str(&format!("{text},{name},note {row},{more}\n"));
        found.push(Row {
            line: row + 2,
            address: email,
            name,
        });
    }
    (csv.into_bytes(), found)
}

/// A CSV of forty chunks of the simulation's forty rows: in each, one row has an
/// address.
pub fn file_of_many_chunks() -> (Vec<u8>, Vec<Row>) {
    let mut csv = "email\n".to_owned();
    let mut rows = Vec::new();
    for line in 2..2 + 40 * 40 {
        let address = (line % 40 == 2).then(|| address(line));
        csv.push_str(address.as_deref().unwrap_or("nobody"));
        csv.push('\n');
        rows.push(Row {
            line,
            address,
            name: String::new(),
        });
    }
    (csv.into_bytes(), rows)
}
