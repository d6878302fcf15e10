//! The lines that a child process prints: read as they come on a thread of their own, kept with the moment
//! they came, and waited for.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::deadline::Deadline;

/// One line, and when it came.
#[derive(Debug, Clone)]
pub struct Line {
    /// Without its line end.
    pub text: String,
    /// When it came.
    pub at: Instant,
}

#[derive(Debug, Default)]
struct Came {
    lines: Vec<Line>,
    ended: bool,
}

/// What one output of a process has printed so far. Clones are the same lines.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<(Mutex<Came>, Condvar)>);

impl Lines {
    /// Reads `output` until it ends.
    #[must_use]
    pub fn of(output: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let kept = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n') {
                let Ok(line) = line else { break };
                let text = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
                kept.lock().lines.push(Line { text, at: Instant::now() });
                kept.0.1.notify_all();
            }
            kept.lock().ended = true;
            kept.0.1.notify_all();
        });
        lines
    }

    /// Waits for the first line, of those that came and those to come, in which `found` finds something.
    ///
    /// # Panics
    ///
    /// If the output ends or patience does.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, found: impl FnMut(&str) -> Option<T>) -> T {
        self.wait_after(0, what, found).1
    }

    /// The same among the lines from `start` on; gives the place of the line too.
    ///
    /// # Panics
    ///
    /// If the output ends or patience does.
    #[track_caller]
    pub fn wait_after<T>(
        &self,
        start: usize,
        what: &str,
        mut found: impl FnMut(&str) -> Option<T>,
    ) -> (usize, T) {
        let mut next = start;
        let (came, result) = Deadline::of_patience().wait(self.lock(), &self.0.1, |came| {
            while let Some(line) = came.lines.get(next) {
                next += 1;
                if let Some(value) = found(&line.text) {
                    return Some(Some((next - 1, value)));
                }
            }
            came.ended.then_some(None)
        });
        let ended = if came.ended { "and the output has ended" } else { "in time" };
        drop(came);
        result
            .flatten()
            .unwrap_or_else(|| panic!("{what}: did not come {ended}. What came:\n{}", self.text()))
    }

    /// Waits until the process has closed this output, as it does when it ends.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[track_caller]
    pub fn wait_end(&self) {
        assert!(self.ended_by(Deadline::of_patience()), "the process goes on. What came:\n{}", self.text());
    }

    /// Whether the process has closed this output by then.
    #[must_use]
    pub fn ended_by(&self, deadline: Deadline) -> bool {
        deadline.wait(self.lock(), &self.0.1, |came| came.ended.then_some(())).1.is_some()
    }

    /// Whether more than `count` lines have come by then.
    #[must_use]
    pub fn more_than(&self, count: usize, deadline: Deadline) -> bool {
        let more = |came: &mut Came| (came.lines.len() > count).then_some(());
        deadline.wait(self.lock(), &self.0.1, more).1.is_some()
    }

    /// The number of lines so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().lines.len()
    }

    /// All lines so far.
    #[must_use]
    pub fn all(&self) -> Vec<Line> {
        self.lock().lines.clone()
    }

    /// All lines so far, as one text.
    #[must_use]
    pub fn text(&self) -> String {
        self.lock().lines.iter().map(|line| format!("{}\n", line.text)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Came> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
