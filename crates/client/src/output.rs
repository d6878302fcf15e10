//! Bytes that wait to be written to the peer, and how long it has taken none of them.
//!
//! It writes what there is to a stream; what is put there is the caller's. The buffer is lent from the
//! thread's scratch, and only while there is something in it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use tokio::time::Instant;

use crate::scratch;
use crate::stream::Stream;

/// Written bytes at the front of the buffer that are dropped before more is appended, if they are at least
/// as many as those behind them: a buffer that never becomes empty must not grow without end.
const MOVED_BYTES: usize = 16 * 1024;

/// Bytes that wait to be written.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    /// At most `bytes.len()`.
    written: usize,
    /// Of the unwritten ones, those that answer the peer. Two batches, the second empty if the first is: what
    /// comes while the first is not wholly written goes to the second.
    answers: [Answers; 2],
    needs_flush: bool,
    /// Writing failed. What the peer said last may still be read.
    pub(crate) is_broken: bool,
    /// Since when something waits and the peer took nothing. Known from the first wait on.
    stalled_since: Option<Instant>,
}

/// Answers among what waits: how many bytes, and where in the buffer the last of them ends.
#[derive(Debug, Default, Clone, Copy)]
struct Answers {
    length: usize,
    end: usize,
}

impl Output {
    /// Where to append. [`Output::settle`] is to be called when that is done.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = scratch::take_write();
        }
        if self.written >= MOVED_BYTES && self.written >= self.unwritten() {
            self.bytes.drain(..self.written);
            for batch in &mut self.answers {
                batch.end = batch.end.saturating_sub(self.written);
            }
            self.written = 0;
        }
        &mut self.bytes
    }

    /// Gives the buffer back if nothing was appended, or if nothing can be written any more.
    pub(crate) fn settle(&mut self) {
        if self.unwritten() == 0 || self.is_broken {
            self.discard();
        }
    }

    pub(crate) fn unwritten(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Takes note that so many bytes at the end of the buffer answer the peer.
    pub(crate) fn note_answers(&mut self, length: usize) {
        let [first, second] = &mut self.answers;
        let batch = if first.length == 0 { first } else { second };
        batch.length += length;
        batch.end = self.bytes.len();
    }

    /// Unwritten bytes of answers, never fewer than there are: a batch counts until its last byte is written.
    pub(crate) fn answers(&self) -> usize {
        self.answers.iter().map(|batch| batch.length).sum()
    }

    /// Bytes at the front of the buffer that were written.
    pub(crate) fn written(&self) -> usize {
        self.written
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

    /// True if the peer was seen to take nothing of what waits.
    pub(crate) fn has_waited(&self) -> bool {
        self.stalled_since.is_some()
    }

    /// Ready when something was written or flushed, or writing failed. Pending, nothing was taken.
    pub(crate) fn poll_write(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<()> {
        let result = if self.unwritten() > 0 {
            let rest = &self.bytes[self.written..];
            ready!(Pin::new(stream).poll_write(context, rest)).map(|length| {
                self.written += length;
                while self.answers[0].length > 0 && self.answers[0].end <= self.written {
                    self.answers = [self.answers[1], Answers::default()];
                }
                self.needs_flush = true;
                // A stream that takes nothing of something will not take anything.
                self.is_broken |= length == 0;
            })
        } else {
            ready!(Pin::new(stream).poll_flush(context)).map(|()| self.needs_flush = false)
        };
        self.is_broken |= result.is_err();
        self.stalled_since = None;
        self.settle();
        Poll::Ready(())
    }

    /// Nothing is written any more. What waits is lost, and whoever waits for it is to be told.
    pub(crate) fn abandon(&mut self) {
        self.is_broken |= self.is_pending();
        self.settle();
    }

    /// Forgets what is there, and gives the buffer back.
    fn discard(&mut self) {
        scratch::give_write(std::mem::take(&mut self.bytes));
        self.written = 0;
        self.answers = Default::default();
    }
}
