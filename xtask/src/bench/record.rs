//! What a run of the benchmarks found: the machine, rows for the reader, raw lines for whoever doubts them.
//! The token and the folders of this machine do not get into it.

use std::{fmt, process::Command};

use crate::checkout::Checkout;

/// The token of every measured gateway; it lives as long as the gateway and listens on loopback.
pub(super) const TOKEN: &str = "only-for-benchmarks-on-loopback-0123456789";
/// What stands for it in the record.
const TOKEN_SHOWN: &str = "$TIDEGATE_ADMIN_TOKEN";

/// Rows and raw lines.
pub(super) struct Record {
    date: String,
    machine: String,
    rows: Vec<Row>,
    raw: Vec<String>,
}

struct Row {
    what: String,
    value: String,
}

impl Record {
    /// An empty record of this machine and day.
    pub(super) fn new(checkout: &Checkout) -> Self {
        let first = |program: &str, arguments: &[&str]| {
            let output = checkout.command(program).args(arguments).output();
            let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            text.unwrap_or_default().lines().next().unwrap_or_default().trim().to_owned()
        };
        let shell = |script: &str| first("sh", &["-c", script]);
        let machine = [
            shell("lscpu | sed -n 's/^Model name: *//p'"),
            shell("echo $(nproc) CPUs, $(lscpu | sed -n 's/^Hypervisor vendor: */virtual under /p')"),
            shell("echo Linux $(uname -r)"),
            shell("echo Debian $(cat /etc/debian_version)"),
            first("rustc", &["--version"]),
            shell("echo commit $(git describe --always --dirty --exclude '*')"),
        ];
        Self {
            date: first("date", &["-u", "+%F"]),
            machine: machine.join("; "),
            rows: Vec::new(),
            raw: Vec::new(),
        }
    }

    /// The day, as 2026-11-22.
    pub(super) fn date(&self) -> &str {
        &self.date
    }

    /// One row of the table.
    pub(super) fn row(&mut self, what: impl fmt::Display, value: impl fmt::Display) {
        let row = Row { what: what.to_string(), value: value.to_string() };
        println!("   {}: {}", row.what, row.value);
        self.rows.push(row);
    }

    /// One raw line: a figure, the command that gave it, and what that printed, which is JSON.
    pub(super) fn raw(&mut self, figure: &str, command: &str, json: &str) {
        let command = quoted(&command.replace(TOKEN, TOKEN_SHOWN));
        self.raw.push(format!("{{\"figure\":\"{figure}\",\"command\":{command},\"result\":{json}}}"));
    }

    /// The same for a program that prints text.
    pub(super) fn raw_text(&mut self, figure: &str, command: &str, text: &str) {
        self.raw(figure, command, &quoted(text));
    }

    /// All raw lines, the machine first.
    pub(super) fn raw_lines(&self) -> String {
        let machine = format!("{{\"date\":\"{}\",\"machine\":{}}}\n", self.date, quoted(&self.machine));
        self.raw.iter().fold(machine, |text, line| text + line + "\n")
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {}", self.date, self.machine)?;
        let width = self.rows.iter().map(|row| row.what.chars().count()).max().unwrap_or(0);
        self.rows.iter().try_for_each(|row| writeln!(f, "{:<width$}  {:>14}", row.what, row.value))
    }
}

/// A command as it would be typed, programs without their folders.
pub(super) fn typed(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let word = |word: &std::ffi::OsStr| {
        let text = word.to_string_lossy();
        let text = if text.starts_with('/') { text.rsplit('/').next().unwrap_or_default() } else { &text };
        if text.contains(' ') { format!("\"{text}\"") } else { text.to_owned() }
    };
    words.map(word).collect::<Vec<_>>().join(" ")
}

/// A number of a flat JSON object.
pub(super) fn number(json: &str, name: &str) -> Result<f64, String> {
    let found = json.split_once(&format!("\"{name}\":")).map(|(_, rest)| rest);
    let digits = found.and_then(|rest| rest.split([',', '}']).next());
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| format!("no {name} in {json}"))
}

/// A text of a flat JSON object.
pub(super) fn word<'j>(json: &'j str, name: &str) -> Result<&'j str, String> {
    let found = json.split_once(&format!("\"{name}\":\"")).and_then(|(_, rest)| rest.split_once('"'));
    found.map(|(word, _)| word).ok_or_else(|| format!("no {name} in {json}"))
}

/// With a space between every three digits.
pub(super) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let spaced = digits.char_indices().map(|(place, digit)| match (digits.len() - place) % 3 {
        0 if place > 0 => format!(" {digit}"),
        _ => digit.to_string(),
    });
    spaced.collect()
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let character = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        '\n' => "\\n".to_owned(),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(character).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_whole_name() {
        let json = "{\"memory_after\":12,\"memory\":3.5,\"last\":7}";
        assert_eq!(number(json, "memory"), Ok(3.5));
        assert_eq!(number(json, "last"), Ok(7.0));
        assert!(number(json, "lost").is_err());
        assert_eq!(word("{\"row\":\"a b\",\"n\":1}", "row"), Ok("a b"));
        assert!(word(json, "memory").is_err());
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([1.0, 999.6, 12_345.0, 1_234_567.0].map(grouped), ["1", "1 000", "12 345", "1 234 567"]);
    }

    #[test]
    fn commands_lose_folders_and_the_token() {
        let mut command = Command::new("/a/b/wsload");
        command.args(["idle", "ws://127.0.0.1:1/x", "--header", &format!("Authorization: Bearer {TOKEN}")]);
        let mut record =
            Record { date: String::new(), machine: String::new(), rows: Vec::new(), raw: Vec::new() };
        record.raw("idle", &typed(&command), "{}");
        let expected =
            "wsload idle ws://127.0.0.1:1/x --header \\\"Authorization: Bearer $TIDEGATE_ADMIN_TOKEN\\\"";
        assert!(record.raw_lines().contains(expected), "{}", record.raw_lines());
    }

    #[test]
    fn text_is_quoted_as_json() {
        assert_eq!(quoted("a \"b\"\\\n\t"), "\"a \\\"b\\\"\\\\\\n\\u0009\"");
    }
}
