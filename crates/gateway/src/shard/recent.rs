//! What happened lately, the newest last: so many things, and none that is older than so long.
//!
//! Connections that ended and handshakes are kept in it, for the inspector. Time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// See the module's head. An empty one owns no memory.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    kept: VecDeque<(Instant, T)>,
    /// How many there have ever been: whoever has seen all knows by it whether there are new ones.
    count: u64,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { kept: VecDeque::new(), count: 0 }
    }
}

impl<T> Recent<T> {
    /// Puts one behind the others, of which the oldest leave for it. Nothing is kept where `most` is 0.
    pub(crate) fn push(&mut self, item: T, most: usize, now: Instant) {
        self.count += 1;
        while self.kept.len() >= most.max(1) {
            self.kept.pop_front();
        }
        if most > 0 {
            self.kept.push_back((now, item));
        }
    }

    /// Forgets what is older than `age`.
    pub(crate) fn sweep(&mut self, age: Duration, now: Instant) {
        while self.kept.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > age) {
            self.kept.pop_front();
        }
        if self.kept.is_empty() {
            self.kept = VecDeque::new();
        }
    }

    /// From the newest to the oldest.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &T> {
        self.kept.iter().rev().map(|(_, item)| item)
    }

    /// The same to change them, the oldest first.
    pub(crate) fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut T> {
        self.kept.iter_mut().map(|(_, item)| item)
    }

    /// How many there have ever been.
    #[cfg(test)]
    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_kept_and_so_long() {
        let mut recent = Recent::default();
        let start = Instant::now();
        let second = |count: u32| start + Duration::from_secs(1) * count;
        for number in 0..5 {
            recent.push(number, 3, second(number));
        }
        assert_eq!(recent.newest_first().copied().collect::<Vec<_>>(), [4, 3, 2]);
        assert_eq!(recent.count(), 5);
        recent.sweep(Duration::from_secs(2), second(5));
        assert_eq!(recent.newest_first().copied().collect::<Vec<_>>(), [4, 3]);
        recent.sweep(Duration::from_secs(2), second(9));
        assert_eq!((recent.newest_first().count(), recent.kept.capacity()), (0, 0));
        recent.push(1, 0, second(9));
        assert_eq!((recent.newest_first().count(), recent.count()), (0, 6));
    }
}
