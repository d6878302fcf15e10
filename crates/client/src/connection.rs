//! A connection after its handshake: events come out of `next`, messages go in.
//!
//! All state is in the struct, so that every future here may be dropped at any time. What to do about the
//! protocol's rules is decided in `tidegate-websocket`; here are the socket, the time and the bounds.

use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, future, io};

use tidegate_websocket as websocket;
use tidegate_websocket::{CloseCode, Input};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::event::{Close, End, Event, Opened, owned};
use crate::output::Output;
use crate::stream::Stream;

/// Bytes read at a time.
const READ_BYTES: usize = 16 * 1024;

/// Unwritten bytes beyond which [`Connection::queue`] refuses more.
const UNWRITTEN_MAX_BYTES: usize = 256 * 1024;

/// Unwritten bytes of answers (Pongs) beyond which nothing is read: a peer that asks and does not take the
/// answers gets no more of them.
const ANSWERS_MAX_BYTES: usize = 16 * 1024;

/// How long the end of the peer's bytes is awaited after a broken rule, so that a reset does not take away
/// the Close frame that says which (RFC 6455, section 7.1.1).
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a message was not taken, or not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// A Close frame has been sent, or the connection is over.
    Closed,
    /// 256 KiB wait to be written. Write first.
    Full,
    /// A Ping of more than 125 bytes.
    LongPing,
    /// The peer took nothing for the time of `Options::stall_timeout`. What was queued stays queued.
    Stalled,
}

/// A WebSocket connection, client's side.
///
/// **Events.** [`Connection::next`] gives them in order, until `None`. It also writes what waits to be
/// written, so that a loop of `next` keeps the connection going; without it no Ping is answered.
///
/// **Cancel safety.** Every future may be dropped before it is ready, as in `tokio::select!`. No event and
/// no byte is lost or doubled by that: a message handed to `send_text` whose future was dropped is queued,
/// and goes out with the next call of `next` or `flush`.
///
/// **Bounds.** A message that comes has `Limits::max_message_bytes` at most. Unwritten are at most 256 KiB,
/// the last message, and 16 KiB of answers; a peer that takes none of it for `Options::stall_timeout` is
/// given up. After our Close the peer's is awaited for
/// `Options::close_timeout` from the last byte on that the peer took.
///
/// **Drop** ends the TCP connection at once, without a Close frame: the server sees code 1006.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    protocol: websocket::Connection,
    opened: Opened,
    pace: Pace,
    /// `input[unread]` came and was not taken by `protocol` yet.
    input: Vec<u8>,
    unread: Range<usize>,
    output: Output,
    state: State,
}

/// Times and habits, from the options.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) auto_pong: bool,
    pub(crate) close_timeout: Duration,
    pub(crate) stall_timeout: Duration,
}

#[derive(Debug)]
enum State {
    Open,
    /// Our Close was queued; the peer's is awaited until then.
    AwaitingClose(Instant),
    /// This event is told as soon as our last bytes are written, or at that time.
    Ending(Event, Instant),
    Ended,
}

impl Connection {
    /// A connection whose handshake is done. `first` are bytes that came behind the answer's head.
    pub(crate) fn new(
        stream: Stream,
        protocol: websocket::Connection,
        opened: Opened,
        pace: Pace,
        first: Vec<u8>,
    ) -> Self {
        let unread = 0..first.len();
        Self {
            stream,
            protocol,
            opened,
            pace,
            input: first,
            unread,
            output: Output::default(),
            state: State::Open,
        }
    }

