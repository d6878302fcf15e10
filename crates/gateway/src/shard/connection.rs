//! What a shard keeps for one session: its transport, its clock readings and what is known about it.
//!
//! An idle connection owns no buffer. Nothing here reads or writes a socket; `read` and `flush` do.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::SystemTime;

use rustls::ServerConnection;
use tidegate_hub::{ChannelName, Position};
use tidegate_inspect::words::known::Known;
use tidegate_websocket::timing::{Timeouts, Timing};
use tidegate_websocket::{self as websocket, CloseCode};
use tokio::sync::Notify;

use super::ending::Ended;
use super::tally::Tally;
use super::wheel::{Tick, ticks};
use crate::access::Credentials;
use crate::compression::Agreed;
use crate::limits::Limits;
use crate::process::Seat;
use crate::route::Route;

/// The attachment of a session.
pub(crate) struct Connection {
    pub(crate) transport: Transport,
    /// Shared with what it said and waits for its server.
    pub(crate) about: Rc<About>,
    /// Readings of the wheel's time.
    pub(crate) clock: Timing,
    /// The entry of the wheel that counts.
    pub(crate) look: Tick,
    pub(crate) frames: Bucket,
    pub(crate) control_frames: Bucket,
    pub(crate) subscribes: Bucket,
    /// Nothing is read, because what was said before has still to be handed on.
    pub(crate) paused: bool,
    /// It waits among those that are read later.
    pub(crate) unread: bool,
    /// What came and was beyond what it may say in one turn: of one read, or of one window of HTTP/2.
    pub(crate) rest: Rest,
    /// Its letters that wait for their server.
    pub(crate) letters: u16,
    /// Of which inbox its last turn was, where turns are bounded by letters.
    pub(crate) spoke: u32,
    pub(crate) end: End,
    /// How its end was noted.
    pub(crate) ended: Option<Ended>,
    pub(crate) tally: Tally,
}

/// What bytes leave through.
pub(crate) enum Transport {
    /// A plain descriptor in the shard's poller, and the protocol's state.
    Socket { stream: mio::net::TcpStream, websocket: websocket::Connection },
    /// The same under TLS, whose state keeps its own buffers.
    Tls { stream: mio::net::TcpStream, tls: Box<ServerConnection>, websocket: websocket::Connection },
    /// An HTTP body that hyper pulls: the waker of its task while it waits, and what ends the HTTP
    /// connection under it when its client takes nothing.
    Body { waker: Option<Waker>, cut: Rc<Notify> },
    /// A stream of HTTP/2, which a task of its own reads and writes: the waker of that task.
    Stream { waker: Option<Waker>, websocket: Box<websocket::Connection> },
    /// A long poll, which the task that answers it looks at.
    LongPoll(Box<LongPoll>),
}

/// What is known of a long poll beside its queue.
#[derive(Debug, Default)]
pub(crate) struct LongPoll {
    /// Of its task, while that waits.
    pub(crate) waker: Option<Waker>,
    /// Where it stands; `None` until its channel's home has answered.
    pub(crate) begun: Option<Begun>,
    /// Why it was closed, if it was.
    pub(crate) closed: Option<Closed>,
    /// Why the source of its channel fails.
    pub(crate) trouble: Option<Arc<str>>,
    /// Its source has begun to fail, or is well again, while it waited: that is an answer.
    pub(crate) turned: bool,
    /// Ends the HTTP connection or stream under it, when its client takes nothing of the answer.
    pub(crate) cut: Rc<Notify>,
}

/// Where a long poll stands: what the home answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begun {
    /// The place before what is in its queue.
    pub(crate) position: Position,
    pub(crate) recovered: bool,
    /// The channel holds whole documents.
    pub(crate) document: bool,
}

/// A close that a long poll has to say in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) code: CloseCode,
    pub(crate) reason: Box<str>,
    /// The error that it is, if it is one.
    pub(crate) known: Option<&'static Known>,
    pub(crate) reconnect_in_ms: Option<u64>,
}

/// Bytes that wait; those that have none keep one word for them.
#[derive(Debug, Default)]
#[allow(clippy::box_collection, reason = "see above")]
pub(crate) struct Rest(Option<Box<Vec<u8>>>);

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
    /// In milliseconds since 1970.
    pub(crate) opened: u64,
    /// The version of TLS that it came by; `None` without TLS.
    pub(crate) tls: Option<TlsVersion>,
    /// Whether it is a stream of an HTTP/2 connection, which may carry others.
    pub(crate) http2: bool,
    pub(crate) agreed: Agreed,
    /// The place among the open connections, given back with the connection and its last letter; a session on
    /// an HTTP body leaves it to the HTTP connection.
    #[allow(dead_code, reason = "it is given back by being dropped")]
    pub(crate) seat: Option<Seat>,
}

