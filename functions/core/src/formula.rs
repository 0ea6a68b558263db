//! Cells that a spreadsheet would take for a formula.
//!
//! A report of refused rows has whatever strangers wrote into them, and is opened
//! in a spreadsheet: `=HYPERLINK(…)` must not come to life there (OWASP, "CSV
//! Injection"). So such a cell gets an apostrophe in front, which spreadsheets
//! take for "this is text", and loses it when the report is uploaded again.
//!
//! Numbers are left alone, those of telephones too (`+44 20 7946 0958`): nothing
//! in them can do anything.

use std::borrow::Cow;

/// What a formula starts with: OWASP's list, with the full-width forms.
const STARTS: [char; 11] = [
    '=', '+', '-', '@', '\t', '\r', '\n', '\u{FF1D}', '\u{FF0B}', '\u{FF0D}', '\u{FF20}',
];

/// The cell as text that is no formula.
pub fn defused(cell: &str) -> Cow<'_, str> {
    if starts_like_one(cell) && !is_number(cell) {
        format!("'{cell}").into()
    } else {
        cell.into()
    }
}

/// The cell as it was before it was [`defused`].
pub fn restored(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if starts_like_one(rest) => rest,
        _ => cell,
    }
}

/// Whatever apostrophes are there already: one more is to be told from them.
fn starts_like_one(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(STARTS)
}

fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix(['+', '-']).unwrap_or(cell);
    digits.contains(|c: char| c.is_ascii_digit())
        && digits
            .chars()
            .all(|c| c.is_ascii_digit() || " ().-/,".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_become_text_and_come_back() {
        for cell in [
            "=1+1",
            "=HYPERLINK(\"https://evil.example\")",
            "+cmd|' /C calc'!A0",
            "-2+3+cmd|' /C calc'!A0",
            "@SUM(1)",
            "\t=1",
            "\r=1",
            "＝1+1",
            "'=1",
            "''@x",
            "'+44 20",
        ] {
            assert_eq!(defused(cell), format!("'{cell}"));
            assert_eq!(restored(&defused(cell)), cell);
        }
    }

    #[test]
    fn numbers_and_words_stay() {
        for cell in [
            "+44 20 7946 0958",
            "+1 (555) 123-4567",
            "-5",
            "+3.14",
            "ada@example.com",
            "O'Brien",
            "'tis",
            "",
        ] {
            assert_eq!(defused(cell), cell);
            assert_eq!(restored(cell), cell);
        }
    }
}
