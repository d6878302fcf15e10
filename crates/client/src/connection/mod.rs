//! A connection after its handshake: events come out of `next`, messages go in.
//!
//! All state is in the struct, so that every future here may be dropped at any time. What to do about the
//! protocol's rules is decided in `tidegate-websocket`; here are the socket, the time and the bounds. What
//! the caller sees is in this file, what moves the bytes in `drive`.

mod drive;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tidegate_websocket as websocket;
use tidegate_websocket::CloseCode;
use tokio::time::{Instant, Sleep};

use crate::event::{Event, Opened, lent, owned};
use crate::input::Input;
use crate::keep_alive::{KeepAlive, Rhythm};
use crate::output::Output;
use crate::stream::Stream;
use drive::{Ending, Taken};

/// Unwritten bytes beyond which [`Connection::queue`] refuses more.
pub(crate) const UNWRITTEN_MAX_BYTES: usize = 256 * 1024;

/// Why a message was not taken, or not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// A Close frame has been sent, or the connection is over.
    Closed,
    /// 256 KiB wait to be written. Write first.
    Full,
    /// A Ping of more than 125 bytes.
    LongPing,
    /// The peer took nothing for the time of `stall_timeout`. What was queued stays queued.
    Stalled,
}

/// A WebSocket connection, either side.
///
/// **Events.** [`Connection::next`] gives them in order, until `None`. It also writes what waits to be
/// written, so that a loop of `next` keeps the connection going; without it no Ping is answered and none is
/// sent. What is queued while events can be taken without waiting leaves in one write.
///
/// **Cancel safety.** Every future may be dropped before it is ready, as in `tokio::select!`. No event and
/// no byte is lost or doubled by that: a message handed to `send_text` whose future was dropped is queued,
/// and goes out with the next call of `next` or `flush`.
///
/// **Bounds.** A message that comes has `Limits::max_message_bytes` at most. Unwritten are at most 256 KiB,
/// the last message, and 16 KiB of answers; a peer that takes none of it for `stall_timeout` is
/// given up. After our Close the peer's is awaited for
/// `close_timeout` from the last byte on that the peer took.
///
/// **Memory.** Buffers are lent from the thread that polls, and only while something in them is unread or
/// unwritten: an idle connection has none.
///
/// **Drop** ends the TCP connection at once, without a Close frame: the peer sees code 1006.
#[derive(Debug)]
pub struct Connection(Box<Link>);

/// On the heap, so that a task that holds a connection, or moves it, is small.
#[derive(Debug)]
struct Link {
    stream: Stream,
    protocol: websocket::Connection,
    pace: Pace,
    input: Input,
    output: Output,
    state: State,
    keep_alive: KeepAlive,
    /// Armed while something is awaited that has its time.
    timer: Option<Pin<Box<Sleep>>>,
    /// Since when something awaited has been late, and there was something else to read.
    late_since: Option<Instant>,
    subprotocol: Option<Box<str>>,
    opened: Option<Box<Opened>>,
}

/// Times and habits, from the options.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) auto_pong: bool,
    pub(crate) close_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) rhythm: Rhythm,
}

#[derive(Debug)]
enum State {
    Open,
    /// Our Close was queued; the peer's is awaited until then.
    AwaitingClose(Option<Instant>),
    /// The last event is told as soon as our last bytes are written, or at a time.
    Ending(Box<Ending>),
    Ended,
}

/// Where the answers to a lent event go.
#[derive(Debug)]
pub struct Replies<'r>(Option<Room<'r>>);

#[derive(Debug)]
struct Room<'r> {
    answers: websocket::Answers<'r>,
    output: &'r mut Vec<u8>,
    /// Length of `output` from which on nothing more is taken.
    full: usize,
}

impl Replies<'_> {
    /// Queues a message, as [`Connection::queue`] does. The first reply to an event always has room.
    pub fn send(&mut self, message: websocket::Message<'_>) -> Result<(), SendError> {
        let Some(Room { answers, output, full }) = &mut self.0 else { return Err(SendError::Closed) };
        if output.len() >= *full {
            return Err(SendError::Full);
        }
        answers.send(message, output).map_err(|_| SendError::Closed)
    }
}

