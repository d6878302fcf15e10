//! What HTTP needs of a client's socket beside bytes, whether it is plain or under TLS: to say something
//! last without waiting, the plain socket below, and an end to writing that a client takes nothing of.

use std::future::Future;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

/// Reads of what a client sent and nobody wants, before its socket is closed.
const UNREAD_MAX: usize = 16;

/// A client's socket, as it was accepted or after the TLS handshake.
pub(crate) trait ClientSocket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// The socket itself.
    fn socket(&self) -> &TcpStream;

    /// Writes what the socket takes at once, and says that nothing follows.
    fn say_last(&mut self, bytes: &[u8]);

    /// Gives the socket what it takes of the bytes that wait between it and those who write; whether it took
    /// any.
    fn push(&mut self, context: &mut Context<'_>) -> io::Result<bool>;

    /// Whether bytes wait there.
    fn holds_back(&self) -> bool;
}

/// How long writing to a client may make no progress. What counts is what the socket takes: under TLS a write
/// is done when its bytes are records in memory, and the client may never take one of them.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    /// Runs while the socket takes nothing of what there is for it.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, stalled: None }
    }

    /// Writes, flushes or ends by `act`. Fails when the socket took nothing for too long, for otherwise a
    /// client that takes nothing would keep its connection for ever.
    pub(crate) fn poll<S: ClientSocket, T>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
        act: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if stream.push(context)? {
            self.stalled = None;
        }
        let acted = act(Pin::new(stream), context);
        if acted.is_ready() && !stream.holds_back() {
            self.stalled = None;
            return acted;
        }
        let limit = self.limit;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        if stalled.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        acted
    }
}

impl ClientSocket for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }

    fn push(&mut self, _: &mut Context<'_>) -> io::Result<bool> {
        Ok(false)
    }

    fn holds_back(&self) -> bool {
        false
    }

    fn say_last(&mut self, bytes: &[u8]) {
        // It fits into the buffer of a socket that was not written to, or its owner does not read.
        let _ = self.try_write(bytes);
    }
}

impl ClientSocket for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn say_last(&mut self, bytes: &[u8]) {
        let (socket, tls) = self.get_mut();
        let mut records = Vec::new();
        // Writing into memory fails only where TLS itself has: then there is nothing to say.
        let _ = tls.writer().write_all(bytes);
        tls.send_close_notify();
        while tls.wants_write() && tls.write_tls(&mut records).is_ok() {}
        let _ = socket.try_write(&records);
    }

    fn push(&mut self, context: &mut Context<'_>) -> io::Result<bool> {
        let (socket, tls) = self.get_mut();
        let mut output = Output { socket, context };
        let mut took = false;
        while tls.wants_write() {
            match tls.write_tls(&mut output) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => took = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(took)
    }

    fn holds_back(&self) -> bool {
        self.get_ref().1.wants_write()
    }
}

/// A socket as TLS writes to it: it would block, and wakes the task when it would not any more.
struct Output<'a, 'b> {
    socket: &'a mut TcpStream,
    context: &'a mut Context<'b>,
}

impl Output<'_, '_> {
    fn done(written: Poll<io::Result<usize>>) -> io::Result<usize> {
        match written {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Output<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::done(Pin::new(&mut *self.socket).poll_write(self.context, bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Self::done(Pin::new(&mut *self.socket).poll_write_vectored(self.context, slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads what is there and nobody wants: a socket closed with unread bytes is reset, which may cost the
/// client our last answer (RFC 9112, section 9.6).
pub(crate) fn take_unread(socket: &TcpStream) {
    let mut unread = [0; 4096];
    for _ in 0..UNREAD_MAX {
        if !matches!(socket.try_read(&mut unread), Ok(1..)) {
            break;
        }
    }
}
