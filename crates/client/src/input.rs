//! Bytes that came from the peer and were not taken yet.
//!
//! The buffer is lent from the thread's scratch, and only while there is something in it.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

use crate::scratch;
use crate::stream::Stream;

/// The bytes `buffer[unread]`.
#[derive(Debug, Default)]
pub(crate) struct Input {
    buffer: Vec<u8>,
    unread: Range<usize>,
}

impl Input {
    /// Bytes that came together with the handshake.
    pub(crate) fn new(first: Vec<u8>) -> Self {
        Self { unread: 0..first.len(), buffer: first }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.unread.is_empty()
    }

    pub(crate) fn unread(&mut self) -> &mut [u8] {
        &mut self.buffer[self.unread.clone()]
    }

    /// Takes note of how many of the unread bytes are left, and gives the buffer back after the last.
    pub(crate) fn keep(&mut self, remaining: usize) {
        self.unread.start = self.unread.end - remaining;
        if self.is_empty() {
            self.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.unread = 0..0;
        scratch::give_read(std::mem::take(&mut self.buffer));
    }

    /// Reads once; nothing may be unread. Zero is the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        stream: &mut Stream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        debug_assert!(self.is_empty());
        let mut bytes = scratch::take_read();
        let mut buffer = ReadBuf::new(&mut bytes);
        let result = Pin::new(stream).poll_read(context, &mut buffer);
        let length = buffer.filled().len();
        if length == 0 || !matches!(result, Poll::Ready(Ok(()))) {
            scratch::give_read(bytes);
        } else {
            (self.buffer, self.unread) = (bytes, 0..length);
        }
        result.map_ok(|()| length)
    }
}
