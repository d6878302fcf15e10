//! What a shard keeps for one session: its transport, its clock readings and what is known about it.
//!
//! An idle connection owns no buffer. Nothing here reads or writes a socket; `read` and `flush` do.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, SystemTime};

use tidegate_hub::ChannelName;
use tidegate_websocket as websocket;
use tokio::sync::Notify;

use super::wheel::Tick;
use crate::access::Credentials;
use crate::limits::Limits;
use crate::process::Seat;
use crate::route::Route;

/// The attachment of a session.
pub(crate) struct Connection {
    pub(crate) transport: Transport,
    pub(crate) about: Box<About>,
    pub(crate) clock: Clock,
    pub(crate) frames: Bucket,
    pub(crate) control_frames: Bucket,
    pub(crate) subscribes: Bucket,
    /// Nothing is read, because what was said before has still to be handed on.
    pub(crate) paused: bool,
    pub(crate) end: End,
    /// The code that the end was noted with.
    pub(crate) ended_with: Option<u16>,
}

/// What bytes leave through.
pub(crate) enum Transport {
    /// A plain descriptor in the shard's poller, and the protocol's state.
    Socket { stream: mio::net::TcpStream, websocket: websocket::Connection },
    /// An HTTP body that hyper pulls: the waker of its task while it waits, and what ends the HTTP
    /// connection under it when its client takes nothing.
    Body { waker: Option<Waker>, cut: Rc<Notify> },
}

/// How far the end of a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Open.
    Open,
    /// A close is queued; nothing is queued after it.
    Closing(u16),
    /// All is written and our side is shut; the peer's end is awaited.
    AwaitEof(u16),
}

/// What does not change in a connection's life.
pub(crate) struct About {
    /// The channel of the request's own path, as clients name it.
    pub(crate) channel: ChannelName,
    pub(crate) route: Arc<Route>,
    pub(crate) remote: IpAddr,
    /// Where requests on this client's behalf take their credentials and their Origin from.
    pub(crate) credentials: Credentials,
    pub(crate) opened: SystemTime,
    /// The place among the open connections, given back with the connection; a session on an HTTP body
    /// leaves it to the HTTP connection.
    pub(crate) _seat: Option<Seat>,
}

/// Readings of the wheel's time. `Tick(0)` stands for never.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock {
    /// A ping went out that nothing has answered.
    pub(crate) pinged: Tick,
    /// When the next ping is due.
    pub(crate) ping_due: Tick,
    /// The transport took nothing since.
    pub(crate) stalled: Tick,
    /// A message is unfinished since.
    pub(crate) message_begun: Tick,
    /// The close was sent.
    pub(crate) closing: Tick,
    /// The entry of the wheel that counts.
    pub(crate) look: Tick,
}

/// What a look at the clock found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing.
    Nothing,
    /// To ping (or to send a keep-alive comment).
    Ping,
    /// No answer to the ping: the peer is gone.
    PongTimeout,
    /// The peer takes nothing.
    WriteTimeout,
    /// A message is not finished.
    MessageTimeout,
    /// The closing handshake is not finished.
    CloseTimeout,
}

impl Clock {
    /// The peer was not read, so what it owed may have come: the time for it begins anew.
    pub(crate) fn excuse(&mut self, now: Tick) {
        for owed in [&mut self.pinged, &mut self.message_begun] {
            if *owed != Tick(0) {
                *owed = now;
            }
        }
    }

    /// What is due at `now`.
    pub(crate) fn due(&self, now: Tick, limits: &Limits) -> Due {
        let passed = |since: Tick, limit: Duration| since != Tick(0) && now >= since.plus(limit);
        if passed(self.closing, limits.ws_close_timeout) {
            Due::CloseTimeout
        } else if passed(self.stalled, limits.ws_write_timeout) {
            Due::WriteTimeout
        } else if passed(self.pinged, limits.ws_pong_timeout) {
            Due::PongTimeout
        } else if passed(self.message_begun, limits.ws_message_timeout) {
            Due::MessageTimeout
        } else if self.closing == Tick(0) && self.pinged == Tick(0) && now >= self.ping_due {
            Due::Ping
        } else {
            Due::Nothing
        }
    }

    /// When to look again.
    pub(crate) fn next_look(&self, limits: &Limits) -> Tick {
        let timers = [
            (self.closing, limits.ws_close_timeout),
            (self.stalled, limits.ws_write_timeout),
            (self.pinged, limits.ws_pong_timeout),
            (self.message_begun, limits.ws_message_timeout),
        ];
        let running =
            timers.iter().filter(|(since, _)| *since != Tick(0)).map(|(since, limit)| since.plus(*limit));
        let ping = (self.closing == Tick(0) && self.pinged == Tick(0)).then_some(self.ping_due);
        running.chain(ping).min().unwrap_or(self.ping_due)
    }
}

/// A bound on how often something may happen: `rate` a second, `burst` at once.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bucket {
    /// In tenths, so that slow rates fill evenly.
    used_tenths: u32,
    at: Tick,
}

impl Bucket {
    /// Takes one; false if there was none left.
    pub(crate) fn take(&mut self, rate: u32, burst: u32, now: Tick) -> bool {
        let passed = now.0.saturating_sub(self.at.0);
        self.used_tenths = self.used_tenths.saturating_sub(passed.saturating_mul(rate));
        self.at = now;
        if self.used_tenths >= burst.saturating_mul(10) {
            return false;
        }
        self.used_tenths += 10;
        true
    }
}

impl Connection {
    pub(crate) fn new(transport: Transport, about: Box<About>) -> Self {
        let clock = Clock::default();
        Self {
            transport,
            about,
            clock,
            frames: Bucket::default(),
            control_frames: Bucket::default(),
            subscribes: Bucket::default(),
            paused: false,
            end: End::Open,
            ended_with: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_its_burst_through_at_once_and_its_rate_after() {
        let mut bucket = Bucket::default();
        let mut through = |now| (0..1000).filter(|_| bucket.take(100, 200, Tick(now))).count();
        assert_eq!(through(1), 200);
        assert_eq!(through(2), 10);
        assert_eq!(through(12), 100);
        assert_eq!(through(1000), 200);
    }

    #[test]
    fn timers_fire_in_their_order() {
        let limits = Limits::default();
        let mut clock = Clock { ping_due: Tick(251), ..Clock::default() };
        assert_eq!(clock.due(Tick(250), &limits), Due::Nothing);
        assert_eq!(clock.next_look(&limits), Tick(251));
        assert_eq!(clock.due(Tick(251), &limits), Due::Ping);
        clock.pinged = Tick(251);
        assert_eq!(clock.next_look(&limits), Tick(351));
        assert_eq!(clock.due(Tick(351), &limits), Due::PongTimeout);
        clock.stalled = Tick(240);
        assert_eq!(clock.due(Tick(340), &limits), Due::WriteTimeout);
        clock.closing = Tick(300);
        assert_eq!(clock.due(Tick(339), &limits), Due::Nothing);
        assert_eq!(clock.due(Tick(350), &limits), Due::CloseTimeout);
    }
}
