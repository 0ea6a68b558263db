//! What is shown and asked.

use std::io::{BufRead, Write};

use serde_json::Value;

use crate::trouble::{OrTrouble, Trouble};

/// Where it is shown, and who is asked.
pub struct Console<'a> {
    /// What was found.
    pub output: &'a mut dyn Write,
    /// Questions, beside what was found.
    pub questions: &'a mut dyn Write,
    /// Their answers; nothing, if nobody is there to answer.
    pub answers: Option<&'a mut dyn BufRead>,
}

impl Console<'_> {
    /// Shows text.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn show(&mut self, text: &str) -> Result<(), Trouble> {
        writeln!(self.output, "{}", text.trim_end()).or_trouble(
            "what was found cannot be written",
            "Check where the output goes.",
        )
    }

    /// Shows JSON.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn show_json(&mut self, value: &Value) -> Result<(), Trouble> {
        self.show(&format!("{value:#}"))
    }

    /// Goes on only if somebody says so.
    ///
    /// # Errors
    /// When nobody is there to say so, or they do not.
    pub fn confirm(&mut self, question: &str) -> Result<(), Trouble> {
        let Some(answers) = &mut self.answers else {
            return Err(Trouble::new(
                format!("{question} Nobody is there to answer."),
                "Give --yes if it is meant.",
            ));
        };
        let mut answer = String::new();
        let asked = write!(self.questions, "{question} [y/N] ")
            .and_then(|()| self.questions.flush())
            .and_then(|()| answers.read_line(&mut answer));
        asked.or_trouble("nobody can be asked", "Give --yes if it is meant.")?;
        if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
            Ok(())
        } else {
            Err(Trouble::new("nothing was done", "Answer y if it is meant."))
        }
    }
}
