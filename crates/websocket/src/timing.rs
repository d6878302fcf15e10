//! What time does to a connection: when to ping, and when to give up a peer that does not answer, finish or
//! take anything.
//!
//! It reads no clock and starts no timer. The caller notes since when something is awaited, on a clock and in
//! a unit of its own, and asks what is due and when to look again. What to do about it is the caller's, too.

/// A moment: how many units have passed since a start. Unit and start are the caller's: of 100 ms each, 32
/// bits last for 13 years, of 10 ms for 497 days. Arithmetic stops at the last moment instead of wrapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Tick(pub u32);

/// How long to wait for what, in the caller's units, at least 1. The moment that lies so far behind the one
/// noted is late; the one before it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the answer to a Ping.
    pub pong: u32,
    /// For the end of a message, from its first header on.
    pub message: u32,
    /// For the peer to take at least a byte of what waits to be written.
    pub write: u32,
    /// For the end of the closing handshake and of the TCP connection after it, from our Close on.
    pub close: u32,
}

/// What is awaited, since when; [`Tick::NEVER`] where nothing is. A new one awaits nothing and never pings.
///
/// The caller sets a field when the thing begins and resets it when it ends, then asks [`Timing::next_look`]
/// when to ask [`Timing::due`] again. Both look at the fields alone, so that a caller may look too often
/// without harm. Nothing is due twice unless the caller leaves its field as it was.
///
/// ```
/// use tidegate_websocket::timing::{Due, Tick, Timeouts, Timing};
///
/// // A unit of 100 ms: pings after 25 s, and 10 s for the Pong.
/// let timeouts = Timeouts { pong: 100, message: 300, write: 100, close: 50 };
/// let mut timing = Timing { ping_due: Tick(250), ..Timing::default() };
/// assert_eq!(timing.next_look(&timeouts), Some(Tick(250)));
/// assert_eq!(timing.due(Tick(250), &timeouts), Due::Ping);
/// timing.pinged = Tick(250);
/// assert_eq!(timing.next_look(&timeouts), Some(Tick(350)));
/// assert_eq!(timing.due(Tick(350), &timeouts), Due::PongTimeout);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// When the next Ping is due; it waits until the last one is answered.
    pub ping_due: Tick,
    /// A Ping went out that nothing has answered.
    pub pinged: Tick,
    /// A message is unfinished: `Connection::has_unfinished_message`.
    pub message_begun: Tick,
    /// Something waits to be written, and the transport has taken nothing.
    pub stalled: Tick,
    /// Our Close is written, or was handed to the transport.
    pub closing: Tick,
}

/// What a look at the time found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// To ping, or to do what keeps a transport without pings alive.
    Ping,
    /// The Ping was not answered: the peer is gone, and a Close frame would not reach it either.
    PongTimeout,
    /// The peer takes nothing.
    WriteTimeout,
    /// A message is not finished.
    MessageTimeout,
    /// The closing handshake, or the end of the TCP connection, did not come.
    CloseTimeout,
}

impl Tick {
    /// No moment. Clocks therefore begin at 1.
    pub const NEVER: Self = Self(0);

    /// The moment so many units later, at most the last that there is.
    #[must_use]
    pub const fn plus(self, units: u32) -> Self {
        Self(self.0.saturating_add(units))
    }

    /// False for [`Tick::NEVER`].
    #[must_use]
    pub const fn is_noted(self) -> bool {
        self.0 != 0
    }
}

impl Timing {
    /// What the peer owes, a Pong or the rest of a message, may have come while nobody read: the time for
    /// it begins anew.
    pub fn excuse(&mut self, now: Tick) {
        for owed in [&mut self.pinged, &mut self.message_begun] {
            if owed.is_noted() {
                *owed = now;
            }
        }
    }

    /// What is due at `now`. Of several things it is the one that leaves least to do: what ends the
    /// connection goes before what only closes it, and no Ping goes out while one is awaited or after a Close.
    #[must_use]
    pub fn due(&self, now: Tick, timeouts: &Timeouts) -> Due {
        let late =
            self.running(timeouts).into_iter().find(|(deadline, _)| deadline.is_some_and(|at| now >= at));
        match late {
            Some((_, due)) => due,
            None => Due::Nothing,
        }
    }

    /// When to look again; none if nothing is awaited.
    #[must_use]
    pub fn next_look(&self, timeouts: &Timeouts) -> Option<Tick> {
        self.running(timeouts).into_iter().filter_map(|(deadline, _)| deadline).min()
    }

