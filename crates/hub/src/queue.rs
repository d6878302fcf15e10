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
    /// Boxed, so that a session that waits for nothing keeps one word for it.
    rest: Option<Box<Rest>>,
}

/// What most queues do without.
#[derive(Debug, Default)]
struct Rest {
    /// What waits behind the first piece.
    pieces: VecDeque<Outgoing>,
    /// What was pushed beside the limits since the queue was empty.
    beside_bytes: usize,
    beside_messages: u32,
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
        self.bytes == 0
            || (bytes <= limits.max_bytes && messages <= limits.max_messages)
            || self.has_room_besides(bytes, messages, limits)
    }

    /// The same without what was pushed beside the limits.
    #[cold]
    fn has_room_besides(&self, bytes: usize, messages: u32, limits: QueueLimits) -> bool {
        self.rest.as_ref().is_some_and(|rest| {
            bytes.saturating_sub(rest.beside_bytes) <= limits.max_bytes
                && messages.saturating_sub(rest.beside_messages) <= limits.max_messages
        })
    }

    /// Whether [`SendQueue::push_beside`] may be given so many bytes: as many in all as the limits allow besides,
    /// or one piece of any size. Messages do not count, for whoever missed many small ones is not slow.
    #[must_use]
    pub fn has_room_beside(&self, bytes: usize, limits: QueueLimits) -> bool {
        let beside = self.rest.as_ref().map_or(0, |rest| rest.beside_bytes);
        beside == 0 || beside.saturating_add(bytes) <= limits.max_bytes
    }

    /// Appends what comes before what is live. It does not count against the limits: until it has been taken the
    /// queue has as much room for what is live as if it were not there.
    pub fn push_beside(&mut self, outgoing: Outgoing) {
        let rest = self.rest.get_or_insert_default();
        rest.beside_bytes = rest.beside_bytes.saturating_add(outgoing.bytes.len());
        rest.beside_messages = rest.beside_messages.saturating_add(outgoing.messages);
        self.append(outgoing);
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
            self.rest.get_or_insert_default().pieces.push_back(outgoing);
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

    /// Bytes of a piece of which the transport has taken a part; none where it stands between two pieces.
    #[must_use]
    pub fn begun_bytes(&self) -> usize {
        if self.written == 0 { 0 } else { self.first.len() - self.written }
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
        let rest = self.rest.iter().flat_map(|rest| &rest.pieces).map(|piece| piece.bytes.as_ref());
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
            let Some(next) = self.rest.as_mut().and_then(|rest| rest.pieces.pop_front()) else { return };
            (self.first, self.first_messages) = (next.bytes, next.messages);
        }
        self.rest = self.rest.take().filter(|rest| !rest.pieces.is_empty() || rest.beside_bytes > 0);
    }

    /// Takes all that waits as one buffer: shared where it is one piece, joined otherwise.
    pub fn take_joined(&mut self) -> Bytes {
        let mut taken = std::mem::take(self);
        let first = taken.first.split_off(taken.written.min(taken.first.len()));
        let Some(rest) = taken.rest.filter(|rest| !rest.pieces.is_empty()) else { return first };
        let mut joined = BytesMut::with_capacity(taken.bytes);
        joined.extend_from_slice(&first);
        rest.pieces.iter().for_each(|piece| joined.extend_from_slice(&piece.bytes));
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
    fn what_comes_before_what_is_live_leaves_it_all_its_room() {
        let mut queue = SendQueue::default();
        assert!(queue.has_room_beside(usize::MAX, LIMITS));
        queue.push_beside(Outgoing { messages: 9, ..item("0123456789") });
        assert!(queue.has_room_beside(6, LIMITS) && !queue.has_room_beside(7, LIMITS));
        queue.push_beside(item("missed"));
        assert_eq!(queue.push(item("live"), LIMITS), Ok(()));
        assert_eq!(queue.push(item("live, but long"), LIMITS), Err(Full));
        for text in ["l", "i"] {
            assert_eq!(queue.push(item(text), LIMITS), Ok(()));
        }
        assert_eq!(queue.push(item("v"), LIMITS), Err(Full), "four messages are too many");
        assert_eq!(filled(&queue), b"0123456789missedliveli");
        queue.advance(21);
        assert_eq!((queue.push(item("0123456789"), LIMITS), queue.messages()), (Ok(()), 2));
        assert!(!queue.has_room_beside(16, LIMITS), "not all of it was taken");
        queue.advance(11);
        assert!(queue.has_room_beside(usize::MAX, LIMITS) && queue.single().is_none());
        queue.push_beside(item("alone"));
        assert_eq!(queue.take_joined(), "alone");
        assert!(queue.has_room_beside(usize::MAX, LIMITS));
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
        let (mut portions, mut begun) = (Vec::new(), Vec::new());
        while !queue.is_empty() {
            begun.push(queue.begun_bytes());
            portions.push(queue.take_portion(4));
        }
        assert_eq!(begun, [0, 2, 0]);
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
