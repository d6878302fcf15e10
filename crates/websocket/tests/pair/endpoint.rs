//! One end: a `Connection` driven as the crate's head says, with the time-outs of `timing`, and a note of
//! everything that it was told and that it sent.

use tidegate_websocket::timing::{Due, Tick, Timeouts, Timing};
use tidegate_websocket::{CloseCode, Connection, Input, Limits};

use crate::link::{Arrival, Link};
use crate::told::Told;

/// What these tests allow in a message.
pub(crate) const LIMITS: Limits = Limits { max_message_bytes: 2000, max_fragments: 8 };

/// Times of these tests, in units of the moved clock.
pub(crate) const TIMEOUTS: Timeouts = Timeouts { pong: 10, message: 30, write: 12, close: 5 };

/// Units between two Pings.
pub(crate) const PING_INTERVAL: u32 = 20;

/// Payload of the Pings that the time brings.
pub(crate) const TIMED_PING: &[u8] = b"timed";

/// What the contexts of compression may take beside the messages: 256 KiB to deflate in the largest window,
/// 48 KiB to inflate from it.
const CONTEXTS_MAX_BYTES: usize = (256 + 48 + 16) * 1024;

/// Why an end let the TCP connection go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The peer had ended its side, and we ended ours.
    WithPeer,
    /// It was reset.
    Reset,
    /// We gave up.
    TimedOut(Due),
}

/// See the module's head.
pub(crate) struct Endpoint {
    pub(crate) connection: Connection,
    pub(crate) timing: Timing,
    pub(crate) told: Vec<Told>,
    /// All that the connection ever appended, whether or not the link took it.
    pub(crate) sent: Vec<u8>,
    pub(crate) ended: Option<Ended>,
    /// Reads what arrives. A gateway whose application is busy does not.
    pub(crate) reads: bool,
    /// It sent a Close before it was told of one.
    pub(crate) began_closing: bool,
    /// Compression was agreed on.
    pub(crate) deflates: bool,
    /// Ends the TCP connection after the closing handshake, as a server does.
    ends_first: bool,
    /// Waits to be taken by the link.
    output: Vec<u8>,
    peer_has_ended: bool,
    has_ended: bool,
}

impl Endpoint {
    pub(crate) fn new(connection: Connection, ends_first: bool, now: Tick) -> Self {
        let timing = Timing { ping_due: now.plus(PING_INTERVAL), ..Timing::default() };
        Self {
            connection,
            timing,
            told: Vec::new(),
            sent: Vec::new(),
            ended: None,
            reads: true,
            began_closing: false,
            deflates: false,
            ends_first,
            output: Vec::new(),
            peer_has_ended: false,
            has_ended: false,
        }
    }

    /// Lets the application, or the time, do something to the connection.
    pub(crate) fn act<T>(&mut self, now: Tick, act: impl FnOnce(&mut Connection, &mut Vec<u8>) -> T) -> T {
        let before = self.output.len();
        let result = act(&mut self.connection, &mut self.output);
        self.sent.extend_from_slice(&self.output[before..]);
        self.note(now);
        result
    }

    /// The Close or Error that it was told; it is the last of what it was told.
    pub(crate) fn end(&self) -> Option<&Told> {
        self.told.last().filter(|told| matches!(told, Told::Close(..) | Told::Lost | Told::Error(_)))
    }

