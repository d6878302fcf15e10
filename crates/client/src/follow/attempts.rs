//! Attempts in a row: how long to wait before the next one, and whether there is one.
//!
//! It counts; what waits is the caller. Randomness is the system's.

use std::time::{Duration, SystemTime};

use super::backoff::{Asked, Backoff};
use super::interruption::{Interruption, Verdict};

/// A connection that lasted as long was a good one: the next attempt is the first again.
const SETTLED_AFTER: Duration = Duration::from_secs(10);

/// Says when to come back, for those who open their connections themselves.
///
/// Call [`Attempts::handle_end`] when a connection that was open has ended, and then, as after every attempt
/// that failed, [`Attempts::wait`].
#[derive(Debug, Clone)]
pub struct Attempts {
    backoff: Backoff,
    most: Option<u32>,
    /// Attempts in a row without a good connection.
    count: u32,
    /// How often the wait has doubled, less what connections lasted.
    doublings: u32,
    renews: bool,
}

impl Attempts {
    /// None was made. `most` in a row, none is without end.
    #[must_use]
    pub fn new(backoff: Backoff, most: Option<u32>) -> Self {
        Self { backoff, most, count: 0, doublings: 0, renews: false }
    }

    /// The same for who brings a new token each time: then 401 and 4401 are no reason to give up.
    #[must_use]
    pub fn with_tokens(self, renews: bool) -> Self {
        Self { renews, ..self }
    }

    /// A connection has ended that was open for this time. Each second takes one doubling back: what a proxy cuts again
    /// and again is then open for most of the time, and what ends at once still waits longer and longer.
    pub fn handle_end(&mut self, lasted: Duration) {
        if lasted >= SETTLED_AFTER {
            (self.count, self.doublings) = (0, 0);
        }
        let seconds = u32::try_from(lasted.as_secs()).unwrap_or(u32::MAX);
        self.doublings = self.doublings.saturating_sub(seconds);
    }

    /// The time to wait before the next attempt; none if coming back does not help, or if there were enough.
    /// `hint` is what a gateway said to this client alone, its `reconnect_in_ms`.
    pub fn wait(&mut self, why: &Interruption, hint: Option<Duration>) -> Option<Duration> {
        let asked = match why.verdict(SystemTime::now()) {
            Verdict::GiveUp if self.renews && why.is_about_credentials() => Asked::Nothing,
            Verdict::GiveUp => return None,
            Verdict::ComeBack(asked) => hint.map_or(asked, Asked::Drawn),
            Verdict::ComeBackWithout => Asked::Nothing,
        };
        if self.most.is_some_and(|most| self.count >= most) {
            return None;
        }
        let wait = self.backoff.delay(self.doublings, asked, random());
        self.count = self.count.saturating_add(1);
        self.doublings = (self.doublings + 1).min(self.backoff.doublings_max());
        Some(wait)
    }
}

/// From 0 to 1. Without randomness all clients would come back together, so that late is better.
pub(super) fn random() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use tidegate_websocket::CloseCode;

    use super::*;
    use crate::event::{Close, End};

    fn closed(code: u16) -> Interruption {
        Interruption::Closed(Close {
            code: CloseCode::new(code),
            reason: String::new(),
            end: End::CloseFrame,
        })
    }

    #[test]
    fn there_are_so_many_in_a_row_and_no_more() {
        let mut attempts = Attempts::new(Backoff::default(), Some(2));
        assert!(attempts.wait(&closed(1006), None).is_some_and(|wait| wait.as_millis() <= 500));
        attempts.handle_end(Duration::from_secs(9));
        assert!(attempts.wait(&closed(1006), None).is_some_and(|wait| wait.as_millis() <= 1000));
        assert_eq!(attempts.wait(&closed(1006), None), None);
        attempts.handle_end(Duration::from_secs(10));
        let hint = Some(Duration::from_millis(3400));
        assert_eq!(attempts.wait(&closed(1012), hint), hint);
        assert_eq!(attempts.wait(&closed(4401), hint), None);
        let mut renewing = Attempts::new(Backoff::default(), Some(1)).with_tokens(true);
        assert!(renewing.wait(&closed(4401), None).is_some());
        assert_eq!(renewing.wait(&closed(4401), None), None, "it is an attempt like others");
        assert_eq!(Attempts::new(Backoff::default(), None).with_tokens(true).wait(&closed(4403), None), None);
    }

    #[test]
    fn what_is_cut_again_and_again_is_open_for_most_of_the_time() {
        let bound = |lasted: Duration| {
            let mut attempts = Attempts::new(Backoff::default(), None);
            let waits = (0..200).map(|_| {
                attempts.handle_end(lasted);
                attempts.wait(&closed(1006), None).unwrap()
            });
            waits.max().unwrap()
        };
        assert!(bound(Duration::from_secs(5)) <= Duration::from_millis(500));
        assert!(bound(Duration::from_secs(1)) <= Duration::from_millis(500));
        assert!(
            bound(Duration::from_millis(900)) > Duration::from_secs(15),
            "what ends at once waits longer"
        );
        // An outage is over, and a proxy cuts: the waits come down.
        let mut attempts = Attempts::new(Backoff::default(), None);
        assert!((0..1000).all(|_| attempts.wait(&closed(1006), None).is_some()));
        attempts.handle_end(Duration::from_secs(4));
        assert!(attempts.wait(&closed(1006), None).unwrap() <= Duration::from_secs(2));
    }
}
