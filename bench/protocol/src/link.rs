//! A socket that is memory: reading copies from prepared bytes, as a kernel would, 64 KiB at most at a time, and
//! writing copies into a small buffer that nobody reads. It is always ready; nothing here waits.

use std::hint::black_box;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes of one read, and the size of the buffer that is written to.
pub const READ_BYTES: usize = 64 * 1024;

/// The link. Reading begins anew at the end of the wire.
pub struct Link {
    wire: &'static [u8],
    /// Below `wire.len()`.
    position: usize,
    written: Box<[u8]>,
}

impl Link {
    /// A link that gives these bytes, again and again.
    pub fn new(wire: &'static [u8]) -> Self {
        Self { wire, position: 0, written: vec![0; READ_BYTES].into() }
    }

    /// One read.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let rest = &self.wire[self.position..];
        let count = rest.len().min(READ_BYTES).min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.advance(count);
        count
    }

    fn advance(&mut self, count: usize) {
        self.position += count;
        if self.position == self.wire.len() {
            self.position = 0;
        }
    }

    /// One write, which takes everything.
    pub fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(READ_BYTES) {
            self.written[..piece.len()].copy_from_slice(piece);
        }
        black_box(&mut self.written);
    }
}

impl AsyncRead for Link {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let link = self.get_mut();
        let rest = &link.wire[link.position..];
        let count = rest.len().min(READ_BYTES).min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        link.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Link {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let link = self.get_mut();
        slices.iter().for_each(|slice| link.write(slice));
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Polls a future to its end; over a link it never has to wait.
pub fn complete<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