/// A version of TLS that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsVersion {
    V1_2,
    V1_3,
}

/// The present time in milliseconds.
pub(crate) fn since_1970() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl TlsVersion {
    /// The word for it on the admin listener.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
        }
    }
}

impl Rest {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Puts bytes behind those that wait.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            let rest = self.0.get_or_insert_default();
            rest.reserve_exact(bytes.len());
            rest.extend_from_slice(bytes);
        }
    }

    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.0.take().map(|rest| *rest).unwrap_or_default()
    }
}

impl Transport {
    /// The protocol's state, where it is the WebSocket protocol.
    pub(crate) fn websocket(&self) -> Option<&websocket::Connection> {
        match self {
            Self::Socket { websocket, .. } | Self::Tls { websocket, .. } => Some(websocket),
            Self::Stream { websocket, .. } => Some(websocket),
            Self::Body { .. } | Self::LongPoll(_) => None,
        }
    }

    /// The same to drive it.
    pub(crate) fn websocket_mut(&mut self) -> Option<&mut websocket::Connection> {
        match self {
            Self::Socket { websocket, .. } | Self::Tls { websocket, .. } => Some(websocket),
            Self::Stream { websocket, .. } => Some(websocket),
            Self::Body { .. } | Self::LongPoll(_) => None,
        }
    }

    /// Whether records wait that TLS has made and the socket has not taken.
    pub(crate) fn has_records(&self) -> bool {
        matches!(self, Self::Tls { tls, .. } if tls.wants_write())
    }

    /// Wakes the task that takes the bytes, where there is one.
    pub(crate) fn wake(&mut self) {
        let waker = match self {
            Self::Body { waker, .. } | Self::Stream { waker, .. } => waker,
            Self::LongPoll(poll) => &mut poll.waker,
            Self::Socket { .. } | Self::Tls { .. } => return,
        };
        if let Some(waker) = waker.take() {
            waker.wake();
        }
    }
}

/// The times of the settings, in ticks of the wheel.
pub(crate) fn timeouts(limits: &Limits) -> Timeouts {
    Timeouts {
        pong: ticks(limits.ws_pong_timeout),
        message: ticks(limits.ws_message_timeout),
        write: ticks(limits.ws_write_timeout),
        close: ticks(limits.ws_close_timeout),
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
    /// When its token ends, if it came with one: it is closed then.
    pub(crate) fn expires(&self) -> Option<SystemTime> {
        self.about.credentials.authority().map(|authority| authority.expires)
    }

    /// Whether what the client says next begins a message.
    pub(crate) fn is_between_messages(&self) -> bool {
        let websocket = self.transport.websocket();
        self.rest.is_empty() && websocket.is_some_and(websocket::Connection::is_between_messages)
    }

    pub(crate) fn new(transport: Transport, about: About) -> Self {
        Self {
            transport,
            about: Rc::new(about),
            clock: Timing::default(),
            look: Tick::NEVER,
            frames: Bucket::default(),
            control_frames: Bucket::default(),
            subscribes: Bucket::default(),
            paused: false,
            unread: false,
            rest: Rest::default(),
            letters: 0,
            spoke: 0,
            end: End::Open,
            ended: None,
            tally: Tally::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_hub::Session;

    use super::*;

    #[test]
    fn a_session_is_small() {
        // All that an idle WebSocket has for itself, beside its entry of the wheel and its place in an audience. A
        // build with checks keeps eight bytes more, in each socket of mio.
        assert!(size_of::<Session<Connection>>() <= 320, "{}", size_of::<Session<Connection>>());
        assert!(size_of::<About>() <= 120, "{}", size_of::<About>());
    }

    #[test]
    fn what_waits_is_taken_in_order_and_leaves_nothing() {
        let mut rest = Rest::default();
        rest.push(b"");
        assert!(rest.is_empty());
        rest.push(b"ab");
        rest.push(b"c");
        assert!(!rest.is_empty());
        assert_eq!((rest.take(), rest.is_empty()), (b"abc".to_vec(), true));
    }

    #[test]
    fn a_bucket_lets_its_burst_through_at_once_and_its_rate_after() {
        let mut bucket = Bucket::default();
        let mut through = |now| (0..1000).filter(|_| bucket.take(100, 200, Tick(now))).count();
        assert_eq!(through(1), 200);
        assert_eq!(through(2), 10);
        assert_eq!(through(12), 100);
        assert_eq!(through(1000), 200);
    }
}
