//! Bytes that wait to be written to the peer, and how long it has taken none of them.
//!
//! It writes what there is to a stream; what is put there is the caller's.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use tokio::time::Instant;

use crate::stream::Stream;

/// Capacity that is kept when all is written.
const KEPT_BYTES: usize = 16 * 1024;

/// Bytes that wait to be written.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) bytes: Vec<u8>,
    /// At most `bytes.len()`.
    written: usize,
    /// Of the unwritten ones, those that answer the peer; zero again when all are written.
    pub(crate) answers: usize,
    needs_flush: bool,
    /// Writing failed. What the peer said last may still be read.
    pub(crate) is_broken: bool,
    /// Since when something waits and the peer took nothing. Known from the first wait on.
    stalled_since: Option<Instant>,
}

impl Output {
    pub(crate) fn unwritten(&self) -> usize {
        self.bytes.len() - self.written
    }

    pub(crate) fn is_pending(&self) -> bool {
        !self.is_broken && (self.unwritten() > 0 || self.needs_flush)
    }

    /// Since when the peer takes nothing; none if nothing waits for it.
    pub(crate) fn stalled_since(&mut self) -> Option<Instant> {
        if !self.is_pending() {
            return None;
        }
        Some(*self.stalled_since.get_or_insert_with(Instant::now))
    }

    /// Ready when something was written or flushed, or writing failed. Pending, nothing was taken.
    pub(crate) fn poll_write(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<()> {
        let result = if self.unwritten() > 0 {
            let rest = &self.bytes[self.written..];
            ready!(Pin::new(stream).poll_write(context, rest)).map(|length| {
                self.written += length;
                self.needs_flush = true;
            })
        } else {
            ready!(Pin::new(stream).poll_flush(context)).map(|()| self.needs_flush = false)
        };
        self.is_broken |= result.is_err();
        self.stalled_since = None;
        if self.unwritten() == 0 || self.is_broken {
            self.discard();
        }
        Poll::Ready(())
    }

    /// Forgets what is there, and gives back what a large message took.
    pub(crate) fn discard(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.written = 0;
        self.answers = 0;
    }
}
