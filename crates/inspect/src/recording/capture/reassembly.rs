//! One direction of a TCP connection put in order: what came twice is dropped, what came early waits, and what never came is
//! told as missing.
//!
//! How long something waits is for the flow to say, which sees both directions; how much may, is bounded here.

use std::collections::BTreeMap;

use super::segment::{SYN, Segment};
use crate::timestamp::Timestamp;

/// Bytes and pieces of a direction that wait for what comes before them, at most.
const WAITING_MAX_BYTES: usize = 256 << 10;
const WAITING_MAX_PIECES: usize = 1000;

/// What comes next of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'p> {
    Bytes(&'p [u8]),
    /// So many bytes were not captured, beginning at this offset of the stream.
    Missing {
        at: u64,
        count: u64,
    },
    /// The sender has ended the stream.
    End,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    /// The sequence number at `offset`; none before the first segment.
    next: Option<u32>,
    /// Bytes of the stream that were told, missing ones counted.
    offset: u64,
    /// By their offsets.
    waiting: BTreeMap<u64, Waiting>,
    waiting_bytes: usize,
    /// Where the stream ends.
    end: Option<u64>,
    has_ended: bool,
}

#[derive(Debug)]
struct Waiting {
    since: Timestamp,
    payload: Vec<u8>,
    length: u64,
}

