//! What the columns of a CSV mean.
//!
//! One column is called `email`, one may be called `name` and one `locale` (in
//! any case, with or without white space around it); every other column is an
//! attribute of its name.
//!
//! A report of refused rows is such a file, too: the four columns that were put
//! behind the file's own are passed over, and what was defused is restored.

use crate::csv::formula::restored;
use crate::failure_reason::FailureReason;
use muster_core::people::person::{MAX_ATTRIBUTES, attribute_name};

/// What a report of refused rows has behind the columns of the file.
pub const REPORT_COLUMNS: [&str; 4] = ["error_line", "error_column", "error_code", "error_message"];

/// The columns of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    names: Vec<String>,
    email: usize,
    name: Option<usize>,
    locale: Option<usize>,
    is_report: bool,
}

impl Header {
    /// Reads the first record of a file.
    ///
    /// # Errors
    /// `not_text`, `no_email_column`, `invalid_header`: why the file cannot
    /// be imported.
    pub fn parse<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, FailureReason> {
        let mut names = fields
            .into_iter()
            .map(text)
            .collect::<Result<Vec<_>, _>>()?;
        if is_report(&names) {
            for name in &mut names {
                *name = restored(name).into_owned();
            }
        }
        Self::of_names(names)
    }

    /// The columns with these names.
    ///
    /// # Errors
    /// `no_email_column`, `invalid_header`.
    pub fn of_names(names: Vec<String>) -> Result<Self, FailureReason> {
        let email = position(&names, "email")?.ok_or_else(|| {
            FailureReason::new(
                "no_email_column",
                "the first row must name the columns, and one of them must be email",
            )
        })?;
        let header = Self {
            email,
            name: position(&names, "name")?,
            locale: position(&names, "locale")?,
            is_report: is_report(&names),
            names,
        };
        header.check_attributes()?;
        Ok(header)
    }

    /// The names, in the file's order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether the file is the report of another import.
    pub const fn is_report(&self) -> bool {
        self.is_report
    }

    /// How many columns are the file's own.
    pub fn width(&self) -> usize {
        match self.is_report {
            true => self.names.len() - REPORT_COLUMNS.len(),
            false => self.names.len(),
        }
    }

    /// Which column has the addresses.
    pub const fn email(&self) -> usize {
        self.email
    }

    /// Which column has the names.
    pub const fn name(&self) -> Option<usize> {
        self.name
    }

    /// Which column has the languages that people are written to in.
    pub const fn locale(&self) -> Option<usize> {
        self.locale
    }

    /// The other columns.
    pub fn attributes(&self) -> impl Iterator<Item = (usize, &str)> {
        self.names[..self.width()]
            .iter()
            .enumerate()
            .filter(|(index, _)| !self.is_special(*index))
            .map(|(index, name)| (index, name.as_str()))
    }

    fn is_special(&self, index: usize) -> bool {
        index == self.email || [self.name, self.locale].contains(&Some(index))
    }

    fn check_attributes(&self) -> Result<(), FailureReason> {
        for (index, name) in self.attributes() {
            let number = index + 1;
            if let Err(violation) = attribute_name(name) {
                return Err(invalid(format!("column {number}: {}", violation.detail)));
            }
            if self.names[..index].contains(&self.names[index]) {
                return Err(invalid(format!(
                    "column {number} has the name of an earlier one"
                )));
            }
        }
        let count = self.attributes().count();
        if count > MAX_ATTRIBUTES {
            return Err(invalid(format!(
                "{count} columns besides email, name and locale; a profile has at most {MAX_ATTRIBUTES} attributes"
            )));
        }
        Ok(())
    }
}

fn is_report(names: &[String]) -> bool {
    names.ends_with(&REPORT_COLUMNS.map(str::to_owned))
}

fn invalid(detail: String) -> FailureReason {
    FailureReason::new("invalid_header", detail)
}

