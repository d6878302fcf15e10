//! What a client's connection brings before h2 sees it: in portions, and with a count of the frames that carry
//! nothing and cost work all the same. It also ends a connection that takes nothing of what is written to it.
//!
//! h2 bounds what such frames may hold, not how many may come: without this a client could reset streams or
//! ping for ever.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::PREFACE;
use crate::client_socket::{ClientSocket, Patience, take_unread};
use crate::shard::connection::Bucket;
use crate::shard::wheel::Tick;

/// Bytes of a frame's header (RFC 9113, section 4.1).
const HEADER_BYTES: usize = 9;

/// Bytes that are read before those who are to take them get their turn: what h2 has read and nobody has taken
/// costs the connection its budget for small frames, however prompt they are.
const TURN_BYTES: usize = 8 * 1024;

/// Counts the frames of one connection that carry nothing.
#[derive(Debug)]
pub(super) struct Meter {
    state: RefCell<State>,
    /// What may still be read in this turn.
    left: Cell<usize>,
    rate: u32,
    begun: Instant,
}

#[derive(Debug)]
struct State {
    /// Bytes to pass over: the preface, then each frame's payload.
    skip: usize,
    /// `header[..length]` came of the next frame's header.
    header: [u8; HEADER_BYTES],
    length: usize,
    allowance: Bucket,
    flooded: bool,
}

impl Meter {
    /// A meter that allows `rate` such frames a second, twice that in a burst.
    pub(super) fn new(rate: u32) -> Self {
        let header = [0; HEADER_BYTES];
        let allowance = Bucket::default();
        let state = State { skip: PREFACE.len(), header, length: 0, allowance, flooded: false };
        Self { state: RefCell::new(state), left: Cell::new(TURN_BYTES), rate, begun: Instant::now() }
    }

    /// The connection is polled once more.
    pub(super) fn begin_turn(&self) {
        self.left.set(TURN_BYTES);
    }

    /// Whether more came than may.
    pub(super) fn is_flooded(&self) -> bool {
        self.state.borrow().flooded
    }

    /// Takes what was read.
    fn count(&self, bytes: &[u8]) {
        let tenths = u32::try_from(self.begun.elapsed().as_millis() / 100).unwrap_or(u32::MAX - 1);
        let mut state = self.state.borrow_mut();
        let idle = state.frames(bytes);
        for _ in 0..idle {
            if !state.allowance.take(self.rate, self.rate.saturating_mul(2), Tick(tenths + 1)) {
                state.flooded = true;
                return;
            }
        }
    }
}

impl State {
    /// Walks over frames and gives the number of those that carry nothing.
    fn frames(&mut self, mut bytes: &[u8]) -> usize {
        let mut idle = 0;
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return idle;
            }
            let taken = (HEADER_BYTES - self.length).min(bytes.len());
            self.header[self.length..self.length + taken].copy_from_slice(&bytes[..taken]);
            self.length += taken;
            bytes = &bytes[taken..];
            if self.length == HEADER_BYTES {
                self.length = 0;
                let [high, middle, low, kind, flags, ..] = self.header;
                self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                idle += usize::from(carries_nothing(kind, flags, self.skip));
            }
        }
    }
}

/// Whether a frame is work without content (RFC 9113, section 6).
fn carries_nothing(kind: u8, flags: u8, length: usize) -> bool {
    const FIRST_FLAG: u8 = 1;
    match kind {
        // DATA and HEADERS are what streams are made of, unless they are empty; the first flag ends a stream.
        0 => length == 0 && flags & FIRST_FLAG == 0,
        // HEADERS, PUSH_PROMISE (which is refused), GOAWAY, WINDOW_UPDATE, which answers to what we sent.
        1 | 5 | 7 | 8 => false,
        // CONTINUATION: h2 bounds them for each head.
        9 => length == 0,
        // The answer to our SETTINGS, once.
        4 => flags & FIRST_FLAG == 0,
        // PRIORITY, RST_STREAM, PING and what nobody knows.
        _ => true,
    }
}

