//! A send queue: what one session has still to be sent, as references to shared bytes.
//!
//! Publications come in from fan-out, replies from the session's protocol; the transport takes them out
//! with one vectored write at a time. An empty queue owns no memory.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Bytes, BytesMut};

/// Whole frames (or events) in wire form. Several publications of one round may be joined in it.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// What goes onto the wire.
    pub bytes: Bytes,
    /// How many messages it holds; 0 for control frames and comments.
    pub messages: u32,
}

/// How much a queue may hold before its session counts as a slow consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Bytes waiting (`ws.out_queue_bytes`).
    pub max_bytes: usize,
    /// Messages waiting (`ws.out_queue_msgs`).
    pub max_messages: u32,
}

/// The queue is full: nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// See the module's head. Between calls `written < first.len()`, `bytes` is what is unsent; while `first` is
/// empty, all is.
#[derive(Debug, Default)]
pub struct SendQueue {
    /// What is written next. It stands by itself because a lone publication is the common case.
    first: Bytes,
    /// Bytes of it that the transport has taken.
    written: usize,
    bytes: usize,
    messages: u32,
    first_messages: u32,
    #[allow(clippy::box_collection, reason = "a session that waits for nothing keeps one word for it")]
    rest: Option<Box<VecDeque<Outgoing>>>,
}

impl SendQueue {
    /// Appends `outgoing` unless the queue would pass `limits`. An empty queue takes any one piece: whoever has
    /// taken all that came before is not slow, however much comes at once.
    #[inline]
    pub fn push(&mut self, outgoing: Outgoing, limits: QueueLimits) -> Result<(), Full> {
        if !self.has_room(outgoing.bytes.len(), outgoing.messages, limits) {
            return Err(Full);
        }
        self.append(outgoing);
        Ok(())
    }

    /// Whether so many bytes in so many messages would be taken.
    #[inline]
    #[must_use]
    pub fn has_room(&self, bytes: usize, messages: u32, limits: QueueLimits) -> bool {
        let bytes = self.bytes.saturating_add(bytes);
        let messages = self.messages.saturating_add(messages);
        self.bytes == 0 || (bytes <= limits.max_bytes && messages <= limits.max_messages)
    }

    /// Appends what must go out whatever the limits say: a close frame, a last word. The caller does
    /// this at most once or twice in a queue's life.
    pub fn push_last(&mut self, outgoing: Outgoing) {
        self.append(outgoing);
    }

    #[inline]
    fn append(&mut self, outgoing: Outgoing) {
        let length = outgoing.bytes.len();
        if length == 0 {
            return;
        }
        self.messages = self.messages.saturating_add(outgoing.messages);
        if self.bytes == 0 {
            self.first_messages = outgoing.messages;
            self.first = outgoing.bytes;
        } else {
            self.rest.get_or_insert_default().push_back(outgoing);
        }
        self.bytes += length;
    }

    /// True when all was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Unsent bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Messages not yet taken whole.
    #[must_use]
    pub fn messages(&self) -> u32 {
        self.messages
    }

    /// All that waits, when it is one piece: the common case, which needs no vector.
    #[inline]
    #[must_use]
    pub fn single(&self) -> Option<&[u8]> {
        if self.rest.is_some() || self.bytes == 0 { None } else { self.first.get(self.written..) }
    }

    /// Fills `slices` with what is to be written next and gives their number.
    pub fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let first = self.first.get(self.written..).unwrap_or_default();
        let rest = self.rest.iter().flat_map(|rest| rest.iter()).map(|item| item.bytes.as_ref());
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(std::iter::once(first).chain(rest)) {
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        count
    }

