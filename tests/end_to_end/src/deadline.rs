//! How long a test waits for an event before it says that it does not come. Moments only; who waits and
//! for what is in the other modules.

use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an awaited event may take on a machine that builds and tests at the same time.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A moment after which waiting is of no use.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// The moment after this much time.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// The moment after [`PATIENCE`].
    #[must_use]
    pub fn of_patience() -> Self {
        Self::after(PATIENCE)
    }

    /// The time that is left, `None` when there is none.
    #[must_use]
    pub fn left(self) -> Option<Duration> {
        self.0.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// Waits until `found` finds something in what `guard` protects, whose changes `changed` announces.
    pub fn wait<'g, S, T>(
        self,
        mut guard: MutexGuard<'g, S>,
        changed: &Condvar,
        mut found: impl FnMut(&mut S) -> Option<T>,
    ) -> (MutexGuard<'g, S>, Option<T>) {
        loop {
            if let Some(value) = found(&mut guard) {
                return (guard, Some(value));
            }
            let Some(left) = self.left() else { return (guard, None) };
            guard = changed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
