//! A stream of HTTP/2 after its CONNECT as bytes in both directions.
//!
//! The connection below carries this one stream. Its flow control is the back-pressure: what was not read is
//! not acknowledged, and what the peer has no window for is not taken.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long the connection below may take for its own goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes that are handed to the connection below at once, and that wait there for the socket at most.
pub(crate) const CHUNK_MAX_BYTES: usize = 16 * 1024;

/// The stream. Dropped, it is reset, and the connection below ends.
pub(crate) struct Tunnel {
    send: SendStream<Bytes>,
    receive: RecvStream,
    /// What came and was not read.
    chunk: Bytes,
    _connection: Keeper,
}

/// Keeps the connection below going until it is dropped.
pub(crate) struct Keeper(#[expect(dead_code, reason = "its drop is what counts")] oneshot::Sender<()>);

impl Keeper {
    /// Drives the connection in a task of its own.
    pub(crate) fn of<C>(connection: C) -> Self
    where
        C: Future<Output = Result<(), h2::Error>> + Send + 'static,
    {
        let (keeper, is_gone) = oneshot::channel();
        tokio::spawn(async move {
            let mut connection = Box::pin(connection);
            tokio::select! {
                // What went wrong is told by the stream, too.
                _ = &mut connection => {}
                _ = is_gone => {
                    let _ = timeout(GOODBYE_TIMEOUT, connection).await;
                }
            }
        });
        Self(keeper)
    }
}

impl Tunnel {
    pub(crate) fn new(send: SendStream<Bytes>, receive: RecvStream, connection: Keeper) -> Self {
        Self { send, receive, chunk: Bytes::new(), _connection: connection }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.chunk.is_empty() {
            match ready!(this.receive.poll_data(context)) {
                Some(Ok(chunk)) => this.chunk = chunk,
                // RFC 8441, section 5: a reset is to a stream what it is to TCP.
                Some(Err(error)) => return Poll::Ready(Err(reset(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = this.chunk.len().min(buffer.remaining());
        buffer.put_slice(&this.chunk[..length]);
        this.chunk.advance(length);
        this.receive.flow_control().release_capacity(length).map_err(reset)?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let wanted = bytes.len().min(CHUNK_MAX_BYTES);
        while this.send.capacity() == 0 {
            this.send.reserve_capacity(wanted);
            match ready!(this.send.poll_capacity(context)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(reset(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let length = wanted.min(this.send.capacity());
        this.send.send_data(Bytes::copy_from_slice(&bytes[..length]), false).map_err(reset)?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection's own task writes.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.get_mut().send.send_data(Bytes::new(), true).map_err(reset))
    }
}

fn reset(error: h2::Error) -> io::Error {
    match error.reason() {
        Some(Reason::CANCEL | Reason::NO_ERROR) => io::Error::new(io::ErrorKind::ConnectionReset, error),
        _ if error.is_io() => {
            error.into_io().unwrap_or_else(|| io::Error::from(io::ErrorKind::ConnectionReset))
        }
        _ => io::Error::new(io::ErrorKind::ConnectionReset, error),
    }
}
