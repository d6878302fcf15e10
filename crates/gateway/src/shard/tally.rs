//! What went over one connection, and when last: a few words that every connection keeps.
//!
//! Counted where bytes enter and leave, in additions alone; read by `row`.

use super::wheel::Tick;

/// Set in `round_trip` while a Ping awaits its Pong: the rest is when it went.
const AWAITED: u32 = 1 << 31;

/// See the module's head. Messages are counted up to 2^32 - 1 and then from 0 again.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) sent_bytes: u64,
    pub(crate) received_bytes: u64,
    pub(crate) sent_messages: u32,
    pub(crate) received_messages: u32,
    /// When the last byte came or went.
    pub(crate) touched: Tick,
    /// Somebody watches: what is counted is shown to the taps as well. It stands here because there is room for it.
    pub(crate) is_tapped: bool,
    /// The most that waited when the transport took no more.
    queue_max_bytes: u32,
    /// Microseconds of the last answered Ping, 0 before; or, with the mark, when one went that awaits its Pong.
    round_trip: u32,
}

impl Tally {
    /// Bytes and messages have left.
    #[inline]
    pub(crate) fn count_sent(&mut self, bytes: usize, messages: u32, now: Tick) {
        self.sent_bytes += bytes as u64;
        self.sent_messages = self.sent_messages.wrapping_add(messages);
        self.touched = now;
    }

    /// Bytes have come.
    pub(crate) fn count_received(&mut self, bytes: usize, now: Tick) {
        self.received_bytes += bytes as u64;
        self.touched = now;
    }

    /// So much waits, because the transport takes no more.
    pub(crate) fn note_queue(&mut self, bytes: usize) {
        self.queue_max_bytes = self.queue_max_bytes.max(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// A Ping goes, `micros` after some start.
    pub(crate) fn ping_went(&mut self, micros: u64) {
        self.round_trip = AWAITED | (micros as u32 & !AWAITED);
    }

    /// A Pong has come, `micros` after the same start. One that nobody asked for says nothing.
    pub(crate) fn pong_came(&mut self, micros: u64) {
        if self.round_trip & AWAITED != 0 {
            let took = (micros as u32).wrapping_sub(self.round_trip) & !AWAITED;
            self.round_trip = took.max(1);
        }
    }

    /// Microseconds from the last answered Ping to its Pong, if none is awaited.
    pub(crate) fn round_trip_us(&self) -> Option<u32> {
        (self.round_trip != 0 && self.round_trip & AWAITED == 0).then_some(self.round_trip)
    }

    /// The most that waited.
    pub(crate) fn queue_max_bytes(&self) -> u32 {
        self.queue_max_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_small() {
        assert!(size_of::<Tally>() <= 40, "{}", size_of::<Tally>());
    }

    #[test]
    fn a_round_trip_is_from_a_ping_to_its_pong() {
        let mut tally = Tally::default();
        tally.pong_came(5);
        assert_eq!(tally.round_trip_us(), None);
        for (start, end, took) in
            [(100, 500, 400), (u64::from(u32::MAX) - 10, u64::from(u32::MAX) + 30, 40), (7, 7, 1)]
        {
            tally.ping_went(start);
            assert_eq!(tally.round_trip_us(), None, "it is awaited");
            tally.pong_came(end);
            assert_eq!(tally.round_trip_us(), Some(took), "{start}");
            tally.pong_came(end + 1000);
            assert_eq!(tally.round_trip_us(), Some(took), "nobody asked for this one");
        }
    }

    #[test]
    fn messages_are_counted_round_and_the_most_stays() {
        let mut tally = Tally { sent_messages: u32::MAX, ..Tally::default() };
        tally.count_sent(3, 2, Tick(9));
        tally.count_received(4, Tick(10));
        assert_eq!((tally.sent_messages, tally.sent_bytes, tally.received_bytes), (1, 3, 4));
        assert_eq!(tally.touched, Tick(10));
        tally.note_queue(7);
        tally.note_queue(usize::MAX);
        tally.note_queue(3);
        assert_eq!(tally.queue_max_bytes(), u32::MAX);
    }
}