    /// The timers in the order of their weight, with the moments at which they fire.
    fn running(&self, timeouts: &Timeouts) -> [(Option<Tick>, Due); 5] {
        let after = |since: Tick, units: u32| since.is_noted().then(|| since.plus(units.max(1)));
        let may_ping = self.ping_due.is_noted() && !self.closing.is_noted() && !self.pinged.is_noted();
        [
            (after(self.closing, timeouts.close), Due::CloseTimeout),
            (after(self.stalled, timeouts.write), Due::WriteTimeout),
            (after(self.pinged, timeouts.pong), Due::PongTimeout),
            (after(self.message_begun, timeouts.message), Due::MessageTimeout),
            (may_ping.then_some(self.ping_due), Due::Ping),
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIMEOUTS: Timeouts = Timeouts { pong: 100, message: 300, write: 100, close: 50 };

    #[test]
    fn timers_fire_in_their_order() {
        let mut timing = Timing { ping_due: Tick(251), ..Timing::default() };
        assert_eq!(timing.due(Tick(250), &TIMEOUTS), Due::Nothing);
        assert_eq!(timing.next_look(&TIMEOUTS), Some(Tick(251)));
        assert_eq!(timing.due(Tick(251), &TIMEOUTS), Due::Ping);
        timing.pinged = Tick(251);
        assert_eq!(timing.next_look(&TIMEOUTS), Some(Tick(351)));
        assert_eq!(timing.due(Tick(350), &TIMEOUTS), Due::Nothing);
        assert_eq!(timing.due(Tick(351), &TIMEOUTS), Due::PongTimeout);
        timing.stalled = Tick(240);
        assert_eq!(timing.due(Tick(340), &TIMEOUTS), Due::WriteTimeout);
        timing.message_begun = Tick(30);
        assert_eq!(timing.due(Tick(330), &TIMEOUTS), Due::MessageTimeout);
        timing.closing = Tick(300);
        assert_eq!(timing.due(Tick(329), &TIMEOUTS), Due::Nothing);
        assert_eq!(timing.due(Tick(350), &TIMEOUTS), Due::CloseTimeout);
    }

    #[test]
    fn a_new_one_awaits_nothing() {
        let timing = Timing::default();
        assert_eq!(timing.due(Tick(u32::MAX), &TIMEOUTS), Due::Nothing);
        assert_eq!(timing.next_look(&TIMEOUTS), None);
    }

    #[test]
    fn an_excuse_is_for_what_is_owed_and_nothing_else() {
        let mut timing = Timing { pinged: Tick(5), stalled: Tick(6), closing: Tick(7), ..Timing::default() };
        timing.excuse(Tick(100));
        let expected = Timing { pinged: Tick(100), stalled: Tick(6), closing: Tick(7), ..Timing::default() };
        assert_eq!(timing, expected);
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Timing>() <= 20);
    }

    #[test]
    fn a_timeout_of_no_units_is_one_of_one_and_the_last_moment_is_the_last() {
        let none = Timeouts { pong: 0, message: 0, write: 0, close: 0 };
        let timing = Timing { stalled: Tick(9), ..Timing::default() };
        assert_eq!(
            (timing.due(Tick(9), &none), timing.due(Tick(10), &none)),
            (Due::Nothing, Due::WriteTimeout)
        );
        assert_eq!(Tick(u32::MAX).plus(1), Tick(u32::MAX));
    }

    fn tick() -> impl Strategy<Value = Tick> {
        prop_oneof![Just(Tick::NEVER), (1u32..50).prop_map(Tick)]
    }

    proptest! {
        #[test]
        fn nothing_is_due_before_the_next_look_and_something_is_then(
            (ping_due, pinged, message_begun, stalled, closing) in (tick(), tick(), tick(), tick(), tick()),
            (pong, message, write, close) in (0u32..20, 0u32..20, 0u32..20, 0u32..20), now in 1u32..100
        ) {
            let timing = Timing { ping_due, pinged, message_begun, stalled, closing };
            let timeouts = Timeouts { pong, message, write, close };
            let due = timing.due(Tick(now), &timeouts);
            let look = timing.next_look(&timeouts);
            prop_assert_eq!(due != Due::Nothing, look.is_some_and(|look| Tick(now) >= look));
        }
    }
}
