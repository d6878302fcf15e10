//! The timers of all connections of a shard: one wheel, one entry a connection.
//!
//! The wheel does not know what is due. It gives back sessions whose time to be looked at has come; the
//! connection then says what is due and when to look again. Time comes in as an argument, and goes on in
//! ticks of the wheel's own: the time in which the process was stopped or starved does not count among
//! them, so that a stall closes nobody.

use std::time::{Duration, Instant};

use tidegate_hub::SessionId;
pub(crate) use tidegate_websocket::timing::Tick;

/// A tick's length.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// Slots of the wheel; what is due later than this is looked at once before.
const SLOTS: usize = 512;

/// A gap between two turns that is longer counts as a stall of the process itself.
const STALL: Duration = Duration::from_secs(2);

/// See the module's head.
pub(crate) struct Wheel {
    slots: Vec<Vec<(SessionId, Tick)>>,
    now: Tick,
    /// The instant that `now` stands for.
    turned: Instant,
    entries: usize,
}

impl Wheel {
    pub(crate) fn new(now: Instant) -> Self {
        Self { slots: vec![Vec::new(); SLOTS], now: Tick(1), turned: now, entries: 0 }
    }

    /// Begins the wheel's time anew. It must be empty.
    pub(crate) fn begin_anew(&mut self, now: Instant) {
        debug_assert!(self.is_empty(), "entries have their ticks");
        (self.now, self.turned) = (Tick(1), now);
    }

    /// The wheel's time at its last turn.
    pub(crate) fn now(&self) -> Tick {
        self.now
    }

    /// Asks for a look at `session` at `due`; gives the tick at which it will be, which the connection
    /// keeps: an entry whose tick is not the kept one is stale.
    pub(crate) fn schedule(&mut self, session: SessionId, due: Tick) -> Tick {
        let least = self.now.0 + 1;
        let most = self.now.0 + (SLOTS as u32) - 1;
        let at = Tick(due.0.clamp(least, most));
        self.slots[at.0 as usize % SLOTS].push((session, at));
        self.entries += 1;
        at
    }

    /// True without any entry.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Moves on to `now` and gives the sessions whose time has come, with the ticks they were asked for.
    pub(crate) fn turn(&mut self, now: Instant, due: &mut Vec<(SessionId, Tick)>) {
        let passed = now.saturating_duration_since(self.turned);
        let next = self.next_due();
        if passed > STALL && next.is_some_and(|next| now.saturating_duration_since(next) > STALL) {
            // Nothing was due while the shard slept for want of work; beyond that it was stopped.
            self.turned = now - self.until_next();
        }
        self.turn_all(now, due);
    }

    /// The same where a stall excuses nothing.
    pub(crate) fn turn_all(&mut self, now: Instant, due: &mut Vec<(SessionId, Tick)>) {
        while now.saturating_duration_since(self.turned) >= TICK {
            if self.entries == 0 {
                let ticks = now.saturating_duration_since(self.turned).as_millis() / TICK.as_millis();
                let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
                self.now = Tick(self.now.0.saturating_add(ticks));
                self.turned += TICK * ticks;
                return;
            }
            self.turned += TICK;
            self.now = Tick(self.now.0 + 1);
            let slot = &mut self.slots[self.now.0 as usize % SLOTS];
            self.entries -= slot.len();
            // With its memory: what falls due together now is not what will the next time.
            due.append(&mut std::mem::take(slot));
        }
    }

    /// When the next entry is due; `None` without any.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        (self.entries > 0).then(|| self.turned + self.until_next())
    }

    fn until_next(&self) -> Duration {
        let ahead = (1..=SLOTS).find(|ahead| !self.slots[(self.now.0 as usize + ahead) % SLOTS].is_empty());
        TICK * u32::try_from(ahead.unwrap_or(SLOTS)).unwrap_or(u32::MAX)
    }
}

/// A duration in whole ticks, at least one.
pub(crate) fn ticks(duration: Duration) -> u32 {
    let ticks = duration.as_millis().div_ceil(TICK.as_millis()).max(1);
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use tidegate_hub::{Form, Hub, Packing, QueueLimits};

    use super::*;

    fn session() -> SessionId {
        let mut hub = Hub::new(QueueLimits { max_bytes: 1, max_messages: 1 }, 1);
        hub.attach(Form::Bare, Packing::Plain, ())
    }

    fn turn(wheel: &mut Wheel, now: Instant) -> Vec<Tick> {
        let mut due = Vec::new();
        wheel.turn(now, &mut due);
        due.into_iter().map(|(_, tick)| tick).collect()
    }

    #[test]
    fn what_is_due_comes_back_once_and_not_before() {
        let start = Instant::now();
        let (mut wheel, id) = (Wheel::new(start), session());
        let at = wheel.schedule(id, wheel.now().plus(ticks(Duration::from_millis(450))));
        assert_eq!(wheel.next_due(), Some(start + Duration::from_millis(500)));
        assert_eq!(turn(&mut wheel, start + Duration::from_millis(499)), []);
        assert_eq!(turn(&mut wheel, start + Duration::from_millis(500)), [at]);
        assert_eq!(wheel.next_due(), None);
    }

    #[test]
    fn what_is_far_away_is_looked_at_within_one_round() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let at = wheel.schedule(session(), Tick(u32::MAX));
        assert_eq!(at, Tick(SLOTS as u32));
    }

    #[test]
    fn an_idle_wheel_keeps_the_time() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        turn(&mut wheel, start + Duration::from_secs(3600));
        assert_eq!(wheel.now(), Tick(36_001));
        wheel.schedule(session(), wheel.now().plus(1));
        assert_eq!(wheel.next_due(), Some(start + Duration::from_millis(3_600_100)));
    }

    #[test]
    fn a_stall_of_the_process_makes_nobody_late() {
        let start = Instant::now();
        let (mut wheel, id) = (Wheel::new(start), session());
        let first = wheel.schedule(id, wheel.now().plus(10));
        wheel.schedule(id, wheel.now().plus(100));
        let after_stall = start + Duration::from_secs(60);
        assert_eq!(turn(&mut wheel, after_stall), [first], "only what was due before the stall");
        assert_eq!(turn(&mut wheel, after_stall + Duration::from_secs(8)), []);
        assert_eq!(turn(&mut wheel, after_stall + Duration::from_secs(9)).len(), 1);
    }
}
