//! What is shown and asked.

use std::io::{BufRead, Write};
use std::time::Duration;

use serde_json::Value;

use crate::ending::Ending;
use crate::trouble::{OrTrouble, Trouble};

/// How long to wait before what changes is looked at again.
const PACE: Duration = Duration::from_secs(1);

/// Where it is shown, and who is asked.
pub struct Console<'a> {
    /// What was found.
    pub output: &'a mut dyn Write,
    /// Questions, and how it gets on: beside what was found.
    pub aside: &'a mut dyn Write,
    /// Answers to the questions; nothing, if nobody is there to answer.
    pub answers: Option<&'a mut dyn BufRead>,
    /// Whether somebody watches what is said aside.
    pub watched: bool,
    /// How long to wait before what changes is looked at again.
    pub pace: Duration,
    /// What to say to who does not want to wait for the end.
    pub parting: String,
}

impl<'a> Console<'a> {
    /// A console that nobody sits at.
    pub fn new(output: &'a mut dyn Write, aside: &'a mut dyn Write) -> Self {
        Self {
            output,
            aside,
            answers: None,
            watched: false,
            pace: PACE,
            parting: String::new(),
        }
    }

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

    /// Says something beside what was found.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remark(&mut self, text: &str) -> Result<(), Trouble> {
        writeln!(self.aside, "{text}").or_trouble(
            "what there is to say cannot be written",
            "Check where the standard error goes.",
        )
    }

    /// Says what becomes of that whose end nobody wants to wait for.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn part(&mut self) -> Result<Ending, Trouble> {
        if !self.parting.is_empty() {
            let parting = std::mem::take(&mut self.parting);
            self.remark(&parting)?;
        }
        Ok(Ending::Interrupted)
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
        let asked = write!(self.aside, "{question} [y/N] ")
            .and_then(|()| self.aside.flush())
            .and_then(|()| answers.read_line(&mut answer));
        asked.or_trouble("nobody can be asked", "Give --yes if it is meant.")?;
        if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
            Ok(())
        } else {
            Err(Trouble::new("nothing was done", "Answer y if it is meant."))
        }
    }
}
