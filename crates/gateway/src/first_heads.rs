//! The heads of a connection's first request of HTTP/1.1 and of its answer, as they were on the wire: the HTTP library
//! knows names in lower case only.
//!
//! The stream puts in bytes as they go by; whoever keeps handshakes takes a head out once it is whole. Then nothing of
//! it is here any more.

use std::io::IoSlice;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

/// Bytes of a head that are kept, more than a handshake has room for.
const HEAD_MAX_BYTES: usize = 4096;

/// A head, or as much of it as there was room for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct WireHead {
    /// From its first line on.
    bytes: Vec<u8>,
    /// Its empty line is there, too.
    pub(crate) is_whole: bool,
    /// The handshake's, on its shard.
    pub(crate) number: u64,
}

/// See the module's head. A stream and its task share it; each does so for a moment, and on one thread.
#[derive(Debug, Default)]
pub(crate) struct FirstHeads {
    /// What is awaited, so that bytes that nobody wants cost a look at it and no more.
    awaits: AtomicU8,
    head: Mutex<Option<Box<WireHead>>>,
}

/// Nothing.
const NOTHING: u8 = 0;
/// The request, or somebody who takes it.
const REQUEST: u8 = 1;
/// The answer.
const ANSWER: u8 = 2;
/// Somebody who takes the answer.
const TAKER: u8 = 3;

impl FirstHeads {
    /// `keeps` is whether there is anybody who wants them.
    pub(crate) fn new(keeps: bool) -> Self {
        Self { awaits: AtomicU8::new(if keeps { REQUEST } else { NOTHING }), head: Mutex::default() }
    }

    /// Whether bytes that are read are wanted.
    pub(crate) fn awaits_request(&self) -> bool {
        self.awaits.load(Ordering::Relaxed) == REQUEST
    }

    /// Puts in what was read.
    pub(crate) fn came(&self, bytes: &[u8]) {
        if self.awaits_request() {
            self.change(|head| head.get_or_insert_default().take(bytes));
        }
    }

    /// Takes the first request's head, if it was wanted.
    pub(crate) fn take_request(&self) -> Option<WireHead> {
        if !self.awaits_request() {
            return None;
        }
        self.awaits.store(NOTHING, Ordering::Relaxed);
        self.change(Option::take).map(|head| *head)
    }

    /// What is written from now on answers the handshake of this number.
    pub(crate) fn await_answer(&self, number: u64) {
        self.change(|head| *head = Some(Box::new(WireHead { number, ..WireHead::default() })));
        self.awaits.store(ANSWER, Ordering::Relaxed);
    }

