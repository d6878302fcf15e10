//! A client and a server, a link each way, one clock.

use tidegate_websocket::deflate::Effort;
use tidegate_websocket::timing::Tick;
use tidegate_websocket::{CloseCode, Connection, Extensions, Fragment, MaskKeys, Message, Role};

use crate::endpoint::{Ended, Endpoint, LIMITS};
use crate::link::Link;
use crate::told::Told;
use crate::wire::{Frame, frames};

/// Which end; also the place in the arrays of [`Pair`].
pub(crate) const CLIENT: usize = 0;
pub(crate) const SERVER: usize = 1;

/// See the module's head. Bytes and time move only when the test says so.
pub(crate) struct Pair {
    pub(crate) ends: [Endpoint; 2],
    /// `links[n]` leads to `ends[n]`.
    pub(crate) links: [Link; 2],
    pub(crate) now: Tick,
    /// Most bytes that one read gives.
    pub(crate) piece: usize,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::with_extensions(Extensions::default(), Effort::default())
    }

    /// A pair whose handshake agreed on these extensions.
    pub(crate) fn with_extensions(extensions: Extensions, effort: Effort) -> Self {
        let now = Tick(1);
        let end = |role| Connection::with_extensions(role, LIMITS, extensions, effort);
        let client = Role::Client(MaskKeys::from_seed([3; 16]));
        let mut ends = [Endpoint::new(end(client), false, now), Endpoint::new(end(Role::Server), true, now)];
        ends.iter_mut().for_each(|end| end.deflates = extensions.deflate.is_some());
        Self { ends, links: [Link::new(), Link::new()], now, piece: usize::MAX }
    }

    /// An application acts; what it sends goes on the link, and nothing is read.
    pub(crate) fn act<T>(&mut self, end: usize, act: impl FnOnce(&mut Connection, &mut Vec<u8>) -> T) -> T {
        let result = self.ends[end].act(self.now, act);
        self.ends[end].flush(&mut self.links[1 - end], self.now);
        result
    }

    pub(crate) fn text(&mut self, end: usize, text: &str) {
        self.act(end, |connection, output| connection.send_text(text, output)).expect("it is open");
    }

    pub(crate) fn fragment(&mut self, end: usize, text: &str, fragment: Fragment) {
        self.act(end, |connection, output| connection.send_fragment(Message::Text(text), fragment, output))
            .expect("it is open");
    }

    pub(crate) fn ping(&mut self, end: usize, payload: &[u8]) {
        self.act(end, |connection, output| connection.send_ping(payload, output)).expect("it is open");
    }

    pub(crate) fn close(&mut self, end: usize, code: u16, reason: &str) {
        self.act(end, |connection, output| connection.close(CloseCode::new(code), reason, output));
    }

    /// An application that knows no Close frames ends its side of TCP.
    pub(crate) fn end_side(&mut self, end: usize) {
        self.ends[end].end_our_side(&mut self.links[1 - end], self.now);
    }

    /// A reset, as both ends see it.
    pub(crate) fn reset(&mut self) {
        self.links.iter_mut().for_each(Link::reset);
    }

    /// Bytes that nobody's code wrote arrive at this end.
    pub(crate) fn inject(&mut self, end: usize, bytes: &[u8]) {
        assert_eq!(self.links[end].write(bytes, self.now), bytes.len());
    }

    /// One end reads once, this many bytes at most. True if something came.
    pub(crate) fn deliver(&mut self, end: usize, most: usize) -> bool {
        let (endpoint, now) = (&mut self.ends[end], self.now);
        if !endpoint.reads || endpoint.ended.is_some() || self.links[end].is_deaf {
            return false;
        }
        let arrival = self.links[end].read(most.min(self.piece), now);
        let came = arrival != crate::link::Arrival::Nothing;
        self.links[end].is_deaf = matches!(arrival, crate::link::Arrival::End | crate::link::Arrival::Reset);
        endpoint.handle_arrival(arrival, now);
        self.flush(end);
        came
    }

    /// Everything that has arrived is read, answered and read again; then each end looks at its clock, and
    /// what came of that is read.
    pub(crate) fn step(&mut self) {
        self.exchange();
        for end in 0..2 {
            if self.ends[end].ended.is_none() {
                self.ends[end].handle_time(self.now);
            }
        }
        self.exchange();
    }

    fn exchange(&mut self) {
        loop {
            (0..2).for_each(|end| self.flush(end));
            let came = [self.deliver(CLIENT, usize::MAX), self.deliver(SERVER, usize::MAX)];
            if came == [false, false] {
                break;
            }
        }
    }

    /// Moves the clock, unit by unit.
    pub(crate) fn pass(&mut self, units: u32) {
        for _ in 0..units {
            self.now = self.now.plus(1);
            self.step();
        }
    }

    /// Moves the clock until both ends have let go, and no further; the test fails after `most` units.
    pub(crate) fn pass_until_ended(&mut self, most: u32) {
        self.step();
        let limit = self.now.plus(most);
        while !self.ends.iter().all(|end| end.ended.is_some()) {
            assert!(
                self.now < limit,
                "still there: {:?}",
                self.ends.each_ref().map(|end| (end.timing, end.ended))
            );
            self.pass(1);
        }
    }

    pub(crate) fn told(&self, end: usize) -> &[Told] {
        &self.ends[end].told
    }

    pub(crate) fn ended(&self, end: usize) -> Option<Ended> {
        self.ends[end].ended
    }

    /// All that this end has sent, judged by what holds for every sender: whole frames, masked by the client
    /// alone, no reserved bit but that of a compressed message's first frame, one Close at most and nothing
    /// behind it.
    pub(crate) fn sent(&self, end: usize) -> Vec<Frame> {
        let frames = frames(&self.ends[end].sent);
        assert!(frames.iter().all(|frame| frame.is_masked == (end == CLIENT)));
        let compresses = self.ends[end].deflates;
        let may_stand = |first: u8| first & 0x70 == 0 || (compresses && matches!(first & 0x7f, 0x41 | 0x42));
        assert!(frames.iter().all(|frame| may_stand(frame.first)), "{frames:?}");
        let before_last = &frames[..frames.len().saturating_sub(1)];
        assert!(!before_last.iter().any(Frame::is_close), "something follows a Close: {frames:?}");
        frames
    }

    /// The code of the Close frame that this end has sent.
    pub(crate) fn sent_code(&self, end: usize) -> Option<u16> {
        self.sent(end).last().filter(|frame| frame.is_close()).and_then(Frame::code)
    }

    fn flush(&mut self, end: usize) {
        self.ends[end].flush(&mut self.links[1 - end], self.now);
        // Whoever let go reads no more; what is still sent to it is lost.
        self.links[end].is_deaf |= self.ends[end].ended.is_some();
    }
}
