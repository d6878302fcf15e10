//! What is wrong in a configuration: every fault with its place and the mend.
//!
//! Faults are data for whoever prints them; nothing is printed here.

use std::fmt;
use std::sync::Arc;

use tidegate_inspect::words::known::{self, Known};

/// Most faults that are collected; those beyond it are counted.
const FAULTS_MAX: usize = 1000;

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which error it is.
    pub known: &'static Known,
    /// The file's name, or what else was read.
    pub file: Arc<str>,
    /// The line, counted from 1; 0 where there is no place, as on a command line or in an empty file.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub mend: String,
}

/// All faults of a configuration, in the order of the text. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

/// Collects faults by their offset in the text.
#[derive(Debug)]
pub(super) struct Collector<'t> {
    file: Arc<str>,
    text: &'t str,
    lines: Vec<usize>,
    found: Vec<(usize, &'static Known, String, String)>,
    beyond: usize,
}

impl Faults {
    /// One fault that has no place in a text.
    pub(super) fn without_place(
        known: &'static Known,
        file: &str,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        let (file, what, mend) = (file.into(), what.into(), mend.into());
        Self(vec![Fault { known, file, line: 0, column: 0, what, mend }])
    }

    /// The faults.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }
}

impl<'t> Collector<'t> {
    pub(super) fn new(file: &str, text: &'t str) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        Self { file: file.into(), text, lines, found: Vec::new(), beyond: 0 }
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// Adds a fault at a byte offset of the text.
    pub(super) fn add(
        &mut self,
        known: &'static Known,
        at: usize,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) {
        if self.found.len() < FAULTS_MAX {
            self.found.push((at, known, what.into(), mend.into()));
        } else {
            self.beyond += 1;
        }
    }

    /// The line of an offset, counted from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at).max(1)
    }

    /// True if what is added from now on is only counted, so that no words need be found for it.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= FAULTS_MAX
    }

    /// True while nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All that was found, if anything was.
    pub(super) fn finish(mut self) -> Option<Faults> {
        if self.found.is_empty() {
            return None;
        }
        self.found.sort_by_key(|(at, ..)| *at);
        self.found.dedup();
        if self.beyond > 0 {
            let what = format!("{} more faults are not shown", self.beyond);
            self.found.push((self.text.len(), known::MORE_FAULTS, what, "mend these first".to_owned()));
        }
        let found = std::mem::take(&mut self.found);
        Some(Faults(
            found.into_iter().map(|(at, known, what, mend)| self.place(at, known, what, mend)).collect(),
        ))
    }

    /// An empty text has no places: it stands for a command line, or is an empty file.
    fn place(&self, at: usize, known: &'static Known, what: String, mend: String) -> Fault {
        if self.text.is_empty() {
            return Fault { known, file: Arc::clone(&self.file), line: 0, column: 0, what, mend };
        }
        let line = self.line(at);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..at.min(self.text.len())).unwrap_or_default();
        Fault { known, file: Arc::clone(&self.file), line, column: before.chars().count() + 1, what, mend }
    }
}

/// A piece of the text as a fault shows it: short, without live control characters.
pub(super) fn shown(text: &str) -> String {
    let cut = text.char_indices().nth(60).map_or(text.len(), |(at, _)| at);
    let dots = if cut < text.len() { "..." } else { "" };
    format!("{}{dots}", text[..cut].escape_debug())
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return write!(f, "{}: {}; {} ({})", self.file, self.what, self.mend, self.known);
        }
        write!(
            f,
            "{}:{}:{}: {}; {} ({})",
            self.file, self.line, self.column, self.what, self.mend, self.known
        )
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { "\n" };
            write!(f, "{between}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_characters_in_the_order_of_the_text() {
        let mut collector = Collector::new("f", "a\n\u{e9}\u{e9}b\n");
        collector.add(known::WRONG_TYPE, 6, "second", "x");
        collector.add(known::NOT_TOML, 0, "first", "x");
        collector.add(known::WRONG_VALUE, 8, "third", "x");
        let text = collector.finish().unwrap().to_string();
        assert_eq!(text, "f:1:1: first; x (TG-1103)\nf:2:3: second; x (TG-1107)\nf:3:1: third; x (TG-1108)");
    }

    #[test]
    fn faults_beyond_the_bound_are_counted() {
        let mut collector = Collector::new("f", "x");
        (0..FAULTS_MAX + 5).for_each(|at| collector.add(known::NOT_TOML, at, "x", "y"));
        let faults = collector.finish().unwrap();
        assert_eq!(faults.iter().count(), FAULTS_MAX + 1);
        assert!(faults.to_string().ends_with("5 more faults are not shown; mend these first (TG-1126)"));
    }

    #[test]
    fn what_is_shown_is_short_and_inert() {
        assert_eq!(shown("a\u{1b}[0m"), "a\\u{1b}[0m");
        assert_eq!(shown(&"x".repeat(99)).len(), 63);
    }
}