/// A column's name without the white space around it.
fn text(field: &[u8]) -> Result<String, FailureReason> {
    match std::str::from_utf8(field) {
        Ok(text) if !text.contains('\0') => Ok(text.trim().to_owned()),
        _ => Err(FailureReason::new(
            "not_text",
            "the file is not text in UTF-8; save it as CSV in UTF-8 and upload it again",
        )),
    }
}

/// The one column called that.
fn position(names: &[String], wanted: &str) -> Result<Option<usize>, FailureReason> {
    let mut found = names
        .iter()
        .enumerate()
        .filter(|(_, name)| name.eq_ignore_ascii_case(wanted))
        .map(|(index, _)| index);
    let first = found.next();
    if let Some(second) = found.next() {
        return Err(invalid(format!(
            "column {} is a second {wanted} column",
            second + 1
        )));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &[&str]) -> Result<Header, FailureReason> {
        Header::parse(names.iter().map(|name| name.as_bytes()))
    }

    #[test]
    fn columns_are_found_in_any_order_and_case() {
        let header = header(&["Team", " E-Mail ", "EMAIL ", "Name", " Locale"]).unwrap();
        assert_eq!(header.email(), 2);
        assert_eq!(header.name(), Some(3));
        assert_eq!(header.locale(), Some(4));
        assert_eq!(
            header.attributes().collect::<Vec<_>>(),
            [(0, "Team"), (1, "E-Mail")]
        );
    }

    #[test]
    fn a_report_is_a_file_like_the_one_it_is_about() {
        let own = ["email", "'=team"];
        let names: Vec<&str> = own.into_iter().chain(REPORT_COLUMNS).collect();
        let report = header(&names).unwrap();
        assert!(report.is_report());
        assert_eq!(report.width(), 2);
        assert_eq!(report.attributes().collect::<Vec<_>>(), [(1, "=team")]);
        let stored = Header::of_names(report.names().to_vec()).unwrap();
        assert_eq!(stored, report);
        let plain = header(&["email", "'=team", "error_line"]).unwrap();
        assert_eq!((plain.is_report(), plain.width()), (false, 3));
        assert_eq!(plain.attributes().count(), 2);
    }

    #[test]
    fn a_file_may_have_as_many_columns_as_a_profile_attributes() {
        let attributes: Vec<String> = (0..MAX_ATTRIBUTES).map(|n| format!("a{n}")).collect();
        let names = ["email", "name", "locale"].into_iter();
        let names: Vec<&str> = names.chain(attributes.iter().map(String::as_str)).collect();
        let most = header(&names).unwrap();
        assert_eq!(most.attributes().count(), MAX_ATTRIBUTES);
    }

    #[test]
    fn a_header_that_cannot_be_used_says_why() {
        let many: Vec<String> = (0..=MAX_ATTRIBUTES).map(|n| format!("a{n}")).collect();
        let many: Vec<&str> = ["email"]
            .into_iter()
            .chain(many.iter().map(String::as_str))
            .collect();
        for (names, code, detail) in [
            (&["mail", "name"][..], "no_email_column", "email"),
            (
                &["email", "Email"],
                "invalid_header",
                "column 2 is a second email",
            ),
            (
                &["email", "name", "NAME"],
                "invalid_header",
                "column 3 is a second name",
            ),
            (
                &["email", "locale", "LOCALE"],
                "invalid_header",
                "column 3 is a second locale",
            ),
            (
                &["email", "a", "a"],
                "invalid_header",
                "column 3 has the name",
            ),
            (&["email", ""], "invalid_header", "column 2"),
            (&["email", "a\u{0}"], "not_text", "UTF-8"),
            (&many, "invalid_header", "at most 50"),
        ] {
            let reason = header(names).unwrap_err();
            assert_eq!(reason.code, code, "{names:?}");
            assert!(reason.detail.contains(detail), "{}", reason.detail);
        }
        let reason = Header::parse([&b"\xff\xfee\0m\0"[..]]).unwrap_err();
        assert_eq!(reason.code, "not_text");
    }
}
