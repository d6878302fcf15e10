//! How long to wait before coming back: exponential with full jitter, and what the server asked for.
//!
//! Random numbers are arguments; nothing here waits.

use std::time::Duration;

/// The longest wait that a server may ask for.
const ASKED_MAX: Duration = Duration::from_secs(15 * 60);

/// Where clients of a gateway that restarts come back without a hint: all of them within this time.
const RESTART_SPREAD: Duration = Duration::from_secs(20);

/// How long to wait before coming back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The most before the first attempt; it doubles with each, and each second of a connection takes that back. 500 ms.
    pub first: Duration,
    /// The most at all. 30 s.
    pub most: Duration,
}

/// What the server said about coming back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Asked {
    #[default]
    Nothing,
    /// After this time, which it has drawn for this client alone (`reconnect_in_ms`).
    Drawn(Duration),
    /// After this time, which it tells everybody (Retry-After).
    AtLeast(Duration),
    /// It restarts (close code 1012), and all come back.
    Restart,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), most: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// After as many doublings the bound is the most at all.
    pub(super) fn doublings_max(&self) -> u32 {
        let is_most = |doublings: &u32| {
            let bound = 2_u32.checked_pow(*doublings).and_then(|factor| self.first.checked_mul(factor));
            bound.is_none_or(|bound| bound >= self.most)
        };
        (0..u32::BITS).find(is_most).unwrap_or(u32::BITS)
    }

    /// The time before an attempt, the `count`th in a row that begins with 0. `random` is from 0 to 1.
    pub(super) fn delay(&self, count: u32, asked: Asked, random: f64) -> Duration {
        let doubled = 2_u32.checked_pow(count).and_then(|factor| self.first.checked_mul(factor));
        let most = doubled.unwrap_or(self.most).min(self.most);
        let drawn = |most: Duration| most.mul_f64(random.clamp(0.0, 1.0));
        match asked {
            Asked::Nothing => drawn(most),
            Asked::Drawn(time) => time.min(ASKED_MAX),
            Asked::AtLeast(time) => time.min(ASKED_MAX) + drawn(most),
            Asked::Restart => drawn(most.max(RESTART_SPREAD)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_most() {
        let backoff = Backoff::default();
        let most = |count| backoff.delay(count, Asked::Nothing, 1.0).as_millis();
        assert_eq!(
            [0, 1, 2, 3, 6, 7, 40, u32::MAX].map(most),
            [500, 1000, 2000, 4000, 30_000, 30_000, 30_000, 30_000]
        );
        assert_eq!(backoff.delay(9, Asked::Nothing, 0.0), Duration::ZERO);
        assert_eq!(backoff.doublings_max(), 6);
        assert_eq!(Backoff { first: Duration::ZERO, ..backoff }.doublings_max(), 32);
        assert_eq!(Backoff { first: backoff.most, ..backoff }.doublings_max(), 0);
    }

    #[test]
    fn what_the_server_asks_for_counts_within_reason() {
        let backoff = Backoff::default();
        let day = Duration::from_secs(24 * 3600);
        assert_eq!(backoff.delay(5, Asked::Drawn(Duration::from_millis(3400)), 0.7).as_millis(), 3400);
        assert_eq!(backoff.delay(0, Asked::AtLeast(Duration::from_secs(7)), 1.0).as_millis(), 7500);
        assert_eq!(backoff.delay(0, Asked::Drawn(day), 0.5), ASKED_MAX);
        assert_eq!(backoff.delay(0, Asked::Restart, 0.5).as_secs(), 10);
    }

    proptest! {
        #[test]
        fn no_wait_is_longer_than_the_bounds(count: u32, seconds: u64, random: f64) {
            let backoff = Backoff::default();
            let time = Duration::from_secs(seconds);
            for asked in [Asked::Nothing, Asked::Drawn(time), Asked::AtLeast(time), Asked::Restart] {
                prop_assert!(backoff.delay(count, asked, random) <= ASKED_MAX + backoff.most);
            }
        }
    }
}
