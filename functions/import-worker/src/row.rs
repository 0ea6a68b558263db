//! One record to one profile, or to what is wrong with it.

use std::borrow::Cow;
use std::fmt;

use muster_core::people::email::Email;
use muster_core::people::locale::Locale;
use muster_core::people::new_profile::NewProfile;
use muster_core::people::person::{Attributes, Name};
use muster_core::people::source::Source;
use muster_core::people::validation::Violation;
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::{ImportId, ProfileId};
use muster_core::platform::time::Time;
use muster_imports::csv::formula::restored;
use muster_imports::csv::header::Header;
use muster_imports::csv::records::Record;
use muster_imports::import::ImportItem;
use muster_imports::options::Confirm;

/// Who makes and changes the profiles of rows.
pub(crate) const CREATED_BY: &str = "import";
/// The code of a row with too many or too few fields.
const WRONG_FIELD_COUNT: &str = "wrong_field_count";
/// The code of a row with a field that is not text.
const NOT_UTF8: &str = "not_utf8";
/// Which of a report's columns has the code.
const ERROR_CODE: usize = 2;

/// A record that was refused.
#[derive(Clone, PartialEq, Eq)]
pub struct BadRow {
    /// The line it starts on.
    pub line: u64,
    /// Every rule that it breaks, at least one.
    pub errors: Vec<RowError>,
    /// The record as it was.
    pub fields: Vec<Vec<u8>>,
}

/// A rule that a row breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The column that breaks it; none if the row as a whole does.
    pub column: Option<String>,
    /// Which rule.
    pub violation: Violation,
}

/// Personal data: what is in the row does not reach a log.
impl fmt::Debug for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BadRow")
            .field("line", &self.line)
            .field("errors", &self.errors)
            .finish_non_exhaustive()
    }
}

/// Reads records of one import.
#[derive(Debug, Clone)]
pub(crate) struct RowReader {
    import: ImportId,
    header: Header,
    confirmed: bool,
}

impl RowReader {
    /// A reader of that import's rows.
    ///
    /// # Errors
    /// When the header cannot be understood.
    pub(crate) fn of(import: &ImportItem) -> Result<Self, Failure> {
        let confirmed = import.options.confirm == Confirm::MarkConfirmed;
        Ok(Self::new(import.id, import.columns()?, confirmed))
    }

    /// A reader of the rows of a file with that header.
    pub(crate) const fn new(import: ImportId, header: Header, confirmed: bool) -> Self {
        Self {
            import,
            header,
            confirmed,
        }
    }

    /// The columns.
    pub(crate) const fn header(&self) -> &Header {
        &self.header
    }

    /// The name of the column that the addresses are in.
    pub(crate) fn email(&self) -> &str {
        &self.header.names()[self.header.email()]
    }

    /// The profile that a record asks for. Empty fields count as missing.
    ///
    /// # Errors
    /// The record, and every rule that it breaks: whoever corrects it once should
    /// have corrected it.
    pub(crate) fn read(&self, record: &Record<'_>, now: Time) -> Result<NewProfile, Box<BadRow>> {
        self.profile(record, now).map_err(|errors| {
            let errors = errors.into_iter().map(|(column, violation)| RowError {
                column: column.map(|index| self.header.names()[index].clone()),
                violation,
            });
            Box::new(BadRow {
                line: record.line,
                errors: errors.collect(),
                fields: self.own_fields(record),
            })
        })
    }

    /// The fields as they were before anybody put a reason behind them.
    pub(crate) fn own_fields(&self, record: &Record<'_>) -> Vec<Vec<u8>> {
        let own = record.fields().take(self.header.width());
        let fields = own.chain(record.fields().skip(self.header.names().len()));
        fields
            .map(|field| match std::str::from_utf8(field) {
                Ok(text) if self.header.is_report() => restored(text).into_owned().into_bytes(),
                _ => field.to_vec(),
            })
            .collect()
    }

    fn profile(&self, record: &Record<'_>, now: Time) -> Result<NewProfile, Vec<At>> {
        self.check_width(record).map_err(|error| vec![error])?;
        let mut errors = Errors::default();
        let texts = self.texts(record, &mut errors);
        let fields: Vec<_> = texts.iter().map(Option::as_deref).collect();
        self.check_corrected(&fields).map_err(|error| vec![error])?;
        let column = self.header.email();
        let email = fields[column].and_then(|text| errors.keep(column, Email::parse(text)));
        let name = errors.optional(&fields, self.header.name(), Name::parse);
        let locale = errors.optional(&fields, self.header.locale(), Locale::parse);
        let attributes = self.attributes(&fields, &mut errors);
        let (Some(email), Some(attributes), true) = (email, attributes, errors.0.is_empty()) else {
            return Err(errors.in_order());
        };
        Ok(NewProfile {
            id: ProfileId::imported(self.import, email.key()),
            attributes,
            email,
            name,
            locale,
            source: Source::Import,
            created_by: CREATED_BY.to_owned(),
            row: Some((self.import, record.line)),
            confirmed: self.confirmed,
            now,
        })
    }