    /// The transport has taken `count` bytes.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        debug_assert!(count <= self.bytes, "more was taken than was there");
        self.bytes = self.bytes.saturating_sub(count);
        if self.bytes == 0 {
            self.first = Bytes::new();
            (self.written, self.messages, self.first_messages) = (0, 0, 0);
            if self.rest.is_some() {
                self.rest = None;
            }
        } else {
            self.advance_within(count);
        }
    }

    fn advance_within(&mut self, count: usize) {
        self.written += count;
        while self.written >= self.first.len() {
            self.written -= self.first.len();
            self.messages = self.messages.saturating_sub(self.first_messages);
            let Some(next) = self.rest.as_mut().and_then(|rest| rest.pop_front()) else { return };
            (self.first, self.first_messages) = (next.bytes, next.messages);
        }
        self.rest = self.rest.take().filter(|rest| !rest.is_empty());
    }

    /// Takes all that waits as one buffer: shared where it is one piece, joined otherwise.
    pub fn take_joined(&mut self) -> Bytes {
        let mut taken = std::mem::take(self);
        let first = taken.first.split_off(taken.written.min(taken.first.len()));
        let Some(rest) = taken.rest else { return first };
        let mut joined = BytesMut::with_capacity(taken.bytes);
        joined.extend_from_slice(&first);
        rest.iter().for_each(|item| joined.extend_from_slice(&item.bytes));
        joined.freeze()
    }

    /// Takes what is written next, shared and not copied: of its first piece `most` bytes at most.
    pub fn take_portion(&mut self, most: usize) -> Bytes {
        let end = self.first.len().min(self.written.saturating_add(most));
        let portion = self.first.slice(self.written..end);
        self.advance(portion.len());
        portion
    }

    /// Drops what nobody has seen a byte of; gives the number of messages dropped. A piece that is partly
    /// on the wire stays, so that frames are never torn.
    pub fn drop_unsent(&mut self) -> u32 {
        let before = self.messages;
        self.rest = None;
        if self.written == 0 {
            *self = Self::default();
        } else {
            self.bytes = self.first.len() - self.written;
            self.messages = self.first_messages;
        }
        before - self.messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: QueueLimits = QueueLimits { max_bytes: 16, max_messages: 3 };

    fn item(text: &'static str) -> Outgoing {
        Outgoing { bytes: Bytes::from_static(text.as_bytes()), messages: 1 }
    }

    fn filled(queue: &SendQueue) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 8];
        let count = queue.fill(&mut slices);
        slices[..count].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn the_bound_holds_in_bytes_and_in_messages() {
        let mut queue = SendQueue::default();
        assert_eq!(queue.push(item("0123456789abcdef"), LIMITS), Ok(()));
        assert_eq!(queue.push(item("x"), LIMITS), Err(Full));
        let mut queue = SendQueue::default();
        for text in ["a", "b", "c"] {
            assert_eq!(queue.push(item(text), LIMITS), Ok(()));
        }
        assert_eq!(queue.push(item("d"), LIMITS), Err(Full));
        assert_eq!(filled(&queue), b"abc");
    }

    #[test]
    fn an_empty_queue_takes_one_piece_of_any_size() {
        let mut queue = SendQueue::default();
        assert_eq!(queue.push(item("0123456789abcdef+"), LIMITS), Ok(()));
        queue.advance(16);
        assert_eq!(queue.push(item("0123456789abcdef"), LIMITS), Err(Full));
        queue.advance(1);
        assert_eq!(queue.push(Outgoing { messages: 4, ..item("x") }, LIMITS), Ok(()));
    }

    #[test]
    fn any_split_of_the_writes_gives_the_same_bytes() {
        for step in 1..=9 {
            let mut queue = SendQueue::default();
            for text in ["abc", "defg", "hi"] {
                queue.push(item(text), LIMITS).unwrap();
            }
            let mut seen = Vec::new();
            while !queue.is_empty() {
                let now = filled(&queue);
                let count = step.min(now.len());
                seen.extend_from_slice(&now[..count]);
                queue.advance(count);
            }
            assert_eq!(seen, b"abcdefghi", "step {step}");
            assert_eq!(queue.messages(), 0);
        }
    }

    #[test]
    fn dropping_never_tears_a_frame() {
        let mut queue = SendQueue::default();
        for text in ["abc", "defg"] {
            queue.push(item(text), LIMITS).unwrap();
        }
        queue.advance(1);
        assert_eq!(queue.drop_unsent(), 1);
        queue.push_last(item("!"));
        assert_eq!(filled(&queue), b"bc!");
        let mut untouched = SendQueue::default();
        untouched.push(item("abc"), LIMITS).unwrap();
        assert_eq!(untouched.drop_unsent(), 1);
        assert!(untouched.is_empty());
    }

    #[test]
    fn portions_are_pieces_or_parts_of_them_and_shared() {
        let whole = Bytes::from(b"abcdef".to_vec());
        let mut queue = SendQueue::default();
        queue.push(Outgoing { bytes: whole.clone(), messages: 1 }, LIMITS).unwrap();
        queue.push(item("gh"), LIMITS).unwrap();
        let mut portions = Vec::new();
        while !queue.is_empty() {
            portions.push(queue.take_portion(4));
        }
        assert_eq!(portions, ["abcd", "ef", "gh"]);
        assert_eq!(portions[1].as_ptr(), whole[4..].as_ptr());
        assert_eq!(queue.take_portion(4), "");
    }

    #[test]
    fn joining_takes_what_is_left() {
        let mut queue = SendQueue::default();
        queue.push(item("abc"), LIMITS).unwrap();
        queue.advance(1);
        assert_eq!(queue.single(), Some(&b"bc"[..]));
        assert_eq!(queue.take_joined(), "bc");
        for text in ["abc", "de"] {
            queue.push(item(text), LIMITS).unwrap();
        }
        queue.advance(2);
        assert_eq!(queue.take_joined(), "cde");
        assert!(queue.is_empty());
    }
}
