//! JSON read member by member, by somebody who wants to know all that is wrong with it.

use std::fmt;
use std::ops::RangeInclusive;

use muster_core::people::validation::Violation;
use serde_json::{Map, Value};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where: a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What.
    pub violation: Violation,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { code, detail } = &self.violation;
        write!(f, "{:?}: {detail} ({code})", self.pointer)
    }
}

/// What was wrong so far.
#[derive(Default)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// Something is wrong there.
    pub fn add(&mut self, pointer: &str, violation: Violation) {
        self.0.push(Fault {
            pointer: pointer.to_owned(),
            violation,
        });
    }

    /// What a reader brought; or nothing, and what was wrong is noted.
    pub fn note<T>(&mut self, pointer: &str, result: Result<T, Violation>) -> Option<T> {
        result
            .map_err(|violation| self.add(pointer, violation))
            .ok()
    }
}

/// The members of an object, taken one by one.
pub struct Members {
    /// Where it stands.
    pub pointer: String,
    /// What is left of it.
    pub members: Map<String, Value>,
    asked: Vec<&'static str>,
}

impl Members {
    /// Those of a value that should be an object.
    pub fn of(pointer: &str, value: Value, faults: &mut Faults) -> Option<Self> {
        let Value::Object(members) = value else {
            faults.add(pointer, wrong_type("an object"));
            return None;
        };
        Some(Self {
            pointer: pointer.to_owned(),
            members,
            asked: Vec::new(),
        })
    }

    /// A member and where it stands.
    pub fn take(&mut self, name: &'static str) -> Option<(String, Value)> {
        self.asked.push(name);
        let value = self.members.remove(name)?;
        Some((child(&self.pointer, name), value))
    }

    /// The same of a member that must be there.
    pub fn needed(&mut self, name: &'static str, faults: &mut Faults) -> Option<(String, Value)> {
        let found = self.take(name);
        if found.is_none() {
            let violation = Violation::new("missing", "this member is required");
            faults.add(&child(&self.pointer, name), violation);
        }
        found
    }

    /// A member through its reader, unless it is missing or wrong.
    pub fn read<T>(
        &mut self,
        name: &'static str,
        faults: &mut Faults,
        read: impl FnOnce(Value) -> Result<T, Violation>,
    ) -> Option<T> {
        let (pointer, value) = self.take(name)?;
        faults.note(&pointer, read(value))
    }

    /// A number, unless it is wrong.
    pub fn number(
        &mut self,
        name: &'static str,
        range: &RangeInclusive<u64>,
        default: u64,
        faults: &mut Faults,
    ) -> Option<u64> {
        match self.take(name) {
            None => Some(default),
            Some((pointer, value)) => faults.note(&pointer, number(&value, range)),
        }
    }

    /// Whatever was not asked for is a mistake.
    pub fn finish(self, faults: &mut Faults) {
        for name in self.members.keys() {
            let detail = format!(
                "there is no such member; there are {}",
                self.asked.join(", ")
            );
            let violation = Violation::new("unknown", detail);
            faults.add(&child(&self.pointer, name), violation);
        }
    }
}

/// The pointer to a member, escaped as RFC 6901 section 3 says.
pub fn child(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// It is of another type.
pub fn wrong_type(what: &str) -> Violation {
    Violation::new("wrong_type", format!("this must be {what}"))
}

/// A text.
pub fn text(value: Value) -> Result<String, Violation> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(wrong_type("a text")),
    }
}

/// A yes or no.
pub fn boolean(value: Value) -> Result<bool, Violation> {
    value.as_bool().ok_or_else(|| wrong_type("true or false"))
}

/// A whole number in a range.
pub fn number(value: &Value, range: &RangeInclusive<u64>) -> Result<u64, Violation> {
    let sentence = format!(
        "this must be a whole number from {} to {}",
        range.start(),
        range.end()
    );
    let Value::Number(number) = value else {
        return Err(Violation::new("wrong_type", sentence));
    };
    number
        .as_u64()
        .filter(|number| range.contains(number))
        .ok_or_else(|| Violation::new("out_of_range", sentence))
}
