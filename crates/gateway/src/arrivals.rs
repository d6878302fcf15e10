//! New connections, counted against `accept_rate`: how fast they may come, in the whole process, and how busy a
//! shard has to be before that matters.
//!
//! Times come in as arguments; who is turned away is told so by `public`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// In seconds: what may come at once is what may come in this time.
const BURST: u32 = 2;

/// The time over which it is judged how busy a shard is.
const WINDOW: Duration = Duration::from_secs(1);

/// The arrivals of all shards. The system spreads connections over the shards as it likes, so that a share for each
/// would refuse some while others are free.
#[derive(Debug)]
pub(crate) struct Arrivals {
    begun: Instant,
    /// Until when, in nanoseconds from the beginning, those that came would have taken at the rate.
    until: AtomicU64,
}

/// How busy the thread of one shard has been.
#[derive(Debug)]
pub(crate) struct Load {
    since: Instant,
    /// How long it had been busy by then.
    busy: Duration,
    percent: u32,
}

impl Arrivals {
    pub(crate) fn new(now: Instant) -> Self {
        Self { begun: now, until: AtomicU64::new(0) }
    }

    /// Counts one in that came at `now`; false if more have come than `rate` a second.
    pub(crate) fn count(&self, rate: u32, now: Instant) -> bool {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let now = nanoseconds(now.saturating_duration_since(self.begun));
        let each = nanoseconds(Duration::from_secs(1) / rate.max(1));
        let latest = now.saturating_add(nanoseconds(Duration::from_secs(BURST.into())));
        let more = |until: u64| Some(until.max(now).saturating_add(each)).filter(|until| *until <= latest);
        self.until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

impl Load {
    /// From now on.
    pub(crate) fn new(now: Instant, busy: Duration) -> Self {
        Self { since: now, busy, percent: 0 }
    }

    /// How much of its time, in percent, the thread was busy in the last window that is over; `busy` is how long it
    /// was in all. Windows end when somebody asks, so that nobody need ask while nothing happens.
    pub(crate) fn percent(&mut self, now: Instant, busy: Duration) -> u32 {
        let passed = now.saturating_duration_since(self.since);
        if passed >= WINDOW {
            let part = busy.saturating_sub(self.busy).as_secs_f64() / passed.as_secs_f64();
            // At most a hundred, and a positive number fits.
            self.percent = (part * 100.0).clamp(0.0, 100.0) as u32;
            (self.since, self.busy) = (now, busy);
        }
        self.percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn twice_the_rate_may_come_at_once_and_the_rate_after() {
        let start = Instant::now();
        let arrivals = Arrivals::new(start);
        let come = |now: Duration| (0..5000).filter(|_| arrivals.count(2000, start + now)).count();
        assert_eq!(come(Duration::ZERO), 4000);
        assert_eq!(come(MILLISECOND), 2);
        assert_eq!(come(MILLISECOND * 251), 500);
        assert_eq!(come(MILLISECOND * 3600 * 1000), 4000, "what nobody used is not saved up");
        assert_eq!(come(MILLISECOND), 0, "a shard whose clock reading is older");
    }

    #[test]
    fn a_rate_may_change_and_be_as_slow_or_as_fast_as_it_may() {
        let start = Instant::now();
        let arrivals = Arrivals::new(start);
        assert!(arrivals.count(1, start) && arrivals.count(1, start));
        assert!(!arrivals.count(1, start + MILLISECOND * 999));
        assert!(arrivals.count(1, start + MILLISECOND * 1000));
        assert!(
            !arrivals.count(10_000_000, start + MILLISECOND * 1000),
            "the last one still takes its second"
        );
        assert!(arrivals.count(10_000_000, start + MILLISECOND * 1001));
    }

    #[test]
    fn a_shard_is_as_busy_as_it_was_in_the_last_window() {
        let start = Instant::now();
        let mut load = Load::new(start, Duration::ZERO);
        let mut at = |now: u32, busy: u32| load.percent(start + MILLISECOND * now, MILLISECOND * busy);
        assert_eq!(at(999, 999), 0, "nobody knows yet");
        assert_eq!(at(1000, 850), 85);
        assert_eq!(at(1999, 850), 85);
        assert_eq!(at(2000, 900), 5);
        assert_eq!(at(3_602_000, 360_900), 10, "a long while without arrivals is one window");
        assert_eq!(at(3_603_000, 3_000_000), 100, "a time that cannot be is the most that can");
    }
}
