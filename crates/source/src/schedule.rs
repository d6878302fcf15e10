//! When the next request of a poll, or the next connection of a stream, may start. Time and random
//! numbers are arguments; nothing is sent from here.
//!
//! **The loop:** wait until [`Schedule::poll_start`], call [`Schedule::handle_start`], ask, then call
//! [`Schedule::handle_answer`] or [`Schedule::handle_failure`], and start again.

use std::time::{Duration, Instant};

/// The shortest interval that a configuration may ask for.
pub const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// The interval where the answer says nothing or wants to be asked again at once.
pub const FRESH_MIN: Duration = Duration::from_secs(1);
/// The longest interval that an answer can ask for by its `max-age`.
pub const FRESH_MAX: Duration = Duration::from_secs(30);
/// The longest pause that repeated failure leads to, unless the interval itself is longer.
pub const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// The longest pause that `Retry-After` can ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(15 * 60);

/// A random number, at least 0 and below 1.
#[derive(Debug, Clone, Copy)]
pub struct Draw(f64);

/// Pauses that grow with each failure in a row: full jitter above the base, up to [`BACK_OFF_MAX`].
#[derive(Debug, Clone, Default)]
pub struct BackOff {
    failures: u32,
}

/// The politeness of one poll: one request at a time, intervals measured from start to start and never
/// shorter than asked, pauses after failures measured from the failure.
#[derive(Debug, Clone)]
pub struct Schedule {
    fixed: Option<Duration>,
    interval: Duration,
    started: Instant,
    due: Instant,
    back_off: BackOff,
}

impl Draw {
    /// Takes the number; what is outside of `0.0..1.0`, or not a number, counts as 0.
    #[must_use]
    pub fn new(number: f64) -> Self {
        Self(if (0.0..1.0).contains(&number) { number } else { 0.0 })
    }

    /// `pause` and up to a tenth more.
    #[must_use]
    pub fn stretch(self, pause: Duration) -> Duration {
        pause + pause.mul_f64(0.1 * self.0)
    }
}

impl BackOff {
    /// The pause after one more failure: `base`, and a random part of what doubling adds to it.
    pub fn handle_failure(&mut self, base: Duration, draw: Draw) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let doubled = base.saturating_mul(1 << self.failures.min(16));
        base + doubled.min(BACK_OFF_MAX).saturating_sub(base).mul_f64(draw.0)
    }

    /// It is well again. Returns whether it was failing.
    pub fn handle_success(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }

    /// Whether the last thing that happened was a failure.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }
}

impl Schedule {
    /// A schedule whose first request is due now. `fixed` below [`INTERVAL_MIN`] is raised to it; without
    /// it the answers say how long they stay fresh.
    #[must_use]
    pub fn new(fixed: Option<Duration>, now: Instant) -> Self {
        let fixed = fixed.map(|interval| interval.max(INTERVAL_MIN));
        let interval = fixed.unwrap_or(FRESH_MIN);
        Self { fixed, interval, started: now, due: now, back_off: BackOff::default() }
    }

    /// A request goes out.
    pub fn handle_start(&mut self, now: Instant) {
        self.started = now;
    }

    /// A good answer came, fresh for `fresh`. Returns whether the source was failing before.
    pub fn handle_answer(&mut self, now: Instant, fresh: Option<Duration>, draw: Draw) -> bool {
        let asked = fresh.unwrap_or_default().clamp(FRESH_MIN, FRESH_MAX);
        self.interval = self.fixed.unwrap_or(asked);
        self.due = (self.started + draw.stretch(self.interval)).max(now);
        self.back_off.handle_success()
    }

