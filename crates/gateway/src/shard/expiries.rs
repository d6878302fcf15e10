//! When the tokens of a shard's sessions end: a wheel of its own, whose time is the clock that tokens are
//! dated by.
//!
//! Other timers forgive a stall of the process; a token ends while the process is stopped, too, and when the
//! machine sleeps or its clock is set. Both times come in as arguments. What is due is looked at by `timers`.

use std::time::{Duration, Instant, SystemTime};

use tidegate_hub::SessionId;

use super::wheel::{Tick, Wheel, ticks};

/// See the module's head. Each session has one entry at most.
pub(crate) struct Expiries {
    wheel: Wheel,
    /// The wheel's own time: it goes on as the date does, and never back.
    time: Instant,
    /// The date at the last turn, and when that was.
    date: SystemTime,
    turned: Instant,
}

impl Expiries {
    pub(crate) fn new(now: Instant, date: SystemTime) -> Self {
        Self { wheel: Wheel::new(now), time: now, date, turned: now }
    }

    /// Whether no token is to end.
    pub(crate) fn is_empty(&self) -> bool {
        self.wheel.is_empty()
    }

    /// Asks for a look at `session` at `end`, or before if that is far away. The present is needed where nobody
    /// has turned this, because it was empty.
    pub(crate) fn schedule(&mut self, session: SessionId, end: SystemTime, now: Instant, date: SystemTime) {
        if self.is_empty() {
            self.turn(now, date, &mut Vec::new());
        }
        // What has passed already is due at once.
        let left = end.duration_since(self.date).unwrap_or_default();
        self.wheel.schedule(session, self.wheel.now().plus(ticks(left)));
    }

    /// Moves on to `date` and gives the sessions to be looked at: their tokens have ended, or are to be
    /// scheduled anew.
    pub(crate) fn turn(&mut self, now: Instant, date: SystemTime, due: &mut Vec<(SessionId, Tick)>) {
        // Where the date was set back, tokens have longer than their entries say, and are looked at early.
        let passed = date.duration_since(self.date).unwrap_or_default();
        (self.date, self.turned) = (date, now);
        if self.is_empty() {
            // Nothing in it tells the time, so that it begins anew: ticks come to an end, and a date may be set
            // forward by any number of years.
            self.time = now;
            self.wheel.begin_anew(now);
            return;
        }
        self.time = self.time.checked_add(passed).unwrap_or(self.time);
        self.wheel.turn_all(self.time, due);
    }

    /// When the next entry is due, if nobody sets the clock; `None` without any.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let left: Duration = self.wheel.next_due()?.saturating_duration_since(self.time);
        Some(self.turned + left)
    }
}

#[cfg(test)]
mod tests {
    use tidegate_hub::{Form, Hub, Packing, QueueLimits};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NOBODY: [usize; 0] = [];

    /// Two clocks that a test moves.
    struct Clocks {
        expiries: Expiries,
        now: Instant,
        date: SystemTime,
        ids: Vec<SessionId>,
    }

    impl Clocks {
        fn new() -> Self {
            let (now, date) = (Instant::now(), SystemTime::UNIX_EPOCH + SECOND * 1_000_000);
            let mut hub = Hub::new(QueueLimits { max_bytes: 1, max_messages: 1 }, 1);
            let ids = (0..3).map(|_| hub.attach(Form::Bare, Packing::Plain, ())).collect();
            Self { expiries: Expiries::new(now, date), now, date, ids }
        }

        /// Lets a session's token end in so many seconds.
        fn end(&mut self, session: usize, seconds: u32) {
            let end = self.date + SECOND * seconds;
            self.expiries.schedule(self.ids[session], end, self.now, self.date);
        }

        /// Which sessions are looked at after this time.
        fn pass(&mut self, time: Duration) -> Vec<usize> {
            (self.now, self.date) = (self.now + time, self.date + time);
            self.turn()
        }

        fn turn(&mut self) -> Vec<usize> {
            let mut due = Vec::new();
            self.expiries.turn(self.now, self.date, &mut due);
            let number = |id: &SessionId| self.ids.iter().position(|one| one == id).expect("one of them");
            due.iter().map(|(id, _)| number(id)).collect()
        }
    }

    #[test]
    fn a_token_ends_at_its_time() {
        let mut clocks = Clocks::new();
        assert_eq!((clocks.expiries.is_empty(), clocks.expiries.next_due()), (true, None));
        clocks.end(0, 2);
        clocks.end(1, 0);
        assert_eq!(clocks.pass(SECOND / 10), [1], "what has ended already is due at once");
        assert_eq!(clocks.expiries.next_due(), Some(clocks.now + SECOND * 19 / 10));
        assert_eq!(clocks.pass(SECOND), NOBODY);
        assert_eq!(clocks.pass(SECOND), [0]);
        assert!(clocks.expiries.is_empty());
        // Nobody turns an empty one.
        (clocks.now, clocks.date) = (clocks.now + SECOND * 1000, clocks.date + SECOND * 1000);
        clocks.end(2, 1);
        assert_eq!(clocks.pass(SECOND / 2), NOBODY);
        assert_eq!(clocks.pass(SECOND / 2), [2]);
    }

    #[test]
    fn what_ended_during_a_stall_is_looked_at_at_once() {
        let mut clocks = Clocks::new();
        clocks.end(0, 20);
        clocks.end(1, 40);
        clocks.end(2, 45);
        assert_eq!(clocks.pass(SECOND * 41), [0, 1], "and not when the stall has been made up for");
        assert_eq!(clocks.pass(SECOND * 4), [2], "the others keep their time");
    }

    #[test]
    fn a_clock_that_is_set_forward_ends_tokens() {
        let mut clocks = Clocks::new();
        clocks.end(0, 50);
        clocks.date += SECOND * 3600 * 24 * 3650;
        assert_eq!(clocks.turn(), [0]);
        clocks.end(1, 1);
        assert_eq!(clocks.pass(SECOND), [1]);
        // By more than ticks can count.
        for forward in [14, 20, 200] {
            clocks.end(0, 50);
            clocks.date += SECOND * 31_622_400 * forward;
            assert_eq!(clocks.turn(), [0]);
            clocks.date += SECOND * 31_622_400 * forward;
            clocks.end(1, 1);
            assert_eq!(clocks.pass(SECOND), [1]);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_holds_no_token_of_later_up() {
        let mut clocks = Clocks::new();
        clocks.end(0, 10);
        clocks.date -= SECOND * 3600;
        assert_eq!(clocks.turn(), NOBODY);
        clocks.end(1, 3);
        assert_eq!(clocks.pass(SECOND * 3), [1]);
        assert_eq!(clocks.pass(SECOND * 7), [0], "early: it is scheduled anew");
        clocks.end(0, 3593);
        assert_eq!(clocks.pass(SECOND * 60), [0], "far away: it is looked at before");
    }
}