    /// A row with another number of fields has values in the wrong columns: what
    /// else is wrong with them says nothing.
    fn check_width(&self, record: &Record<'_>) -> Result<(), At> {
        let (expected, found) = (self.header.names().len(), record.fields().len());
        if found == expected {
            return Ok(());
        }
        let detail = format!("the row has {found} fields, the header has {expected}");
        Err((None, Violation::new(WRONG_FIELD_COUNT, detail)))
    }

    /// What a report cannot show as it was, it cannot show to be put right either:
    /// there a row has as many fields as the others, and is text.
    fn check_corrected(&self, fields: &[Option<&str>]) -> Result<(), At> {
        if !self.header.is_report() {
            return Ok(());
        }
        let given = fields[self.header.width() + ERROR_CODE].unwrap_or_default();
        let (code, detail) = if given.contains(WRONG_FIELD_COUNT) {
            (WRONG_FIELD_COUNT, "the row had too many or too few fields")
        } else if given.contains(NOT_UTF8) {
            (
                NOT_UTF8,
                "the row had characters that are not shown as they were",
            )
        } else {
            return Ok(());
        };
        let detail = format!("{detail}; put them right, and empty error_code");
        Err((None, Violation::new(code, detail)))
    }

    /// The fields that are text; the others are errors.
    fn texts<'a>(&self, record: &Record<'a>, errors: &mut Errors) -> Vec<Option<Cow<'a, str>>> {
        let text = |(column, field): (usize, &'a [u8])| {
            let text = std::str::from_utf8(field)
                .map_err(|_| Violation::new(NOT_UTF8, "the field is not text in UTF-8"));
            let text = errors.keep(column, text)?;
            Some(match self.header.is_report() {
                true => restored(text),
                false => text.into(),
            })
        };
        record.fields().enumerate().map(text).collect()
    }

    fn attributes(&self, fields: &[Option<&str>], errors: &mut Errors) -> Option<Attributes> {
        let columns = self.header.attributes();
        let given = columns.filter_map(|(column, name)| {
            let value = fields[column].filter(|value| !value.is_empty())?;
            Some((name.to_owned(), value.to_owned()))
        });
        let attributes = Attributes::parse(given);
        attributes
            .map_err(|violations| {
                let names = self.header.names();
                let column = |name: String| names.iter().position(|column| *column == name);
                let found = violations.into_iter();
                errors
                    .0
                    .extend(found.map(|(name, violation)| (column(name), violation)));
            })
            .ok()
    }
}

/// Where a rule is broken, and which.
type At = (Option<usize>, Violation);

/// The rules that a row breaks.
#[derive(Default)]
struct Errors(Vec<At>);

impl Errors {
    /// Keeps what is wrong with a column.
    fn keep<T>(&mut self, column: usize, parsed: Result<T, Violation>) -> Option<T> {
        let kept = parsed.map_err(|violation| self.0.push((Some(column), violation)));
        kept.ok()
    }

    /// The field of a column that may be missing, or empty, through its parser.
    fn optional<T>(
        &mut self,
        fields: &[Option<&str>],
        column: Option<usize>,
        parse: impl FnOnce(&str) -> Result<T, Violation>,
    ) -> Option<T> {
        let column = column?;
        let text = fields[column]?.trim();
        match text.is_empty() {
            true => None,
            false => self.keep(column, parse(text)),
        }
    }

