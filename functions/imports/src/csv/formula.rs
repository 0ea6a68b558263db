//! Cells that a spreadsheet would take for a formula.
//!
//! A report of refused rows has whatever strangers wrote into them, and is opened
//! in a spreadsheet: `=HYPERLINK(…)` must not come to life there (OWASP, "CSV
//! Injection"). So such a cell gets an apostrophe in front, which spreadsheets
//! take for "this is text", and loses it when the report is uploaded again.
//!
//! A spreadsheet need not cut the file where we do. Where a comma is the decimal
//! sign, Excel splits a CSV file at semicolons, whatever is quoted: of
//! `ada,"x;=1+1"` the second cell is `=1+1"`. Text that is pasted is split at tabs
//! and line breaks. So the text behind each of these is a cell of its own here,
//! too. Quotes and white space in front of a formula are passed over, as a
//! spreadsheet may take them away.
//!
//! Numbers are left alone, those of telephones too (`+44 20 7946 0958`): nothing
//! in them can do anything. But they must be all of the cell: a cell that is cut
//! elsewhere goes on with the next one (`+44,5+cmd|…`).

use std::borrow::Cow;

/// What a formula starts with: OWASP's list, with the full-width forms.
const STARTS: [char; 8] = [
    '=', '+', '-', '@', '\u{FF1D}', '\u{FF0B}', '\u{FF0D}', '\u{FF20}',
];
/// What OWASP has a cell defused for that starts with it.
const BLANK_STARTS: [char; 3] = ['\t', '\r', '\n'];
/// Where a spreadsheet may cut a cell in two.
const SEPARATORS: [char; 4] = [';', '\t', '\r', '\n'];

/// The cell as text that is no formula.
pub fn defused(cell: &str) -> Cow<'_, str> {
    match is_number(cell) {
        true => cell.into(),
        false => defused_first(cell),
    }
}

/// The same for the first cell of a row, where even a number is one that may be
/// cut elsewhere: what comes before it is a line break.
pub fn defused_first(cell: &str) -> Cow<'_, str> {
    if !pieces(cell).any(|(is_first, piece)| is_formula(piece, is_first)) {
        return cell.into();
    }
    let defuse = |(is_first, piece)| match is_formula(piece, is_first) {
        true => ["'", piece],
        false => ["", piece],
    };
    pieces(cell).flat_map(defuse).collect()
}

/// The cell as it was before it was [`defused`].
pub fn restored(cell: &str) -> Cow<'_, str> {
    if !cell.contains('\'') {
        return cell.into();
    }
    let restore = |(is_first, piece): (bool, _)| match str::strip_prefix(piece, '\'') {
        Some(rest) if is_formula(rest, is_first) => rest,
        _ => piece,
    };
    pieces(cell).map(restore).collect()
}

/// What may be cells of their own, each with the separator behind it, and whether
/// it is the first.
fn pieces(cell: &str) -> impl Iterator<Item = (bool, &str)> {
    let pieces = cell.split_inclusive(SEPARATORS).enumerate();
    pieces.map(|(index, piece)| (index == 0, piece))
}

/// Whatever apostrophes are there already: one more is to be told from them.
fn is_formula(piece: &str, is_first: bool) -> bool {
    let passed_over = |c: char| c.is_whitespace() || c.is_control() || "'\"\u{FEFF}".contains(c);
    let is_blank = || piece.trim_start_matches('\'').starts_with(BLANK_STARTS);
    piece.trim_start_matches(passed_over).starts_with(STARTS) || (is_first && is_blank())
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
    use proptest::prelude::*;

    #[test]
    fn formulas_become_text_and_come_back() {
        for cell in [
            "=1+1",
            "=HYPERLINK(\"https://evil.example\")",
            "+cmd|' /C calc'!A0",
            "-2+3+cmd|' /C calc'!A0",
            "@SUM(1)",
            "\tx",
            "\rx",
            "＝1+1",
            " =1+1",
            "\"=1+1\"",
            "\u{FEFF}=1",
            "'=1",
            "''@x",
            "'+44 20",
        ] {
            assert_eq!(defused(cell), format!("'{cell}"));
            assert_eq!(restored(&defused(cell)), cell);
        }
    }

    #[test]
    fn a_formula_inside_a_cell_is_defused_where_it_starts() {
        for (cell, expected) in [
            ("x;=1+1", "x;'=1+1"),
            ("x; =1+1", "x;' =1+1"),
            ("x;\"=1+1\";y", "x;'\"=1+1\";y"),
            ("x;;@a;'=b", "x;;'@a;''=b"),
            ("x\t=1+1", "x\t'=1+1"),
            ("\t=1", "'\t'=1"),
            ("a\r\n=1\n\nb", "a\r\n'=1\n\nb"),
            ("=1;=2", "'=1;'=2"),
            ("x;+44 20", "x;'+44 20"),
            ("+1-,5;", "'+1-,5;"),
        ] {
            assert_eq!(defused(cell), expected);
            assert_eq!(restored(expected), cell);
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
            "a; b",
            "one\ntwo\n\nthree\n",
            "",
        ] {
            assert_eq!(defused(cell), cell);
            assert_eq!(restored(cell), cell);
        }
    }

    #[test]
    fn a_number_that_is_the_first_of_a_row_is_defused() {
        assert_eq!(defused_first("+44 20"), "'+44 20");
        assert_eq!(restored("'+44 20"), "+44 20");
        assert_eq!(defused_first("44 20"), "44 20");
    }

    /// As they were written before cells were looked at inside.
    #[test]
    fn an_older_report_is_restored_too() {
        for (cell, expected) in [("'=1", "=1"), ("'\t=1", "\t=1"), ("'\tx", "\tx")] {
            assert_eq!(restored(cell), expected);
        }
    }

    /// Texts of what matters here, so that it meets often.
    fn cells() -> impl Strategy<Value = String> {
        prop_oneof!["[;\t\r\n'\" =+@a1,-]{0,12}", "\\PC{0,12}"]
    }

    /// What a spreadsheet that cuts there finds.
    fn lives(cell: &str) -> bool {
        let mut found = cell.split(SEPARATORS);
        found.any(|piece| piece.trim_start_matches([' ', '"']).starts_with(STARTS))
    }

    proptest! {
        #[test]
        fn any_cell_comes_back_as_it_was(cell in cells()) {
            for defused in [defused(&cell), defused_first(&cell)] {
                prop_assert_eq!(&restored(&defused), &cell, "{:?}", defused);
            }
        }

        #[test]
        fn no_cell_lives_wherever_it_is_cut(cell in cells()) {
            prop_assert!(!lives(&defused_first(&cell)));
            prop_assert!(!lives(&defused(&cell)) || is_number(&cell));
        }
    }
}
