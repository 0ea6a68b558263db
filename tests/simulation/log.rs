//! The calls, in order: what a run was.

use std::fmt;

use crate::faults::Fault;

/// One call of one process.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Which call of the run, from 0.
    pub number: u64,
    /// Simulated milliseconds since the run began.
    pub at: u64,
    /// Which function made it, and in which process.
    pub process: String,
    /// `DynamoDB.UpdateItem`, `SES.SendEmail`, …
    pub operation: String,
    /// What it was about: a key, a queue.
    pub subject: String,
    /// How long the request's body was, in bytes.
    pub bytes: usize,
    /// Capacity units of DynamoDB that it took: reads or writes.
    pub units: f64,
    /// What went wrong on purpose.
    pub fault: Option<Fault>,
    /// What was answered; 0 if nothing was.
    pub status: u16,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            at,
            process,
            operation,
            subject,
            ..
        } = self;
        write!(
            f,
            "{number:>5} {:>10.3} s  {process:<18} {operation:<28} {subject}",
            *at as f64 / 1000.0
        )?;
        match self.status {
            200 => {}
            0 => f.write_str("  → no answer")?,
            status => write!(f, "  → {status}")?,
        }
        if let Some(fault) = self.fault {
            write!(f, "  ⚡ {fault}")?;
        }
        Ok(())
    }
}

impl Call {
    /// Where in the code it is made, as far as the log shows: which function
    /// calls what.
    pub fn site(&self) -> (String, String) {
        let function = self.process.split('#').next().unwrap_or_default();
        (function.to_owned(), self.operation.clone())
    }
}

/// All calls of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Log {
    /// The calls.
    pub calls: Vec<Call>,
    /// What happened between them.
    pub notes: Vec<(u64, String)>,
}

impl Log {
    /// Notes something that is no call: a delivery, a kill.
    pub fn note(&mut self, text: String) {
        self.notes.push((self.calls.len() as u64, text));
    }

    /// The run as people read it.
    pub fn timeline(&self) -> String {
        let mut notes = self.notes.iter().peekable();
        let mut lines = Vec::new();
        for call in &self.calls {
            while let Some((_, text)) = notes.next_if(|(before, _)| *before <= call.number) {
                lines.push(format!("                     {text}"));
            }
            lines.push(call.to_string());
        }
        lines.extend(notes.map(|(_, text)| format!("                     {text}")));
        lines.join("\n")
    }
}