    /// There was no good answer; the backend may have said when to come back. Returns whether the source
    /// was well before.
    pub fn handle_failure(&mut self, now: Instant, retry_after: Option<Duration>, draw: Draw) -> bool {
        let first = !self.back_off.is_failing();
        let pause = self.back_off.handle_failure(self.interval, draw);
        let asked = draw.stretch(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX));
        self.due = now + pause.max(asked);
        first
    }

    /// How long it is from one request to the next while all is well.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// When the next request may start; ask again after each answer and failure.
    #[must_use]
    pub fn poll_start(&self) -> Instant {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LOW: Draw = Draw(0.0);
    const HIGH: Draw = Draw(0.999_999);

    /// A schedule and a clock that the test moves.
    struct Clock {
        schedule: Schedule,
        now: Instant,
    }

    impl Clock {
        fn new(fixed: Option<Duration>) -> Self {
            let now = Instant::now();
            Self { schedule: Schedule::new(fixed, now), now }
        }

        /// Starts when due, lets the request take its time, and returns start and answer.
        fn start(&mut self, takes: Duration) -> Instant {
            self.now = self.now.max(self.schedule.poll_start());
            let start = self.now;
            self.schedule.handle_start(start);
            self.now += takes;
            start
        }

        fn answer(&mut self, fresh: Option<Duration>, draw: Draw) -> bool {
            self.schedule.handle_answer(self.now, fresh, draw)
        }

        fn fail(&mut self, retry_after: Option<Duration>, draw: Draw) -> bool {
            self.schedule.handle_failure(self.now, retry_after, draw)
        }

        fn pause(&self) -> Duration {
            self.schedule.poll_start() - self.now
        }
    }

    #[test]
    fn the_first_request_is_due_at_once() {
        let mut clock = Clock::new(None);
        assert_eq!(clock.start(Duration::ZERO), clock.now);
    }

    #[test]
    fn intervals_are_from_start_to_start_and_never_shorter() {
        let mut clock = Clock::new(Some(2 * SECOND));
        for draw in [LOW, HIGH, Draw(0.5)] {
            let start = clock.start(Duration::from_millis(700));
            clock.answer(Some(20 * SECOND), draw);
            let next = clock.schedule.poll_start() - start;
            assert!((2 * SECOND..=Duration::from_millis(2200)).contains(&next), "{next:?}");
        }
    }

    #[test]
    fn an_answer_slower_than_the_interval_is_followed_at_once() {
        let mut clock = Clock::new(Some(SECOND));
        clock.start(3 * SECOND);
        clock.answer(None, HIGH);
        assert_eq!(clock.pause(), Duration::ZERO);
    }

    #[test]
    fn freshness_is_held_between_one_and_thirty_seconds() {
        for (fresh, expected) in [(None, 1), (Some(0), 1), (Some(7), 7), (Some(3600), 30)] {
            let mut clock = Clock::new(None);
            clock.start(Duration::ZERO);
            clock.answer(fresh.map(Duration::from_secs), LOW);
            assert_eq!(clock.pause(), expected * SECOND);
        }
    }

    #[test]
    fn a_fixed_interval_has_a_floor() {
        let mut clock = Clock::new(Some(Duration::from_millis(1)));
        clock.start(Duration::ZERO);
        clock.answer(None, LOW);
        assert_eq!(clock.pause(), INTERVAL_MIN);
    }

    #[test]
    fn failing_and_recovered_are_told_once() {
        let mut clock = Clock::new(None);
        let told: Vec<bool> = (0..3).map(|_| clock.fail(None, HIGH)).collect();
        assert_eq!(told, [true, false, false]);
        assert!(clock.answer(None, LOW));
        assert!(!clock.answer(None, LOW));
        assert!(clock.fail(None, LOW));
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_start_over() {
        let mut clock = Clock::new(None);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            clock.fail(None, HIGH);
            pauses.push(clock.pause().as_secs_f64().round() as u64);
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
        clock.answer(None, LOW);
        clock.fail(None, HIGH);
        assert!(clock.pause() <= 2 * SECOND);
    }

    #[test]
    fn an_interval_above_a_minute_is_kept_when_failing() {
        let mut clock = Clock::new(Some(300 * SECOND));
        clock.fail(None, HIGH);
        assert_eq!(clock.pause(), 300 * SECOND);
    }

    #[test]
    fn retry_after_is_honoured_up_to_a_quarter_of_an_hour() {
        let mut clock = Clock::new(None);
        clock.fail(Some(120 * SECOND), LOW);
        assert_eq!(clock.pause(), 120 * SECOND);
        clock.fail(Some(86_400 * SECOND), LOW);
        assert_eq!(clock.pause(), RETRY_AFTER_MAX);
        clock.fail(Some(Duration::ZERO), LOW);
        assert_eq!(clock.pause(), SECOND);
    }

    #[test]
    fn odd_draws_count_as_nothing() {
        for number in [-1.0, 1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Draw::new(number).stretch(SECOND), SECOND);
        }
    }

    proptest! {
        /// Whatever happens, two starts are never closer than the shortest interval in force, and no pause
        /// is longer than its bound.
        #[test]
        fn starts_are_never_too_close(
            fixed in proptest::option::of(0u64..5_000),
            steps in prop::collection::vec((any::<bool>(), proptest::option::of(0u64..100_000), 0u64..5_000, 0.0f64..1.0), 1..40),
        ) {
            let mut clock = Clock::new(fixed.map(Duration::from_millis));
            let floor = fixed.map_or(FRESH_MIN, Duration::from_millis).max(INTERVAL_MIN);
            let mut last: Option<Instant> = None;
            for (good, seconds, takes, draw) in steps {
                let start = clock.start(Duration::from_millis(takes));
                if let Some(last) = last {
                    prop_assert!(start - last >= floor);
                }
                last = Some(start);
                let (seconds, draw) = (seconds.map(Duration::from_secs), Draw::new(draw));
                if good { clock.answer(seconds, draw) } else { clock.fail(seconds, draw) };
                prop_assert!(clock.pause() <= RETRY_AFTER_MAX + RETRY_AFTER_MAX / 10);
            }
        }
    }
}