    /// What the server agreed to.
    #[must_use]
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// True until a Close frame has been sent or come, or the connection broke: messages may be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open) && self.protocol.is_open()
    }

    /// True if [`Connection::queue`] takes a message now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.output.unwritten() < UNWRITTEN_MAX_BYTES
    }

    /// True while something waits to be written.
    #[must_use]
    pub fn has_unwritten(&self) -> bool {
        self.output.is_pending()
    }

    /// Waits for the next event, and writes what waits to be written. `None` after Close or Error.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match &self.state {
                State::Ended => return None,
                State::Ending(_, deadline) => {
                    let deadline = *deadline;
                    // At the deadline the event is told all the same.
                    let _ = timeout_at(deadline, self.say_goodbye()).await;
                    let State::Ending(event, _) = std::mem::replace(&mut self.state, State::Ended) else {
                        return None;
                    };
                    return Some(event);
                }
                State::Open | State::AwaitingClose(_) => {}
            }
            match self.take_event() {
                Some(event @ (Event::Close(_) | Event::Error(_))) => self.end(event),
                Some(event) => return Some(event),
                None => self.wait().await,
            }
        }
    }

    /// Sends a text message and waits until it is written. A peer that does not read while it waits for us
    /// to read makes this fail after `Options::stall_timeout`; [`Connection::queue`] together with `next`
    /// does not.
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
        self.protocol.send(message, &mut self.output.bytes).map_err(|_| SendError::Closed)
    }

    /// Queues a Ping of 125 bytes at most.
    pub fn queue_ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.check_queue()?;
        self.protocol.send_ping(payload, &mut self.output.bytes).map_err(|error| match error {
            websocket::SendError::LongControl => SendError::LongPing,
            websocket::SendError::Closed | websocket::SendError::MessageUnfinished => SendError::Closed,
        })
    }

    /// Queues our Close frame behind what waits to be written.
    pub fn queue_close(&mut self, code: CloseCode, reason: &str) {
        if matches!(self.state, State::Open) {
            self.protocol.close(code, reason, &mut self.output.bytes);
            self.state = State::AwaitingClose(Instant::now() + self.pace.close_timeout);
        }
    }

    /// Writes what waits to be written. Cancel safe.
    pub async fn flush(&mut self) -> Result<(), SendError> {
        let Self { stream, output, pace, .. } = self;
        loop {
            let before = output.unwritten();
            let progress = poll_fn(|context| output.poll_write(stream, context));
            match timeout(pace.stall_timeout, progress).await {
                Err(_) => return Err(SendError::Stalled),
                Ok(()) if output.is_broken => return Err(SendError::Closed),
                Ok(()) if before == 0 || !output.is_pending() => return Ok(()),
                Ok(()) => {}
            }
        }
    }

    fn check_queue(&self) -> Result<(), SendError> {
        match (self.is_open() && !self.output.is_broken, self.has_room()) {
            (false, _) => Err(SendError::Closed),
            (true, false) => Err(SendError::Full),
            (true, true) => Ok(()),
        }
    }

    /// The next event of the bytes that came; none if more must come, or if the peer must first take what
    /// it asked for.
    fn take_event(&mut self) -> Option<Event> {
        if self.output.answers > ANSWERS_MAX_BYTES {
            return None;
        }
        let mut input = Input::new(&mut self.input[self.unread.clone()]);
        let before = self.output.bytes.len();
        let event = self.protocol.handle_input(&mut input, &mut self.output.bytes).map(owned);
        self.unread.start = self.unread.end - input.remaining();
        if let Some(Event::Ping(_)) = event {
            if !self.pace.auto_pong {
                // What a call appends is the one frame that answers.
                self.output.bytes.truncate(before);
            }
            self.output.answers += self.output.bytes.len() - before;
        }
        if self.output.is_broken {
            self.output.discard();
        }
        event
    }

    /// Waits until bytes were written or read, or a time is over.
    async fn wait(&mut self) {
        let unwritten = self.output.unwritten();
        let (deadline, end) = self.deadline();
        let is_over = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            biased;
            result = poll_fn(|context| self.poll_progress(context)) => match result {
                Ok(()) if self.output.unwritten() < unwritten => self.be_patient(),
                Ok(()) => {}
                Err(end) => self.end_without_close(end),
            },
            () = is_over => self.end_without_close(end),
        }
    }

    /// When to give up, and what to say then: a peer that takes nothing, or our Close without an answer.
    fn deadline(&mut self) -> (Option<Instant>, End) {
        let stalled = self.output.stalled_since().map(|since| since + self.pace.stall_timeout);
        match (&self.state, stalled) {
            (State::AwaitingClose(deadline), _) => (Some(*deadline), End::NoAnswer),
            (_, stalled) => (stalled, End::Lost(io::ErrorKind::TimedOut)),
        }
    }

    /// The peer took something: the time for its Close begins anew.
    fn be_patient(&mut self) {
        if let State::AwaitingClose(deadline) = &mut self.state {
            *deadline = Instant::now() + self.pace.close_timeout;
        }
    }

    /// Writes and reads at once: a peer that waits for us to read is read while it is written to.
    fn poll_progress(&mut self, context: &mut Context<'_>) -> Poll<Result<(), End>> {
        let written = if self.output.is_pending() {
            self.output.poll_write(&mut self.stream, context).is_ready()
        } else {
            false
        };
        let read = if self.unread.is_empty() { self.poll_read(context) } else { Poll::Pending };
        match read {
            Poll::Pending if written => Poll::Ready(Ok(())),
            other => other,
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), End>> {
        self.input.resize(READ_BYTES, 0);
        let mut buffer = ReadBuf::new(&mut self.input);
        match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => Poll::Ready(Err(End::EndOfStream)),
            Poll::Ready(Ok(())) => {
                self.unread = 0..buffer.filled().len();
                Poll::Ready(Ok(()))
            }
            // A TLS stream that ends without its own close notification is an end as any other.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Poll::Ready(Err(End::EndOfStream))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(End::Lost(error.kind()))),
        }
    }

    fn end_without_close(&mut self, end: End) {
        // The connection ends here whatever the protocol has to say.
        let _ = self.protocol.handle_eof();
        self.output.is_broken = true;
        self.end(Event::Close(Close { code: CloseCode::ABNORMAL, reason: String::new(), end }));
    }

    fn end(&mut self, event: Event) {
        let patience = match event {
            Event::Error(_) => self.pace.close_timeout.min(GOODBYE_TIMEOUT),
            _ => self.pace.close_timeout,
        };
        self.state = State::Ending(event, Instant::now() + patience);
    }

    /// Writes our Close frame, ends our side, and after a broken rule awaits the end of the other.
    async fn say_goodbye(&mut self) {
        if self.output.is_broken || self.flush().await.is_err() || self.stream.shutdown().await.is_err() {
            return;
        }
        if matches!(self.state, State::Ending(Event::Error(_), _)) {
            self.unread = 0..0;
            while poll_fn(|context| self.poll_read(context)).await.is_ok() {
                self.unread = 0..0;
            }
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
