//! What comes in as a query string: every bad parameter named at once.

use muster_core::people::validation::Violation;

use crate::problem::{FieldError, Problem};

/// The most items of a list unless somebody asks otherwise.
pub const DEFAULT_LIMIT: usize = 20;
/// The most items that somebody may ask for.
pub const MAX_LIMIT: usize = 100;

/// The parameters of a request, taken one by one.
#[derive(Debug)]
pub struct Parameters {
    given: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Parameters {
    /// Splits a query string.
    pub fn parse(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self {
            given: pairs.into_owned().collect(),
            errors: Vec::new(),
        }
    }

    /// A parameter that may be there, through its parser.
    pub fn optional<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Violation>,
    ) -> Option<T> {
        let values: Vec<_> = self
            .given
            .extract_if(.., |(given, _)| given == name)
            .collect();
        let result = match &values[..] {
            [] => return None,
            [(_, value)] => parse(value),
            _ => Err(Violation::new(
                "repeated",
                "this parameter is given more than once",
            )),
        };
        result
            .map_err(|violation| self.errors.push(FieldError::parameter(name, violation)))
            .ok()
    }

    /// Takes `limit`: how many items a list is to have.
    pub fn limit(&mut self) -> usize {
        self.optional("limit", limit).unwrap_or(DEFAULT_LIMIT)
    }

    /// The end of the taking.
    ///
    /// # Errors
    /// 422 with every parameter that broke a rule or is unknown.
    pub fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in self.given {
            let violation = Violation::new("unknown", "there is no such parameter");
            self.errors.push(FieldError::parameter(name, violation));
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.errors))
        }
    }
}

fn limit(text: &str) -> Result<usize, Violation> {
    match text.parse() {
        Ok(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
        _ => Err(Violation::new(
            "invalid_limit",
            format!("a number from 1 to {MAX_LIMIT}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_parameter_is_named_at_once() {
        let mut parameters = Parameters::parse(Some("limit=x&status=a&status=b&colour=red&ok=1"));
        let number = |text: &str| {
            let violation = |_| Violation::new("invalid", "a number");
            text.parse::<u8>().map_err(violation)
        };
        assert_eq!(parameters.optional("limit", number), None);
        assert_eq!(parameters.optional("status", number), None);
        assert_eq!(parameters.optional("ok", number), Some(1));
        assert_eq!(parameters.optional("absent", number), None);
        let problem = parameters.finish().unwrap_err();
        let codes: Vec<_> = problem.errors().iter().map(|error| error.code).collect();
        assert_eq!(codes, ["invalid", "repeated", "unknown"]);
    }
}
