//! A WebSocket on a stream of HTTP/2: the task that owns the stream brings what the client sent and takes
//! what waits for it, as much as the stream has room for. What the bytes mean is the business of `read`.

use std::io::IoSlice;
use std::task::Waker;

use bytes::{Bytes, BytesMut};
use tidegate_hub::SessionId;

use super::connection::{End, Transport};
use super::ending::{Cause, Ended, Gone};
use super::flush::Waiting;
use super::wheel::Tick;
use super::{SCRATCH_BYTES, Shard};

/// Pieces of a queue that are looked at for one portion.
const SLICES: usize = 64;

/// What a stream's task finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamPart {
    /// So many bytes wait; not none.
    Waiting(usize),
    /// Nothing now; the waker is kept.
    Pending,
    /// All was taken and nothing follows: both sides have said Close, or a rule was broken.
    End,
    /// The session is over.
    Gone,
}

impl Shard {
    /// What there is to write to a stream. `waiting` is woken when that changes, and when reading is taken
    /// up again.
    pub(crate) fn look_at_stream(&mut self, id: SessionId, waiting: &Waker) -> StreamPart {
        let Some(session) = self.hub.session_mut(id) else { return StreamPart::Gone };
        let connection = &mut session.attachment;
        if let Transport::Stream { waker, .. } = &mut connection.transport
            && !waker.as_ref().is_some_and(|kept| kept.will_wake(waiting))
        {
            *waker = Some(waiting.clone());
        }
        if !session.queue.is_empty() {
            return StreamPart::Waiting(session.queue.bytes());
        }
        let closed = connection.transport.websocket().is_some_and(tidegate_websocket::Connection::is_closed);
        match connection.end {
            End::Closing(code) if closed => {
                connection.end = End::AwaitEof(code);
                StreamPart::End
            }
            _ => StreamPart::Pending,
        }
    }

    /// Takes what waits for a stream, `most` bytes at most.
    pub(crate) fn take_for_stream(&mut self, id: SessionId, most: usize) -> Bytes {
        let now = self.wheel.now();
        let Some(session) = self.hub.session_mut(id) else { return Bytes::new() };
        let waiting = Waiting::of(&session.queue);
        let clock = &mut session.attachment.clock;
        let bytes = if session.queue.bytes() <= most {
            clock.stalled = Tick(0);
            session.queue.take_joined()
        } else {
            // It took something, so its time begins anew.
            clock.stalled = now;
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = session.queue.fill(&mut slices);
            let portion = portion_of(&slices[..count], most);
            session.queue.advance(portion.len());
            portion
        };
        if session.attachment.tally.is_tapped {
            self.taps.went(id, &bytes, now);
        }
        waiting.count_sent(&session.queue, &mut self.counters, &mut session.attachment.tally, now);
        let (is_empty, is_behind) = (session.queue.is_empty(), session.is_behind());
        if !is_empty {
            self.look_anew(id);
        }
        if is_empty && is_behind {
            self.catch_up(id);
        }
        bytes
    }

    /// Hands what came on a stream to the protocol.
    pub(crate) fn handle_stream_bytes(&mut self, id: SessionId, bytes: &[u8]) {
        let mut scratch = std::mem::take(&mut self.scratch);
        if scratch.is_empty() {
            scratch = vec![0; SCRATCH_BYTES].into();
        }
        // Frames are unmasked where they lie, and a piece of the connection's buffer is not ours to change.
        for piece in bytes.chunks(SCRATCH_BYTES) {
            let copy = &mut scratch[..piece.len()];
            copy.copy_from_slice(piece);
            self.hear(id, copy);
        }
        self.scratch = scratch;
    }

    /// Whether what comes on a stream is to be kept back for now.
    pub(crate) fn is_paused(&self, id: SessionId) -> bool {
        self.hub.session(id).is_some_and(|session| {
            let connection = &session.attachment;
            connection.paused || !connection.rest.is_empty()
        })
    }

    /// Whether what came before has still to be handled.
    pub(crate) fn keeps_rest(&self, id: SessionId) -> bool {
        self.hub.session(id).is_some_and(|session| !session.attachment.rest.is_empty())
    }

    /// Whether the end of a session has begun.
    pub(crate) fn is_ending(&self, id: SessionId) -> bool {
        self.hub.session(id).is_none_or(|session| session.attachment.end != End::Open)
    }

    /// The client has ended its side of the stream.
    pub(crate) fn stream_ended(&mut self, id: SessionId) {
        self.log_end_of_peer(id);
    }

    /// The stream is over, whoever ended it.
    pub(crate) fn stream_dropped(&mut self, id: SessionId, gone: Gone) {
        let ended = Ended { code: 1006, cause: Cause::Bytes };
        self.log_close(id, ended, "the stream was reset, or the connection under it ended");
        // What it said last is still in the inbox.
        self.departed.push((id, gone));
    }
}

/// The first bytes of a queue.
fn portion_of(slices: &[IoSlice<'_>], most: usize) -> Bytes {
    let mut portion = BytesMut::with_capacity(most.min(slices.iter().map(|slice| slice.len()).sum()));
    for slice in slices {
        let room = most - portion.len();
        portion.extend_from_slice(&slice[..slice.len().min(room)]);
    }
    portion.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portion_is_the_first_bytes() {
        let slices = [IoSlice::new(b"abc"), IoSlice::new(b"de"), IoSlice::new(b"f")];
        for (most, portion) in [(1, "a"), (3, "abc"), (4, "abcd"), (6, "abcdef"), (9, "abcdef")] {
            assert_eq!(portion_of(&slices, most), portion);
        }
    }
}
