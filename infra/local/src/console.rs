//! How the local stack speaks: quiet, with progress, plain when nobody looks.

use std::future::Future;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use muster_cli::trouble::Trouble;

/// Standard output, and whether a person watches it.
#[derive(Debug)]
pub struct Console {
    watched: bool,
    colours: bool,
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

impl Console {
    /// The process's own output. `NO_COLOR` is respected (no-color.org).
    pub fn new() -> Self {
        let watched = std::io::stdout().is_terminal();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            watched,
            colours: watched && !no_colour,
        }
    }

    /// One line.
    pub fn line(&self, text: impl AsRef<str>) {
        // Who closed the pipe does not want to hear of it.
        let _ = writeln!(std::io::stdout().lock(), "{}", text.as_ref());
    }

    /// What a part of the story is about.
    pub fn heading(&self, text: &str) {
        self.line(format!("\n{}", self.painted("1", text)));
    }

    /// Something that was seen to work.
    pub fn done(&self, text: impl AsRef<str>) {
        self.line(format!("  {} {}", self.painted("32", "✓"), text.as_ref()));
    }

    /// Something to know besides.
    pub fn note(&self, text: impl AsRef<str>) {
        self.line(format!("    {}", self.painted("2", text.as_ref())));
    }

    /// What went wrong and what to do: on standard error.
    pub fn trouble(&self, trouble: &Trouble) {
        let mut out = std::io::stderr().lock();
        let _ = writeln!(out, "\n{} {}", self.painted("1;31", "error:"), trouble.what);
        let _ = writeln!(out, "       {}", trouble.remedy.replace('\n', "\n       "));
    }

    /// Does something that takes a while, and says how long it took.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn step<T>(
        &self,
        text: &str,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let start = Instant::now();
        let spinner = self.bar(ProgressBar::new_spinner());
        spinner.set_style(style("  {spinner} {msg} {elapsed:.dim}"));
        spinner.set_message(text.to_owned());
        spinner.enable_steady_tick(Duration::from_millis(100));
        let result = work.await;
        spinner.finish_and_clear();
        if result.is_ok() {
            self.done(format!("{text} ({:.1} s)", start.elapsed().as_secs_f64()));
        }
        result
    }

    /// A bar for a known number of rows.
    pub fn rows(&self, total: u64) -> ProgressBar {
        let bar = self.bar(ProgressBar::new(total));
        bar.set_style(style(
            "    {bar:40.cyan} {pos}/{len} rows  {per_sec}  {eta} left",
        ));
        bar
    }

    fn bar(&self, bar: ProgressBar) -> ProgressBar {
        if !self.watched {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        bar
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colours {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