    /// Puts in the first `written` bytes of these.
    pub(crate) fn went(&self, slices: &[IoSlice<'_>], mut written: usize) {
        if self.awaits.load(Ordering::Relaxed) != ANSWER {
            return;
        }
        let is_over = self.change(|head| {
            let Some(head) = head else { return true };
            for slice in slices {
                let bytes = &slice[..written.min(slice.len())];
                written -= bytes.len();
                head.take(bytes);
            }
            head.is_over()
        });
        if is_over {
            self.awaits.store(TAKER, Ordering::Relaxed);
        }
    }

    /// Takes the answer's head, once, when all that is kept of it has been written.
    pub(crate) fn take_answer(&self) -> Option<WireHead> {
        if self.awaits.load(Ordering::Relaxed) != TAKER {
            return None;
        }
        self.awaits.store(NOTHING, Ordering::Relaxed);
        self.change(Option::take).map(|head| *head)
    }

    fn change<R>(&self, change: impl FnOnce(&mut Option<Box<WireHead>>) -> R) -> R {
        change(&mut self.head.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl WireHead {
    /// Takes what belongs to the head.
    fn take(&mut self, mut bytes: &[u8]) {
        if self.bytes.is_empty() {
            // Empty lines before a request are none of it (RFC 9112, section 2.2).
            let begin = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
            bytes = &bytes[begin.unwrap_or(bytes.len())..];
        }
        if self.is_over() {
            return;
        }
        // The end may have begun in what came before.
        let looked = self.bytes.len().saturating_sub(3);
        let room = HEAD_MAX_BYTES - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if let Some(end) = end_of_head(&self.bytes[looked..]) {
            self.bytes.truncate(looked + end);
            self.is_whole = true;
        }
    }

    /// Whether nothing more of it will be kept.
    fn is_over(&self) -> bool {
        self.is_whole || self.bytes.len() >= HEAD_MAX_BYTES
    }

    /// What is kept: whole lines only, for half of a line could hold what the whole would hide.
    pub(crate) fn kept(&self) -> &[u8] {
        let end = self.bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        &self.bytes[..end]
    }
}

/// The place behind the empty line. Lines may end with LF alone, as the HTTP library takes them.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let ends = |at: usize| match bytes.get(at + 1..)? {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    };
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').find_map(|(at, _)| ends(at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REQUEST_HEAD: &[u8] = b"GET /x HTTP/1.1\r\nhOST: a\r\n\r\n";

    #[test]
    fn a_request_and_its_answer_are_taken_once() {
        let heads = FirstHeads::new(true);
        heads.came(REQUEST_HEAD);
        assert_eq!(
            heads.take_request().map(|head| (head.bytes, head.is_whole)),
            Some((REQUEST_HEAD.to_vec(), true))
        );
        heads.came(b"frames");
        heads.went(&[IoSlice::new(b"HTTP/1.1 100 Continue\r\n\r\n")], 25);
        assert_eq!((heads.take_request(), heads.take_answer()), (None, None));
        heads.await_answer(7);
        let slices = [IoSlice::new(b"HTTP/1.1 403 \r\na: b\r"), IoSlice::new(b"\n\r\nbody")];
        heads.went(&slices, 16);
        assert_eq!(heads.take_answer(), None);
        heads.went(&[IoSlice::new(&slices[0][16..]), slices[1]], 12);
        let answer = heads.take_answer().expect("it is whole");
        assert_eq!((answer.bytes.as_slice(), answer.number), (&b"HTTP/1.1 403 \r\na: b\r\n\r\n"[..], 7));
        heads.went(&slices, 20);
        assert_eq!(heads.take_answer(), None);
    }

    #[test]
    fn nothing_is_kept_that_nobody_wants() {
        let heads = FirstHeads::new(false);
        heads.came(REQUEST_HEAD);
        assert_eq!(heads.take_request(), None);
    }

    #[test]
    fn of_a_long_head_whole_lines_are_kept() {
        let heads = FirstHeads::new(true);
        heads.came(b"\r\n");
        heads.came(b"GET / HTTP/1.1\n");
        (0..9000).for_each(|_| heads.came(b"x: 345\n"));
        let head = heads.take_request().expect("some");
        assert_eq!((head.bytes.len(), head.is_whole), (HEAD_MAX_BYTES, false));
        assert!(head.kept().starts_with(b"GET / HTTP/1.1\nx: 345\n") && head.kept().ends_with(b"\nx: 345\n"));
    }

    proptest! {
        #[test]
        fn wherever_bytes_are_parted_the_head_is_the_same(
            lines in prop::collection::vec("[a-zA-Z]{1,9}: ?[ -~]{0,30}", 0..9),
            end in "\r?\n", rest in prop::collection::vec(any::<u8>(), 0..40), size in 1usize..50,
        ) {
            let head = format!("GET / HTTP/1.1{end}{}{end}", lines.iter().map(|line| format!("{line}{end}")).collect::<String>());
            let all = [b"\r\n", head.as_bytes(), rest.as_slice()].concat();
            let heads = FirstHeads::new(true);
            all.chunks(size).for_each(|chunk| heads.came(chunk));
            let kept = heads.take_request().expect("it is there");
            prop_assert_eq!((kept.kept(), kept.is_whole), (head.as_bytes(), true));
            heads.await_answer(1);
            for chunk in all.chunks(size) {
                heads.went(&[IoSlice::new(chunk)], chunk.len());
            }
            prop_assert_eq!(heads.take_answer().map(|head| head.bytes), Some(head.into_bytes()));
        }
    }
}