    /// Takes what came from the peer.
    pub(crate) fn handle_arrival(&mut self, arrival: Arrival, now: Tick) {
        match arrival {
            Arrival::Bytes(mut bytes) => {
                self.timing.pinged = Tick::NEVER;
                let mut input = Input::new(&mut bytes);
                let next = |connection: &mut Connection, output: &mut Vec<u8>, input: &mut Input<'_>| {
                    connection.handle_input(input, output).map(Told::from)
                };
                while let Some(event) =
                    self.act(now, |connection, output| next(connection, output, &mut input))
                {
                    self.tell(event);
                }
                assert!(input.is_empty());
            }
            Arrival::Nothing => {}
            Arrival::End => self.let_go(Ended::WithPeer, now),
            Arrival::Reset => self.let_go(Ended::Reset, now),
        }
        self.check_memory();
    }

    /// Does what is due.
    pub(crate) fn handle_time(&mut self, now: Tick) {
        if self.timing.next_look(&TIMEOUTS).is_none_or(|look| now < look) {
            assert_eq!(self.timing.due(now, &TIMEOUTS), Due::Nothing, "a look that was not asked for");
            return;
        }
        if !self.reads {
            self.timing.excuse(now);
        }
        match self.timing.due(now, &TIMEOUTS) {
            Due::Nothing => assert!(!self.reads, "only an excuse makes a look vain"),
            Due::Ping => {
                self.timing.ping_due = now.plus(PING_INTERVAL);
                if self.act(now, |connection, output| connection.send_ping(TIMED_PING, output)).is_ok() {
                    self.timing.pinged = now;
                }
            }
            Due::MessageTimeout => {
                let code = CloseCode::POLICY_VIOLATION;
                self.act(now, |connection, output| connection.close(code, "message_timeout", output));
                // It was said; whether the message still ends no longer matters.
                self.timing.message_begun = Tick::NEVER;
            }
            due @ (Due::PongTimeout | Due::WriteTimeout | Due::CloseTimeout) => {
                self.let_go(Ended::TimedOut(due), now);
            }
        }
    }

    /// Hands the link what it takes, and ends our side when nothing more will come.
    pub(crate) fn flush(&mut self, link: &mut Link, now: Tick) {
        if self.has_ended {
            self.output.clear();
        } else {
            self.write(link, now);
            let is_done = self.connection.is_closed() && (self.ends_first || self.peer_has_ended);
            if self.ended.is_some() || (is_done && self.output.is_empty()) {
                self.end_our_side(link, now);
            }
        }
        if self.has_ended && self.peer_has_ended {
            self.ended.get_or_insert(Ended::WithPeer);
        }
    }

    fn write(&mut self, link: &mut Link, now: Tick) {
        let taken = link.write(&self.output, now);
        self.output.drain(..taken);
        if self.output.is_empty() {
            self.timing.stalled = Tick::NEVER;
        } else if taken > 0 || !self.timing.stalled.is_noted() {
            self.timing.stalled = now;
        }
    }

    /// Ends our side of the TCP connection, whatever the protocol has to say.
    pub(crate) fn end_our_side(&mut self, link: &mut Link, now: Tick) {
        self.has_ended = true;
        self.output.clear();
        self.timing.stalled = Tick::NEVER;
        link.end(now);
    }

    /// Nothing more is read. After a clean Close our answer may still have to be written.
    fn let_go(&mut self, why: Ended, now: Tick) {
        let was_closed = self.connection.is_closed();
        if let Some(event) = self.connection.handle_eof().map(Told::from) {
            self.tell(event);
        }
        self.note(now);
        self.peer_has_ended = true;
        if why != Ended::WithPeer || !was_closed {
            self.output.clear();
            self.ended.get_or_insert(why);
        }
    }

    fn tell(&mut self, event: Told) {
        assert_eq!(self.end(), None, "{event:?} after the end");
        let is_end = matches!(event, Told::Close(..) | Told::Lost | Told::Error(_));
        assert_eq!(self.connection.is_closed(), is_end);
        self.told.push(event);
        if is_end {
            // The closing handshake had its time; the end of TCP has as much.
            self.timing.closing = Tick::NEVER;
        }
    }

    /// Notes what the time is to know of.
    fn note(&mut self, now: Tick) {
        self.began_closing |= self.connection.is_closing();
        if !self.connection.has_unfinished_message() {
            self.timing.message_begun = Tick::NEVER;
        } else if !self.timing.message_begun.is_noted() && !self.timing.closing.is_noted() {
            self.timing.message_begun = now;
        }
        if !self.connection.is_open() && !self.timing.closing.is_noted() {
            self.timing.closing = now;
        }
    }

    fn check_memory(&self) {
        let most = LIMITS.max_message_bytes + 125 + 14;
        assert!(self.connection.unfinished_bytes() <= most);
        let contexts = if self.deflates { CONTEXTS_MAX_BYTES } else { 0 };
        assert!(
            self.connection.heap_bytes() <= 2 * most + 250 + contexts,
            "{}",
            self.connection.heap_bytes()
        );
        assert!(self.deflates || self.end().is_none() || self.connection.heap_bytes() == 0);
    }
}