/// A client's stream with its meter.
#[derive(Debug)]
pub(crate) struct Metered<S: ClientSocket> {
    stream: S,
    meter: Rc<Meter>,
    patience: Patience,
}

impl<S: ClientSocket> Metered<S> {
    /// `patience` is how long writing may make no progress.
    pub(super) fn new(stream: S, meter: Rc<Meter>, patience: Duration) -> Self {
        Self { stream, meter, patience: Patience::new(patience) }
    }
}

impl<S: ClientSocket> Drop for Metered<S> {
    fn drop(&mut self) {
        take_unread(self.stream.socket());
    }
}

impl<S: ClientSocket> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.meter.is_flooded() {
            // Nothing more is read; whoever polls looks at the meter next.
            return Poll::Pending;
        }
        if self.meter.left.get() == 0 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = &buffer.filled()[before..];
        self.meter.left.set(self.meter.left.get().saturating_sub(read.len()));
        self.meter.count(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: ClientSocket> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, patience, .. } = &mut *self;
        patience.poll(stream, context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, patience, .. } = &mut *self;
        patience.poll(stream, context, |stream, context| stream.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, patience, .. } = &mut *self;
        patience.poll(stream, context, |stream, context| stream.poll_shutdown(context))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, patience, .. } = &mut *self;
        patience.poll(stream, context, |stream, context| stream.poll_write_vectored(context, slices))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![0, (length >> 8) as u8, length as u8, kind, flags, 0, 0, 0, 1];
        bytes.resize(HEADER_BYTES + length, 0xAA);
        bytes
    }

    fn counted(pieces: &[&[u8]]) -> usize {
        let meter = Meter::new(1);
        let mut state = meter.state.borrow_mut();
        pieces.iter().map(|piece| state.frames(piece)).sum()
    }

    #[test]
    fn what_carries_nothing_is_counted() {
        for (kind, flags, length, counts) in [
            (0, 0, 0, 1),
            (0, 1, 0, 0),
            (0, 0, 5, 0),
            (1, 4, 30, 0),
            (2, 0, 5, 1),
            (3, 0, 4, 1),
            (4, 0, 6, 1),
            (4, 1, 0, 0),
            (6, 0, 8, 1),
            (8, 0, 4, 0),
            (9, 0, 0, 1),
            (9, 4, 5, 0),
            (0xF0, 0, 300, 1),
        ] {
            let bytes = frame(kind, flags, length);
            assert_eq!(counted(&[PREFACE, &bytes, &bytes]), 2 * counts, "{kind} {flags} {length}");
        }
    }

    #[test]
    fn a_flood_shows_and_ordinary_use_does_not() {
        let meter = Meter::new(10);
        meter.count(PREFACE);
        (0..20).for_each(|_| meter.count(&frame(6, 0, 8)));
        assert!(!meter.is_flooded());
        meter.count(&frame(6, 0, 8));
        assert!(meter.is_flooded());
        let meter = Meter::new(10);
        meter.count(PREFACE);
        (0..1000).for_each(|_| meter.count(&frame(0, 0, 10)));
        assert!(!meter.is_flooded());
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_counts_the_same(
            frames in prop::collection::vec((0u8..12, 0u8..8, 0usize..600), 0..20),
            cuts in prop::collection::vec(1usize..40, 0..60),
        ) {
            let mut bytes = PREFACE.to_vec();
            frames.iter().for_each(|&(kind, flags, length)| bytes.extend(frame(kind, flags, length)));
            let expected = frames.iter().filter(|&&(kind, flags, length)| carries_nothing(kind, flags, length));
            let (mut pieces, mut rest) = (Vec::new(), bytes.as_slice());
            for cut in cuts {
                let (piece, behind) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            pieces.push(rest);
            prop_assert_eq!(counted(&pieces), expected.count());
        }
    }
}
