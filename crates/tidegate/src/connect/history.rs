//! Lines that were entered, to be taken up again.
//!
//! They are kept as long as the command runs and written nowhere: what is sent may be a secret.

/// Lines that are kept.
const LINES_MAX: usize = 500;

/// Longer lines are not kept.
const LINE_MAX_BYTES: usize = 64 << 10;

/// The lines, and which of them is shown.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Oldest first.
    lines: Vec<String>,
    /// How far back the line is that is shown: 0 is the one being typed.
    back: usize,
    /// What was being typed when the first step back was taken.
    draft: String,
}

impl History {
    /// A line was entered.
    pub(super) fn add(&mut self, line: &str) {
        self.back = 0;
        self.draft.clear();
        let is_new = self.lines.last().is_none_or(|last| last != line);
        if line.is_empty() || line.len() > LINE_MAX_BYTES || !is_new {
            return;
        }
        if self.lines.len() == LINES_MAX {
            self.lines.remove(0);
        }
        self.lines.push(line.to_owned());
    }

    /// The line before the one that is shown, which is `shown`; none before the oldest.
    pub(super) fn older(&mut self, shown: &str) -> Option<String> {
        let index = self.lines.len().checked_sub(self.back + 1)?;
        if self.back == 0 {
            shown.clone_into(&mut self.draft);
        }
        self.back += 1;
        Some(self.lines[index].clone())
    }

    /// The line after the one that is shown; none behind what was being typed.
    pub(super) fn newer(&mut self) -> Option<String> {
        self.back = self.back.checked_sub(1)?;
        match self.back {
            0 => Some(std::mem::take(&mut self.draft)),
            back => Some(self.lines[self.lines.len() - back].clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_and_forth() {
        let mut history = History::default();
        assert_eq!((history.older("x"), history.newer()), (None, None));
        for line in ["one", "two", "two", ""] {
            history.add(line);
        }
        assert_eq!(history.older("draft").as_deref(), Some("two"));
        assert_eq!(history.older("two").as_deref(), Some("one"));
        assert_eq!(history.older("one"), None);
        assert_eq!(history.newer().as_deref(), Some("two"));
        assert_eq!(history.newer().as_deref(), Some("draft"));
        assert_eq!(history.newer(), None);
    }

    #[test]
    fn it_has_an_end() {
        let mut history = History::default();
        (0..LINES_MAX + 7).for_each(|number| history.add(&number.to_string()));
        history.add(&"x".repeat(LINE_MAX_BYTES + 1));
        assert_eq!((history.lines.len(), history.lines[0].as_str()), (LINES_MAX, "7"));
    }
}
