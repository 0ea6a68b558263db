//! Columns for people.

use std::path::Path;

use serde_json::Value;

/// A column: its title, where its values are, and how they are shown.
pub(crate) struct Column(pub &'static str, pub &'static str, pub fn(&Value) -> String);

/// Items in columns as wide as they must be, under their titles.
pub(crate) fn table(columns: &[Column], items: &[Value]) -> String {
    let titles = columns.iter().map(|Column(title, ..)| (*title).to_owned());
    let mut rows = vec![titles.collect::<Vec<_>>()];
    rows.extend(items.iter().map(|item| {
        let cells = columns.iter().map(|Column(_, pointer, show)| {
            let value = item.pointer(pointer).unwrap_or(&Value::Null);
            show(value)
        });
        cells.collect()
    }));
    let widths: Vec<_> = (0..columns.len())
        .map(|index| rows.iter().map(|row| width(&row[index])).max())
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, widest)| {
            let missing = widest.unwrap_or_default() - width(cell);
            format!("{cell}{}", " ".repeat(missing))
        });
        let cells: Vec<_> = cells.collect();
        cells.join("  ").trim_end().to_owned()
    };
    let lines: Vec<_> = rows.iter().map(line).collect();
    lines.join("\n")
}

/// Values one under another, each after its name.
pub(crate) fn fields(fields: &[(&str, String)]) -> String {
    let widest = fields.iter().map(|(name, _)| width(name)).max();
    let widest = widest.unwrap_or_default();
    let lines = fields
        .iter()
        .map(|(name, value)| format!("{name:<widest$}  {value}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// A value in one line, and without what would steer the terminal: letters hold
/// what anybody may have sent.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => harmless(text),
        other => harmless(&other.to_string()),
    }
}

/// Text without what would steer the terminal.
pub(crate) fn harmless(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.replace(steers, "\u{fffd}")
}

/// A path, the same way: a file may be called anything.
pub(crate) fn path_text(path: &Path) -> String {
    harmless(&path.display().to_string())
}

/// Seconds, as far as anybody wants to know.
pub(crate) fn age(value: &Value) -> String {
    let Some(seconds) = value.as_u64() else {
        return text(value);
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if days > 0 => format!("{days}d {}h", hours % 24),
        () if hours > 0 => format!("{hours}h {}m", minutes % 60),
        () if minutes > 0 => format!("{minutes}m {}s", seconds % 60),
        () => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let columns = [
            Column("NAME", "/name", text),
            Column("N", "/counts/n", text),
            Column("AGE", "/age_s", age),
        ];
        let items = [
            json!({ "name": "Zoë", "counts": { "n": 1000 }, "age_s": 59 }),
            json!({ "name": "a\u{1b}[31mb\n", "age_s": 5400 }),
        ];
        let expected = "NAME      N     AGE\n\
                        Zoë       1000  59s\n\
                        a\u{fffd}[31mb\u{fffd}  -     1h 30m";
        assert_eq!(table(&columns, &items), expected);
    }

    #[test]
    fn an_age_is_as_exact_as_it_is_short() {
        for (seconds, shown) in [
            (0, "0s"),
            (61, "1m 1s"),
            (86_399, "23h 59m"),
            (90_000, "1d 1h"),
        ] {
            assert_eq!(age(&json!(seconds)), shown);
        }
    }
}
