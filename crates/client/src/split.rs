//! A connection as two halves for two tasks: one reads events, the other writes messages.
//!
//! They share the connection behind a lock that is held for one poll and never while anything is awaited.
//! Whatever happens at the socket wakes both, because either may move what the other waits for.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use tidegate_websocket as websocket;
use tidegate_websocket::CloseCode;

use crate::connection::{Connection, SendError};
use crate::event::Event;

/// The half that gives events.
///
/// As with [`Connection::next`], a loop of [`Reader::next`] answers Pings and writes what the other half
/// could not write at once. While nobody reads, no Ping is answered and nothing is known of the peer's Close.
///
/// Dropping it leaves a writer that can only write; the TCP connection ends with the second half.
#[derive(Debug)]
pub struct Reader(Arc<Shared>);

/// The half that takes messages.
///
/// **Back-pressure.** `send` waits while 256 KiB are unwritten, and then until its message is written; a peer
/// that takes nothing for `stall_timeout` ends that with [`SendError::Stalled`].
///
/// Dropping it says nothing to the peer: [`Writer::close`] does.
#[derive(Debug)]
pub struct Writer(Arc<Shared>);

/// The two halves belong to different connections.
#[derive(Debug)]
pub struct UnsplitError(
    /// The first half, as it was given.
    pub Reader,
    /// The second.
    pub Writer,
);

#[derive(Debug)]
struct Shared {
    connection: Mutex<Connection>,
    wakers: Arc<Wakers>,
    /// Wakes both.
    waker: Waker,
}

#[derive(Debug, Default)]
struct Wakers {
    reader: Mutex<Option<Waker>>,
    writer: Mutex<Option<Waker>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Reader,
    Writer,
}

impl Connection {
    /// Two halves, to be used from different tasks. [`Reader::unsplit`] joins them again.
    #[must_use]
    pub fn split(self) -> (Reader, Writer) {
        let wakers = Arc::new(Wakers::default());
        let waker = Waker::from(Arc::clone(&wakers));
        let shared = Arc::new(Shared { connection: Mutex::new(self), wakers, waker });
        (Reader(Arc::clone(&shared)), Writer(shared))
    }
}

impl Reader {
    /// Waits for the next event. `None` after Close or Error. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|context| self.poll_event(context)).await
    }

    /// The same for those who write futures.
    pub fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.poll(Half::Reader, context, |connection, context| connection.poll_event(context))
    }

    /// As [`Connection::next_with`]: lends the event, and takes replies. Cancel safe.
    pub async fn next_with<T>(
        &mut self,
        take: impl FnOnce(websocket::Event<'_>, &mut crate::connection::Replies<'_>) -> T,
    ) -> Option<T> {
        let mut take = Some(take);
        poll_fn(|context| {
            self.0.poll(Half::Reader, context, |connection, context| {
                connection.poll_next_with(context, &mut take)
            })
        })
        .await
    }

    /// The connection in one piece again.
    pub fn unsplit(self, writer: Writer) -> Result<Connection, UnsplitError> {
        if !Arc::ptr_eq(&self.0, &writer.0) {
            return Err(UnsplitError(self, writer));
        }
        drop(writer);
        match Arc::try_unwrap(self.0) {
            Ok(shared) => Ok(shared.connection.into_inner().unwrap_or_else(PoisonError::into_inner)),
            Err(_) => unreachable!("there are two halves, and one was dropped"),
        }
    }
}

impl Writer {
    /// True until a Close frame has been sent or come, or the connection broke.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.lock().is_open()
    }

    /// Waits for room and then until the message is written.
    ///
    /// Cancel safe: dropped, the message has either not been taken at all, or is queued and goes out with the
    /// next call of either half. Who must know which calls [`Writer::ready`], [`Writer::queue`] and
    /// [`Writer::flush`].
    pub async fn send(&mut self, message: websocket::Message<'_>) -> Result<(), SendError> {
        self.ready().await?;
        self.queue(message)?;
        self.flush().await
    }

    /// Sends a text message, as [`Writer::send`] does.
    pub async fn send_text(&mut self, text: &str) -> Result<(), SendError> {
        self.send(websocket::Message::Text(text)).await
    }

    /// Sends a binary message, as [`Writer::send`] does.
    pub async fn send_binary(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.send(websocket::Message::Binary(bytes)).await
    }

    /// Sends a Ping of 125 bytes at most, as [`Writer::send`] sends messages.
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.ready().await?;
        self.0.lock().queue_ping(payload)?;
        self.flush().await
    }

    /// Begins the closing handshake; the reader gets the Close that answers it. Cancel safe: the Close frame
    /// is queued with the first poll.
    pub async fn close(&mut self, code: CloseCode, reason: &str) {
        self.0.lock().queue_close(code, reason);
        // The reader now has a time to watch.
        self.0.wakers.wake_half(Half::Reader);
        // If it cannot be written, the reader says so.
        let _ = self.flush().await;
    }

    /// Waits until there is room for a message. Cancel safe.
    pub async fn ready(&mut self) -> Result<(), SendError> {
        poll_fn(|context| self.poll_room(context)).await
    }

    /// Queues a message without waiting. It goes out with [`Writer::flush`], or when the reader is polled next.
    pub fn queue(&mut self, message: websocket::Message<'_>) -> Result<(), SendError> {
        self.0.lock().queue(message)
    }

    /// Writes what waits to be written. Cancel safe.
    pub async fn flush(&mut self) -> Result<(), SendError> {
        poll_fn(|context| self.poll_flush(context)).await
    }

    /// [`Writer::ready`] for those who write futures.
    pub fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.0.poll(Half::Writer, context, |connection, context| connection.poll_room(context))
    }

    /// [`Writer::flush`] for those who write futures.
    pub fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.0.poll(Half::Writer, context, |connection, context| connection.poll_flush(context))
    }

    /// The end of a Sink: Close 1000, if none was sent, and what waits before it.
    pub(crate) fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.0.lock().queue_close(CloseCode::NORMAL, "");
        self.0.wakers.wake_half(Half::Reader);
        ready!(self.poll_flush(context))?;
        Poll::Ready(Ok(()))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls the connection for one half, and wakes the other one if that changed what it may wait for.
    fn poll<T>(
        &self,
        half: Half,
        context: &mut Context<'_>,
        poll: impl FnOnce(&mut Connection, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.wakers.store(half, context.waker());
        let mut connection = self.lock();
        let before = connection.progress();
        let result = poll(&mut connection, &mut Context::from_waker(&self.waker));
        let has_changed = connection.progress() != before;
        drop(connection);
        if has_changed {
            self.wakers.wake_half(half.other());
        }
        result
    }
}

impl Wakers {
    fn slot(&self, half: Half) -> MutexGuard<'_, Option<Waker>> {
        let slot = match half {
            Half::Reader => &self.reader,
            Half::Writer => &self.writer,
        };
        slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, half: Half, waker: &Waker) {
        let mut slot = self.slot(half);
        if !slot.as_ref().is_some_and(|stored| stored.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    fn wake_half(&self, half: Half) {
        let waker = self.slot(half).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_half(Half::Reader);
        self.wake_half(Half::Writer);
    }
}

impl Half {
    fn other(self) -> Self {
        match self {
            Self::Reader => Self::Writer,
            Self::Writer => Self::Reader,
        }
    }
}

impl fmt::Display for UnsplitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves belong to different connections")
    }
}

impl std::error::Error for UnsplitError {}