    /// As the columns are in the file; what is wrong with the row as a whole first.
    fn in_order(mut self) -> Vec<At> {
        self.0.sort_by_key(|(column, _)| *column);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_imports::csv::header::REPORT_COLUMNS;
    use muster_imports::csv::records::{Limits, Records};

    fn read(row: &[u8]) -> Result<NewProfile, Box<BadRow>> {
        let header = Header::parse([&b"email"[..], b"name", b"team", b"Locale"]).unwrap();
        let reader = RowReader::new(ImportId::of_event("b", "k", "1"), header, false);
        let mut records = Records::resume(100, 7, Limits::NONE);
        let mut input = row;
        let record = records.next(&mut input).unwrap().unwrap();
        reader.read(&record, Time::from_millis(0))
    }

    #[test]
    fn a_row_becomes_a_profile_of_its_line() {
        let profile =
            read(b"Ada@Example.com,Ada Lovelace,\"engines, analytical\", EN-gb \n").unwrap();
        assert_eq!(profile.email.as_str(), "Ada@Example.com");
        assert_eq!(profile.name.unwrap().as_str(), "Ada Lovelace");
        assert_eq!(profile.locale.unwrap().as_str(), "en-GB");
        assert_eq!(profile.attributes.as_map().len(), 1);
        assert_eq!(profile.attributes.as_map()["team"], "engines, analytical");
        assert_eq!(profile.row.unwrap().1, 7);
    }

    #[test]
    fn a_report_says_which_rows_were_not_put_right() {
        let names = ["email", "name"].into_iter().chain(REPORT_COLUMNS);
        let header = Header::parse(names.map(str::as_bytes)).unwrap();
        let reader = RowReader::new(ImportId::of_event("b", "k", "1"), header, false);
        let read = |row: &[u8]| {
            let mut records = Records::resume(100, 7, Limits::NONE);
            let mut input = row;
            let record = records.next(&mut input).unwrap().unwrap();
            reader.read(&record, Time::from_millis(0))
        };
        let profile = read(b"ada@example.com,'=1+1,3,email,invalid_email,bad\n").unwrap();
        assert_eq!(profile.name.unwrap().as_str(), "=1+1");
        let bad = read(b"ada@example.com,Ada,3,,wrong_field_count,too many: x\n").unwrap_err();
        assert_eq!(bad.errors[0].violation.code, "wrong_field_count");
        assert_eq!(bad.fields, [&b"ada@example.com"[..], b"Ada"]);
        assert!(read(b"ada@example.com,Ada,3,,,too many: x\n").is_ok());
        let bad = read("ada@example.com,J\u{FFFD}rg,3,name,not_utf8,bad\n".as_bytes()).unwrap_err();
        assert_eq!(bad.errors[0].violation.code, "not_utf8");
        let bad = read(b"ada,Ada,3,email | name,invalid_email | not_utf8,bad\n").unwrap_err();
        assert_eq!(bad.errors[0].violation.code, "not_utf8");
    }

    #[test]
    fn every_fault_of_a_row_is_named() {
        let wide = "x".repeat(1025);
        let row = [b"ada,\xff,".as_slice(), wide.as_bytes(), b",German\n"].concat();
        let bad = read(&row).unwrap_err();
        let found: Vec<_> = bad
            .errors
            .iter()
            .map(|error| (error.column.as_deref(), error.violation.code))
            .collect();
        assert_eq!(
            found,
            [
                (Some("email"), "invalid_email"),
                (Some("name"), "not_utf8"),
                (Some("team"), "attribute_too_long"),
                (Some("Locale"), "invalid_locale"),
            ]
        );
    }

    #[test]
    fn empty_fields_are_missing_ones() {
        let profile = read(b"ada@example.com, ,, \n").unwrap();
        assert!(profile.name.is_none());
        assert!(profile.locale.is_none());
        assert!(profile.attributes.as_map().is_empty());
    }

    #[test]
    fn the_same_address_gets_the_same_id() {
        assert_eq!(
            read(b"ada@example.com,,,\n").unwrap().id,
            read(b"ADA@example.com,Ada,,\n").unwrap().id
        );
    }

    #[test]
    fn what_is_wrong_is_said_of_its_column() {
        let long = format!("ada@example.com,{},,\n", "x".repeat(201));
        let wide = format!("ada@example.com,Ada,{},\n", "x".repeat(1025));
        for (row, column, code) in [
            (&b",Ada,,\n"[..], Some("email"), "missing_email"),
            (b"ada,Ada,,\n", Some("email"), "invalid_email"),
            (
                b"ada@example.com,\"Ada\r\nBcc: all\",,\n",
                Some("name"),
                "invalid_name",
            ),
            (long.as_bytes(), Some("name"), "name_too_long"),
            (wide.as_bytes(), Some("team"), "attribute_too_long"),
            (b"ada@example.com,Ada,\xff,\n", Some("team"), "not_utf8"),
            (
                b"ada@example.com,Ada,,German\n",
                Some("Locale"),
                "invalid_locale",
            ),
            (
                b"ada@example.com,Ada,,de_AT\n",
                Some("Locale"),
                "invalid_locale",
            ),
            (
                b"ada@example.com,Ada,,../de\n",
                Some("Locale"),
                "invalid_locale",
            ),
            (b"ada@example.com,Ada\n", None, "wrong_field_count"),
            (b"ada@example.com,Ada,x,de,y\n", None, "wrong_field_count"),
        ] {
            let bad = read(row).unwrap_err();
            let [error] = &bad.errors[..] else {
                panic!("one error: {bad:?}");
            };
            assert_eq!(
                (error.column.as_deref(), error.violation.code, bad.line),
                (column, code, 7)
            );
        }
    }
}
