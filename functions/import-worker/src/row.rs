//! One record to one profile, or to what is wrong with it.

use std::fmt;

use muster_core::email::Email;
use muster_core::failure::Failure;
use muster_core::formula::restored;
use muster_core::header::Header;
use muster_core::ids::{ImportId, ProfileId};
use muster_core::import::ImportItem;
use muster_core::locale::Locale;
use muster_core::options::Confirm;
use muster_core::person::{Attributes, Name};
use muster_core::profile::{NewProfile, Source};
use muster_core::records::Record;
use muster_core::time::Time;
use muster_core::violation::Violation;

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
    /// The column that breaks the rule; none if the row as a whole does.
    pub column: Option<String>,
    /// Which rule.
    pub violation: Violation,
    /// The record as it was.
    pub fields: Vec<Vec<u8>>,
}

/// Personal data: what is in the row does not reach a log.
impl fmt::Debug for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BadRow")
            .field("line", &self.line)
            .field("column", &self.column)
            .field("code", &self.violation.code)
            .finish_non_exhaustive()
    }
}

/// Reads records of one import.
#[derive(Debug, Clone)]
pub struct RowReader {
    import: ImportId,
    header: Header,
    confirmed: bool,
}

impl RowReader {
    /// A reader of that import's rows.
    ///
    /// # Errors
    /// When the header cannot be understood.
    pub fn of(import: &ImportItem) -> Result<Self, Failure> {
        let confirmed = import.options.confirm == Confirm::MarkConfirmed;
        Ok(Self::new(import.id, import.columns()?, confirmed))
    }

    /// A reader of the rows of a file with that header.
    pub const fn new(import: ImportId, header: Header, confirmed: bool) -> Self {
        Self {
            import,
            header,
            confirmed,
        }
    }

    /// The columns.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The name of the column that the addresses are in.
    pub fn email(&self) -> &str {
        &self.header.names()[self.header.email()]
    }

    /// The profile that a record asks for. Empty fields count as missing.
    ///
    /// # Errors
    /// The record, and the first rule that it breaks.
    pub fn read(&self, record: &Record<'_>, now: Time) -> Result<NewProfile, Box<BadRow>> {
        self.profile(record, now).map_err(|(column, violation)| {
            Box::new(BadRow {
                line: record.line,
                column: column.map(|index| self.header.names()[index].clone()),
                violation,
                fields: self.own_fields(record),
            })
        })
    }

    /// The fields as they were before anybody put a reason behind them.
    pub fn own_fields(&self, record: &Record<'_>) -> Vec<Vec<u8>> {
        let own = record.fields().take(self.header.width());
        let fields = own.chain(record.fields().skip(self.header.names().len()));
        fields
            .map(|field| match std::str::from_utf8(field) {
                Ok(text) if self.header.is_report() => restored(text).as_bytes().to_vec(),
                _ => field.to_vec(),
            })
            .collect()
    }

    fn profile(&self, record: &Record<'_>, now: Time) -> Result<NewProfile, At> {
        let fields = self.texts(record)?;
        self.check_corrected(&fields)?;
        let column = self.header.email();
        let email = Email::parse(fields[column]).map_err(at(column))?;
        let name = optional(&fields, self.header.name(), Name::parse)?;
        let locale = optional(&fields, self.header.locale(), Locale::parse)?;
        Ok(NewProfile {
            id: ProfileId::imported(self.import, email.key()),
            attributes: self.attributes(&fields)?,
            email,
            name,
            locale,
            source: Source::Import,
            created_by: "import".to_owned(),
            row: Some((self.import, record.line)),
            confirmed: self.confirmed,
            now,
        })
    }

    /// What a report cannot show as it was, it cannot show to be put right either:
    /// there a row has as many fields as the others, and is text.
    fn check_corrected(&self, fields: &[&str]) -> Result<(), At> {
        if !self.header.is_report() {
            return Ok(());
        }
        let given = fields[self.header.width() + ERROR_CODE];
        let (code, detail) = match given {
            WRONG_FIELD_COUNT => (WRONG_FIELD_COUNT, "the row had too many or too few fields"),
            NOT_UTF8 => (
                NOT_UTF8,
                "the row had characters that are not shown as they were",
            ),
            _ => return Ok(()),
        };
        let detail = format!("{detail}; put them right, and empty error_code");
        Err((None, Violation::new(code, detail)))
    }

    fn texts<'a>(&self, record: &Record<'a>) -> Result<Vec<&'a str>, At> {
        let (expected, found) = (self.header.names().len(), record.fields().len());
        if found != expected {
            let detail = format!("the row has {found} fields, the header has {expected}");
            return Err((None, Violation::new(WRONG_FIELD_COUNT, detail)));
        }
        record
            .fields()
            .enumerate()
            .map(|(column, field)| {
                let text = std::str::from_utf8(field).map_err(|_| {
                    at(column)(Violation::new(NOT_UTF8, "the field is not text in UTF-8"))
                })?;
                Ok(match self.header.is_report() {
                    true => restored(text),
                    false => text,
                })
            })
            .collect()
    }

    fn attributes(&self, fields: &[&str]) -> Result<Attributes, At> {
        let given = self
            .header
            .attributes()
            .filter(|(column, _)| !fields[*column].is_empty())
            .map(|(column, name)| (name.to_owned(), fields[column].to_owned()));
        Attributes::parse(given).map_err(|violations| {
            let (name, violation) = violations.into_iter().next().unwrap_or_else(|| {
                (
                    String::new(),
                    Violation::new("invalid_attribute", "an attribute is refused"),
                )
            });
            (
                self.header
                    .names()
                    .iter()
                    .position(|column| *column == name),
                violation,
            )
        })
    }
}

/// The field of a column that may be missing, or empty, through its parser.
fn optional<T>(
    fields: &[&str],
    column: Option<usize>,
    parse: impl FnOnce(&str) -> Result<T, Violation>,
) -> Result<Option<T>, At> {
    let field = column.map(|column| (column, fields[column].trim()));
    match field {
        Some((column, text)) if !text.is_empty() => parse(text).map(Some).map_err(at(column)),
        _ => Ok(None),
    }
}

/// Where a rule is broken, and which.
type At = (Option<usize>, Violation);

fn at(column: usize) -> impl FnOnce(Violation) -> At {
    move |violation| (Some(column), violation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::header::REPORT_COLUMNS;
    use muster_core::records::{Limits, Records};

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
        assert_eq!(bad.violation.code, "wrong_field_count");
        assert_eq!(bad.fields, [&b"ada@example.com"[..], b"Ada"]);
        assert!(read(b"ada@example.com,Ada,3,,,too many: x\n").is_ok());
        let bad = read("ada@example.com,J\u{FFFD}rg,3,name,not_utf8,bad\n".as_bytes()).unwrap_err();
        assert_eq!(bad.violation.code, "not_utf8");
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
            assert_eq!(
                (bad.column.as_deref(), bad.violation.code, bad.line),
                (column, code, 7)
            );
        }
    }
}
