//! Counts of what passed, failed and was skipped, with a line for each that did not pass. Parts fill it,
//! `main` adds the parts up and prints the sum.

use std::fmt;

/// What came of a part.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// One line for each failure and skip, as far as they have names.
    pub(crate) notes: Vec<String>,
}

impl Tally {
    /// One check, passed or failed.
    pub(crate) fn check(name: &str, passed: bool) -> Self {
        let mut tally = Self::default();
        if passed {
            tally.passed = 1
        } else {
            tally.fail(name)
        }
        tally
    }

    /// One check that could not be made, and why.
    pub(crate) fn skipped(what: impl fmt::Display) -> Self {
        let mut tally = Self::default();
        tally.skip(what);
        tally
    }

    /// Counts one failure.
    pub(crate) fn fail(&mut self, what: impl fmt::Display) {
        self.failed += 1;
        self.notes.push(format!("failed: {what}"));
    }

    /// Counts one skip.
    pub(crate) fn skip(&mut self, what: impl fmt::Display) {
        self.skipped += 1;
        self.notes.push(format!("skipped: {what}"));
    }

    /// Adds the counts and notes of another.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.notes.extend(other.notes);
    }

    /// The state of a part in one word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self { failed: 1.., .. } => "failed",
            Self { skipped: 1.., .. } => "skipped",
            _ => "ok",
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_print_in_the_plain_form() {
        let mut total = Tally::check("fmt", true);
        total.add(Tally::check("clippy", false));
        total.add(Tally::skipped("no browser"));
        assert_eq!(total.to_string(), "1 passed, 1 failed, 1 skipped");
        assert_eq!(total.notes, ["failed: clippy", "skipped: no browser"]);
        assert_eq!(total.word(), "failed");
    }
}
