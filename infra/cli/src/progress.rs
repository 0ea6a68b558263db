//! How something gets on: a bar for who watches, a line now and then for who does not.

use std::io::Write;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::console::Console;

/// Something that gets on. Its bar is gone when it goes out of scope, whoever
/// still moves it.
pub(crate) struct Progress<'a> {
    bar: ProgressBar,
    /// Where lines go, if nobody sees the bar.
    lines: Option<&'a mut dyn Write>,
    /// What the last line was about.
    topic: String,
}

impl<'a> Progress<'a> {
    /// Progress up to a length, as the template of `indicatif` has it.
    pub(crate) fn new(length: u64, template: &str, console: &'a mut Console<'_>) -> Self {
        let (target, lines): (_, Option<&mut dyn Write>) = match console.watched {
            true => (ProgressDrawTarget::stderr(), None),
            false => (ProgressDrawTarget::hidden(), Some(&mut *console.aside)),
        };
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self {
            bar: ProgressBar::with_draw_target(Some(length), target).with_style(style),
            lines,
            topic: String::new(),
        }
    }

    /// Says how it gets on. A line is written only if its topic is not the last one's.
    pub(crate) fn say(&mut self, topic: &str, text: &str) {
        if let Some(lines) = &mut self.lines
            && self.topic != topic
        {
            // It gets on whether anybody reads it or not.
            let _ = writeln!(lines, "{text}");
        }
        topic.clone_into(&mut self.topic);
        self.bar.set_message(text.to_owned());
    }

    /// The bar, to be moved.
    pub(crate) fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sees_the_bar_gets_no_lines() {
        for (watched, expected) in [(false, "a\nc\na\n"), (true, "")] {
            let (mut output, mut aside) = (Vec::new(), Vec::new());
            let mut console = Console {
                watched,
                ..Console::new(&mut output, &mut aside)
            };
            let mut progress = Progress::new(1, "{msg}", &mut console);
            for (topic, text) in [("1", "a"), ("1", "b"), ("2", "c"), ("1", "a")] {
                progress.say(topic, text);
            }
            drop(progress);
            assert_eq!(String::from_utf8(aside).unwrap(), expected);
        }
    }
}