impl Reassembly {
    /// Takes a segment of this direction and tells what can be told with it.
    pub(super) fn handle_segment(
        &mut self,
        segment: &Segment<'_>,
        is_end: bool,
        at: Timestamp,
        tell: &mut dyn FnMut(Next<'_>),
    ) {
        let is_first = segment.flags & SYN != 0;
        let sequence = segment.sequence.wrapping_add(u32::from(is_first));
        let next = *self.next.get_or_insert(sequence);
        // Numbers are compared within half of their circle (RFC 9293, section 3.4).
        let ahead = i64::from(sequence.wrapping_sub(next).cast_signed());
        let length = segment.length as u64;
        if is_end {
            self.end = self.offset.checked_add_signed(ahead).map(|begin| begin + length).or(self.end);
        }
        match u64::try_from(ahead) {
            Ok(0) => self.deliver(segment.payload, length, tell),
            Ok(ahead) => self.wait(self.offset + ahead, segment, at, tell),
            // Some of it was told already.
            Err(_) => {
                let known = ahead.unsigned_abs();
                if known < length {
                    let cut = usize::try_from(known).unwrap_or(usize::MAX).min(segment.payload.len());
                    self.deliver(&segment.payload[cut..], length - known, tell);
                }
            }
        }
        self.go_on(tell);
    }

    /// True if the other end has taken bytes, up to this number, that were not captured by now, and others have waited
    /// for them since before this time.
    pub(super) fn is_missing(&self, acknowledged: u32, before: Timestamp) -> bool {
        let Some(next) = self.next else { return false };
        let has_taken = acknowledged.wrapping_sub(next).cast_signed() > 0;
        has_taken && self.waiting.values().next().is_some_and(|first| first.since <= before)
    }

    /// Gives up what is missing in front of what waits.
    pub(super) fn give_up(&mut self, tell: &mut dyn FnMut(Next<'_>)) {
        if let Some(first) = self.waiting.keys().next().copied().or(self.end) {
            self.miss(first, tell);
            self.go_on(tell);
        }
    }

    /// Gives up all that is missing.
    pub(super) fn handle_end(&mut self, tell: &mut dyn FnMut(Next<'_>)) {
        while !self.waiting.is_empty() || self.end.is_some_and(|end| end > self.offset) {
            self.give_up(tell);
        }
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    fn wait(&mut self, begin: u64, segment: &Segment<'_>, since: Timestamp, tell: &mut dyn FnMut(Next<'_>)) {
        let length = segment.length as u64;
        let is_longer = self.waiting.get(&begin).is_none_or(|other| other.length < length);
        if length == 0 || !is_longer {
            return;
        }
        self.waiting_bytes += segment.payload.len();
        let waiting = Waiting { since, payload: segment.payload.to_vec(), length };
        if let Some(shorter) = self.waiting.insert(begin, waiting) {
            self.waiting_bytes -= shorter.payload.len();
        }
        while self.waiting_bytes > WAITING_MAX_BYTES || self.waiting.len() > WAITING_MAX_PIECES {
            self.give_up(tell);
        }
    }

    /// Tells what waited and is next.
    fn go_on(&mut self, tell: &mut dyn FnMut(Next<'_>)) {
        while let Some(first) = self.waiting.first_entry().filter(|first| *first.key() <= self.offset) {
            let (begin, waiting) = first.remove_entry();
            self.waiting_bytes -= waiting.payload.len();
            let known = self.offset - begin;
            if known < waiting.length {
                let cut = usize::try_from(known).unwrap_or(usize::MAX).min(waiting.payload.len());
                self.deliver(&waiting.payload[cut..], waiting.length - known, tell);
            }
        }
        if self.end.is_some_and(|end| end <= self.offset) && !std::mem::replace(&mut self.has_ended, true) {
            tell(Next::End);
        }
    }

    /// Tells `length` bytes that come next, of which these were captured.
    fn deliver(&mut self, payload: &[u8], length: u64, tell: &mut dyn FnMut(Next<'_>)) {
        self.move_on(payload.len() as u64);
        if !payload.is_empty() {
            tell(Next::Bytes(payload));
        }
        self.miss(self.offset + (length - payload.len() as u64), tell);
    }

    /// What is in front of this offset is missing.
    fn miss(&mut self, until: u64, tell: &mut dyn FnMut(Next<'_>)) {
        let (at, count) = (self.offset, until.saturating_sub(self.offset));
        if count > 0 {
            self.move_on(count);
            tell(Next::Missing { at, count });
        }
    }

    fn move_on(&mut self, count: u64) {
        self.offset += count;
        self.next = self.next.map(|next| next.wrapping_add(count as u32));
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::*;

    const AT: Timestamp = Timestamp::from_micros(1_000_000);

    fn segment(sequence: u32, payload: &[u8], length: usize) -> Segment<'_> {
        let end = (IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
        Segment { from: end, to: end, sequence, acknowledged: 0, flags: 0, payload, length }
    }

    /// Bytes as they were told, a question mark for each that is missing, a full stop for the end.
    #[derive(Default)]
    struct Stream(Reassembly, Vec<u8>);

    impl Stream {
        fn take(&mut self, sequence: u32, payload: &[u8], length: usize, is_end: bool) {
            let Self(reassembly, told) = self;
            reassembly.handle_segment(&segment(sequence, payload, length), is_end, AT, &mut |next| {
                note(told, &next)
            });
        }

        fn end(mut self) -> Vec<u8> {
            self.0.handle_end(&mut |next| note(&mut self.1, &next));
            self.1
        }
    }

    fn note(told: &mut Vec<u8>, next: &Next<'_>) {
        match next {
            Next::Bytes(bytes) => told.extend_from_slice(bytes),
            Next::Missing { at, count } => {
                assert_eq!(*at, told.len() as u64, "the offset is that of the stream");
                told.extend(std::iter::repeat_n(b'?', usize::try_from(*count).expect("few")));
            }
            Next::End => told.push(b'.'),
        }
    }

    #[test]
    fn what_came_twice_early_or_overlaps_is_in_order() {
        let mut stream = Stream::default();
        let first = u32::MAX - 2;
        for (ahead, payload) in
            [(0, "ab"), (4, "ef"), (0, "ab"), (1, "bcde"), (8, "ij"), (7, "hi"), (6, "g"), (9, "")]
        {
            stream.take(first.wrapping_add(ahead), payload.as_bytes(), payload.len(), false);
        }
        stream.take(first.wrapping_add(10), b"", 0, true);
        assert_eq!(String::from_utf8_lossy(&stream.1), "abcdefghij.");
    }

    #[test]
    fn what_is_missing_is_told_with_its_place() {
        let mut stream = Stream::default();
        stream.take(100, b"ab", 2, false);
        stream.take(104, b"ef", 4, false);
        stream.take(110, b"k", 1, true);
        assert_eq!(stream.1, b"ab", "it may come still");
        assert!(!stream.0.is_missing(102, AT) && stream.0.is_missing(103, AT));
        assert!(!stream.0.is_missing(103, Timestamp::default()), "it has not waited for long");
        assert_eq!(String::from_utf8_lossy(&stream.end()), "ab??ef????k.");
    }

    #[test]
    fn what_waits_has_a_bound() {
        let mut stream = Stream::default();
        stream.take(0, b"a", 1, false);
        for piece in 0..WAITING_MAX_PIECES as u32 + 1 {
            stream.take(2 + 2 * piece, b"b", 1, false);
        }
        assert!(stream.1.starts_with(b"a?b"), "the first gap is given up");
        assert_eq!(stream.0.waiting.len(), WAITING_MAX_PIECES);
        let mut stream = Stream::default();
        stream.take(0, b"", 0, false);
        for piece in 0..6u32 {
            stream.take(1 + piece * 60_000, &[b'b'; 60_000], 60_000, false);
            assert!(stream.0.waiting_bytes() <= WAITING_MAX_BYTES);
        }
        assert_eq!(stream.1.len(), 1 + 6 * 60_000);
    }

    proptest! {
        /// Whatever is lost, cut, doubled or late: what is told is the stream, or says that it is missing.
        #[test]
        fn any_order_gives_the_stream(
            first: u32, text in "[a-z]{1,60}",
            pieces in prop::collection::vec((any::<prop::sample::Index>(), 0usize..9, 0usize..9), 0..40),
        ) {
            let text = text.as_bytes();
            let mut stream = Stream::default();
            stream.take(first, b"", 0, false);
            for (at, length, kept) in pieces {
                let at = at.index(text.len());
                let piece = &text[at..(at + length).min(text.len())];
                let kept = &piece[..kept.min(piece.len())];
                stream.take(first.wrapping_add(at as u32), kept, piece.len(), false);
            }
            stream.take(first.wrapping_add(text.len() as u32), b"", 0, true);
            let told = stream.end();
            prop_assert_eq!(told.len(), text.len() + 1);
            prop_assert!(told.iter().zip(text).all(|(told, sent)| *told == b'?' || told == sent));
            prop_assert_eq!(told.last(), Some(&b'.'));
        }
    }
}
