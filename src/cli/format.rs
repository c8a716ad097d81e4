//! `--format`, and how data is laid out for people.

use clap::ValueEnum;
use lith::text::escaped;
use serde_json::Value;

/// What data is printed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// The `--format` option, shared by all that print data.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct FormatArg {
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
}

/// Prints to stdout; a reader that went away (`lith ls | head`) is no error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    match anstream::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Prints a JSON document.
pub(crate) fn print_json(value: &Value) -> anyhow::Result<()> {
    print(&format!("{}\n", plain_json(&serde_json::to_string_pretty(value)?)))
}

/// The same document without characters that a terminal obeys: JSON lets those above ASCII stand as they are, and
/// has a way to write them that every reader knows.
pub(crate) fn plain_json(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    for c in json.chars() {
        match escaped(c.encode_utf8(&mut [0; 4])) {
            same if c == '\n' || same.chars().eq([c]) => plain.push(c),
            _ => plain.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    plain
}

/// Prints rows with their columns aligned; the first row is the heading. What the cells say may be a stranger's.
pub(crate) fn print_table(rows: &[Vec<String>]) -> anyhow::Result<()> {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| escaped(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let line: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{}{}", cell, " ".repeat(width - cell.chars().count())))
            .collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    print(&text)
}

/// `1 blob`, `2 blobs`
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A size in the decimal units that docker shows.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match (unit, value) {
        (0, _) => format!("{bytes} B"),
        (_, value) if value < 9.995 => format!("{value:.2} {}", UNITS[unit]),
        (_, value) if value < 99.95 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn json_says_the_same_and_nothing_to_the_terminal() {
        let value = serde_json::json!({"é\u{9b}2J": "\u{1b}[31m\u{7f}\u{202e}\"\\ 😀\n"});
        let text = super::plain_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(
            text.contains("é\\u009b2J") && text.contains("\\u001b[31m\\u007f\\u202e\\\"\\\\ 😀\\n"),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
        ] {
            assert_eq!(super::size(bytes), expected);
        }
    }
}