impl Connection {
    /// A connection whose handshake is done. `first` are bytes that came behind the handshake.
    pub(crate) fn new(stream: Stream, protocol: websocket::Connection, pace: Pace, first: Vec<u8>) -> Self {
        Self(Box::new(Link {
            stream,
            protocol,
            pace,
            input: Input::new(first),
            output: Output::default(),
            state: State::Open,
            keep_alive: KeepAlive::new(),
            timer: None,
            late_since: None,
            subprotocol: None,
            opened: None,
        }))
    }

    /// With what the handshake agreed on.
    pub(crate) fn agreed(mut self, subprotocol: Option<&str>, opened: Option<Box<Opened>>) -> Self {
        self.0.subprotocol = subprotocol.map(Box::from);
        self.0.opened = opened;
        self
    }

    /// The subprotocol that was agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.0.subprotocol.as_deref()
    }

    /// What the server agreed to. None on a connection that was accepted, and once it was taken.
    #[must_use]
    pub fn opened(&self) -> Option<&Opened> {
        self.0.opened.as_deref()
    }

    /// The same, handed out for good: a connection that stays need not keep both heads of its handshake.
    pub fn take_opened(&mut self) -> Option<Opened> {
        self.0.opened.take().map(|opened| *opened)
    }

    /// True until a Close frame has been sent or come, or the connection broke: messages may be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.0.state, State::Open) && self.0.protocol.is_open()
    }

    /// True if [`Connection::queue`] takes a message now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.0.output.unwritten() < UNWRITTEN_MAX_BYTES
    }

    /// True while something waits to be written.
    #[must_use]
    pub fn has_unwritten(&self) -> bool {
        self.0.output.is_pending()
    }

    /// Waits for the next event, and writes what waits to be written. `None` after Close or Error.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|context| self.poll_event(context)).await
    }

    /// The same for those who write futures.
    pub fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll_take(context, false, |taken| match taken {
            Taken::Flowing(event, _) => owned(event),
            Taken::Last(event) => event,
        })
    }

    /// Waits for the next event and lends it: its bytes lie where they were read, and a message may be
    /// answered from there. Nothing is allocated for it.
    ///
    /// An event is taken only when there is room for a reply, so that a peer that takes no replies is not
    /// read any further. What broke a connection is told by [`Connection::next`] alone; here it is a Close
    /// with code 1006.
    ///
    /// Cancel safe: `take` has either been called, and the future is ready, or the event is still there.
    ///
    /// ```no_run
    /// # async fn echo(mut connection: tidegate_client::Connection) {
    /// use tidegate_websocket::Event;
    ///
    /// let echo = |event: Event<'_>, replies: &mut tidegate_client::Replies<'_>| match event {
    ///     Event::Message(message) => replies.send(message),
    ///     _ => Ok(()),
    /// };
    /// while let Some(Ok(())) = connection.next_with(echo).await {}
    /// # }
    /// ```
    pub async fn next_with<T>(
        &mut self,
        take: impl FnOnce(websocket::Event<'_>, &mut Replies<'_>) -> T,
    ) -> Option<T> {
        let mut take = Some(take);
        poll_fn(|context| self.poll_next_with(context, &mut take)).await
    }

    /// Takes `take` when it calls it.
    pub(crate) fn poll_next_with<T>(
        &mut self,
        context: &mut Context<'_>,
        take: &mut Option<impl FnOnce(websocket::Event<'_>, &mut Replies<'_>) -> T>,
    ) -> Poll<Option<T>> {
        let result = self.poll_take(context, true, |taken| {
            let take = take.take()?;
            Some(match taken {
                Taken::Flowing(event, mut replies) => take(event, &mut replies),
                Taken::Last(event) => take(lent(&event), &mut Replies(None)),
            })
        });
        result.map(Option::flatten)
    }

    /// Sends a text message and waits until it is written. A peer that does not read while it waits for us
    /// to read makes this fail after `stall_timeout`; [`Connection::queue`] together with `next`
    /// does not, nor do the two halves of a [split](Connection::split) connection.
    ///
    /// Cancel safe: dropped, the message is queued or written, never both, never neither.
    pub async fn send_text(&mut self, text: &str) -> Result<(), SendError> {
        self.queue(websocket::Message::Text(text))?;
        self.flush().await
    }

    /// Sends a binary message, as [`Connection::send_text`] does.
    pub async fn send_binary(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.queue(websocket::Message::Binary(bytes))?;
        self.flush().await
    }

    /// Sends a Ping of 125 bytes at most.
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.queue_ping(payload)?;
        self.flush().await
    }

    /// Begins the closing handshake; `next` gives the Close that answers it. The reason is cut to 123 bytes.
    /// A code that may not stand in a frame makes the Close frame empty. Does nothing the second time.
    pub async fn close(&mut self, code: CloseCode, reason: &str) {
        self.queue_close(code, reason);
        // If it cannot be written, `next` says so.
        let _ = self.flush().await;
    }

    /// Queues a message without waiting; `next` and `flush` write it.
    pub fn queue(&mut self, message: websocket::Message<'_>) -> Result<(), SendError> {
        self.check_queue()?;
        self.0.protocol.send(message, self.0.output.bytes()).map_err(|_| SendError::Closed)
    }

    /// Queues a Ping of 125 bytes at most.
    pub fn queue_ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.check_queue()?;
        let result = self.0.protocol.send_ping(payload, self.0.output.bytes());
        self.0.output.settle();
        result.map_err(|error| match error {
            websocket::SendError::LongControl => SendError::LongPing,
            websocket::SendError::Closed | websocket::SendError::MessageUnfinished => SendError::Closed,
        })
    }

    /// Queues our Close frame behind what waits to be written.
    pub fn queue_close(&mut self, code: CloseCode, reason: &str) {
        if matches!(self.0.state, State::Open) {
            self.0.protocol.close(code, reason, self.0.output.bytes());
            self.0.output.settle();
            self.0.state = State::AwaitingClose(Instant::now().checked_add(self.0.pace.close_timeout));
        }
    }

    /// Writes what waits to be written. Cancel safe.
    pub async fn flush(&mut self) -> Result<(), SendError> {
        poll_fn(|context| self.poll_flush(context)).await
    }

    /// The same for those who write futures.
    pub fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        loop {
            if self.0.output.is_broken {
                return Poll::Ready(Err(SendError::Closed));
            }
            if !self.0.output.is_pending() {
                return Poll::Ready(Ok(()));
            }
            if self.poll_write(context).is_pending() {
                ready!(self.poll_stalled(context));
                return Poll::Ready(Err(SendError::Stalled));
            }
        }
    }

    /// Ready when [`Connection::queue`] takes a message, or never will. It writes, and does not read.
    pub fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        loop {
            match self.check_queue() {
                Err(SendError::Full) => {}
                other => return Poll::Ready(other),
            }
            if self.poll_write(context).is_pending() {
                ready!(self.poll_stalled(context));
                return Poll::Ready(Err(SendError::Stalled));
            }
        }
    }

    /// What the halves of a split connection may wait for: bytes to be written, and the end.
    pub(crate) fn progress(&self) -> (usize, bool, bool) {
        (self.0.output.unwritten(), self.0.output.is_broken, self.is_open())
    }

    fn check_queue(&self) -> Result<(), SendError> {
        match (self.is_open() && !self.0.output.is_broken, self.has_room()) {
            (false, _) => Err(SendError::Closed),
            (true, false) => Err(SendError::Full),
            (true, true) => Ok(()),
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the connection is closing or closed",
            Self::Full => "too much waits to be written",
            Self::LongPing => "a Ping carries 125 bytes at most",
            Self::Stalled => "the peer takes nothing",
        })
    }
}

impl std::error::Error for SendError {}
