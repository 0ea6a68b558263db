//! What is shown and asked.

use std::io::{BufRead, ErrorKind, Write};
use std::time::Duration;

use serde_json::Value;

use crate::on_interrupt::OnInterrupt;
use crate::report_path::Streams;
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
    /// The files behind the standard streams, as far as they are known.
    pub streams: Streams,
    /// Whether the output is for a report alone, and all else goes aside.
    pub output_taken: bool,
    /// How long to wait before what changes is looked at again.
    pub pace: Duration,
    /// What happens if the command is stopped now.
    pub on_interrupt: OnInterrupt,
}

impl<'a> Console<'a> {
    /// A console that nobody sits at.
    pub fn new(output: &'a mut dyn Write, aside: &'a mut dyn Write) -> Self {
        Self {
            output,
            aside,
            answers: None,
            watched: false,
            streams: Streams::default(),
            output_taken: false,
            pace: PACE,
            on_interrupt: OnInterrupt::default(),
        }
    }

    /// Shows text. A reader that has read enough (`| head -1`) is no trouble: the command
    /// goes on, and its exit status is what it would be otherwise.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn show(&mut self, text: &str) -> Result<(), Trouble> {
        if self.output_taken {
            self.remark(text.trim_end());
            return Ok(());
        }
        let shown = writeln!(self.output, "{}", text.trim_end());
        match shown.and_then(|()| self.output.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            shown => shown.or_trouble(
                "what was found cannot be written",
                "Check where the output goes.",
            ),
        }
    }

    /// Shows JSON.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn show_json(&mut self, value: &Value) -> Result<(), Trouble> {
        self.show(&format!("{value:#}"))
    }

    /// Says something beside what was found. What cannot be said is left unsaid: there
    /// is no other place to complain.
    pub fn remark(&mut self, text: &str) {
        let _ = writeln!(self.aside, "{text}");
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
