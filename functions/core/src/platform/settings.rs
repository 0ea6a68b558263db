//! The environment, read once and as a whole.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The variables that a function is started with.
///
/// Ask for everything, then [`finish`](Self::finish): what is missing or
/// malformed is told all at once, so that nobody mends a deployment one
/// variable at a time.
pub struct Variables<'a> {
    read: Box<Lookup<'a>>,
    problems: Vec<String>,
}

/// The start was stopped: these variables are missing or malformed.
#[derive(Debug, thiserror::Error)]
#[error("the environment is not complete: {}", .0.join("; "))]
pub struct SettingsError(Vec<String>);

impl<'a> Variables<'a> {
    /// The variables of this process.
    pub fn of_process() -> Self {
        Self::from_fn(|name| std::env::var(name).ok())
    }

    /// Variables from anywhere else: a test, a file.
    pub fn from_fn(read: impl Fn(&str) -> Option<String> + 'a) -> Self {
        Self {
            read: Box::new(read),
            problems: Vec::new(),
        }
    }

    /// A variable that must be there and not empty. When it is not, the
    /// value given back is empty and [`finish`](Self::finish) fails.
    pub fn required(&mut self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.problems.push(format!("{name} is not set"));
            String::new()
        })
    }

    /// A variable that may be missing; an empty one counts as missing.
    pub fn optional(&self, name: &str) -> Option<String> {
        (self.read)(name).filter(|value| !value.is_empty())
    }

    /// A variable with a default, parsed.
    pub fn parsed<T: FromStr>(&mut self, name: &str, default: T) -> T {
        self.optional_parsed(name).unwrap_or(default)
    }

    /// A variable that may be missing, parsed.
    pub fn optional_parsed<T: FromStr>(&mut self, name: &str) -> Option<T> {
        let parsed = self.optional(name)?.parse();
        if parsed.is_err() {
            self.problems.push(format!(
                "{name} cannot be read as {}",
                std::any::type_name::<T>()
            ));
        }
        parsed.ok()
    }

    /// A number that must be there. When it is not, the value given back is
    /// the default and [`finish`](Self::finish) fails.
    pub fn required_number<T: FromStr + Default>(&mut self, name: &str) -> T {
        self.required(name);
        self.parsed(name, T::default())
    }

    /// A number of hours that must be there.
    pub fn required_hours(&mut self, name: &str) -> Duration {
        let hours: u32 = self.required_number(name);
        Duration::from_secs(u64::from(hours) * 60 * 60)
    }

    /// A variable that must be there, through a parser that says what it would
    /// take. When it is not, or not that, the value given back is the default
    /// and [`finish`](Self::finish) fails.
    pub fn required_as<T: FromStr<Err: Display> + Default>(&mut self, name: &str) -> T {
        self.required(name);
        self.optional_as(name).unwrap_or_default()
    }

    /// A variable that may be missing, through a parser that says what it would
    /// take.
    pub fn optional_as<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let parsed = self.optional(name)?.parse();
        parsed
            .map_err(|error| self.problems.push(format!("{name} {error}")))
            .ok()
    }

    /// The end of the asking.
    ///
    /// # Errors
    /// Names every variable that was required and missing, or malformed.
    pub fn finish(self) -> Result<(), SettingsError> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(SettingsError(self.problems))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::locale::Language;

    #[test]
    fn every_missing_variable_is_named_at_once() {
        let mut variables = Variables::from_fn(|name| match name {
            "GIVEN" => Some("yes".to_owned()),
            "EMPTY" => Some(String::new()),
            "WORD" => Some("many".to_owned()),
            "LANGUAGE" => Some("fr".to_owned()),
            _ => None,
        });
        assert_eq!(variables.required("GIVEN"), "yes");
        variables.required("EMPTY");
        variables.required("ABSENT");
        assert_eq!(variables.parsed("WORD", 3_u32), 3);
        assert_eq!(
            variables.required_as::<Language>("LANGUAGE"),
            Language::English
        );
        assert_eq!(
            variables.required_as::<Language>("NOWHERE"),
            Language::English
        );
        assert_eq!(variables.optional_as::<Language>("NOWHERE"), None);
        let error = variables.finish().unwrap_err().to_string();
        assert!(error.contains("EMPTY is not set"), "{error}");
        assert!(error.contains("ABSENT is not set"), "{error}");
        assert!(error.contains("WORD cannot be read as u32"), "{error}");
        assert!(error.contains("LANGUAGE must be en or de"), "{error}");
        assert_eq!(error.matches("NOWHERE").count(), 1, "{error}");
        assert!(!error.contains("GIVEN"), "{error}");
    }
}
