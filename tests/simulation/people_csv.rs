//! The CSV that is uploaded among the people of a run, and what its import must count.

use std::sync::LazyLock;

use muster_core::platform::table::Item;

use crate::invariants::{number, of_kind, text};
use crate::state::Shared;

/// How many rows a file has, and what an import makes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// All rows.
    pub total: u64,
    /// Rows that are refused.
    pub bad: u64,
    /// Rows whose address an earlier row has.
    pub repeated: u64,
}

/// The rows of [`FILE_CSV`].
pub const FILE: Rows = Rows {
    total: 100,
    bad: 6,
    repeated: 8,
};

/// The file.
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

/// The invariant that the counts of the import are those of [`FILE`].
pub fn counts_are_rows(_: &Shared, items: &[Item]) -> Vec<String> {
    let imports: Vec<_> = of_kind(items, "IMPORT#", "IMPORT").collect();
    let mut findings = Vec::new();
    if imports.len() != 1 {
        findings.push(format!(
            "one file was dropped, {} imports are there",
            imports.len()
        ));
    }
    for import in imports {
        let pk = text(import, "pk");
        if text(import, "status") != "completed_with_errors" {
            findings.push(format!("{pk} is {}", text(import, "status")));
        }
        let counts = import
            .get("counts")
            .and_then(|value| value.as_m().ok())
            .cloned()
            .unwrap_or_default();
        let found = ["created", "skipped", "failed"].map(|kind| number(&counts, kind));
        let expected = [
            FILE.total - FILE.bad - FILE.repeated,
            FILE.repeated,
            FILE.bad,
        ];
        if found != expected {
            findings.push(format!(
                "{pk}: created, skipped, failed are {found:?}, not {expected:?}"
            ));
        }
        let profiles = of_kind(items, "PROFILE#", "PROFILE")
            .filter(|profile| text(profile, "source") == "import");
        if profiles.count() as u64 != found[0] {
            findings.push(format!("{pk} counts other profiles than there are"));
        }
    }
    findings
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
