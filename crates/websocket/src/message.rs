//! Messages, and how fragments become one (RFC 6455, section 5.4).
//!
//! The rules between the data frames of a message are here: their order, their number, the size of what
//! they add up to, and the UTF-8 of text. Payloads come in unmasked, in pieces of any length.

use std::fmt;

use crate::close::{CloseCode, Rule};
use crate::deflate::{InflateError, Inflater, Sink};
use crate::frame::Header;
use crate::mask;
use crate::opcode::Opcode;
use crate::utf8::Validator;

/// A whole message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// UTF-8.
    Text(&'a str),
    /// Any bytes.
    Binary(&'a [u8]),
}

/// The farthest that DEFLATE refers back, in bytes (RFC 1951, section 2).
const WINDOW_MAX_BYTES: usize = 32 * 1024;

/// Text or binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// What a peer may send in one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Payload bytes of a message, whatever its fragments. Beyond: close code 1009, as soon as a header
    /// claims so much. It also bounds what one connection keeps of an unfinished message.
    ///
    /// Of a compressed message it bounds what comes out, as soon as it does. What goes in may be longer by
    /// a quarter and 1 KiB, so that payloads pass that do not shrink.
    pub max_message_bytes: usize,
    /// Frames of a message, empty ones too. Beyond: close code 1008. An unfragmented message passes always.
    pub max_fragments: u32,
}

impl Default for Limits {
    /// 64 KiB in 256 fragments: clients of a push gateway send little.
    fn default() -> Self {
        Self { max_message_bytes: 64 * 1024, max_fragments: 256 }
    }
}

/// A data frame that breaks a rule of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageError {
    /// A continuation, and no message has begun.
    NothingToContinue,
    /// A new message before the last one ended.
    Interrupted,
    /// More frames than [`Limits::max_fragments`].
    TooManyFragments {
        /// The limit.
        max_fragments: u32,
    },
    /// More bytes than [`Limits::max_message_bytes`].
    TooBig {
        /// The limit.
        max_message_bytes: usize,
    },
    /// Text that is not UTF-8.
    NotUtf8,
    /// A compressed payload that is not DEFLATE.
    NotDeflate,
    /// A compressed payload that ends within a block, or lacks what follows its last block.
    DeflateIncomplete,
}

impl<'a> Message<'a> {
    /// Text or binary.
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Text(_) => MessageKind::Text,
            Self::Binary(_) => MessageKind::Binary,
        }
    }

    /// The payload.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl MessageKind {
    /// The opcode of the message's first frame.
    #[must_use]
    pub const fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}

/// A message that has begun: what came of it so far.
#[derive(Debug)]
pub(crate) struct Assembly {
    body: Body,
    /// Headers that came, at least 1.
    fragments: u32,
    /// The last fragment has come whole.
    finished: bool,
    /// Bytes of a binary body that have been unmasked: all but what was read into [`Assembly::room`].
    taken: usize,
    /// Of a compressed message: the payload bytes that its headers claimed so far.
    wire_bytes: Option<u64>,
}

#[derive(Debug)]
enum Body {
    Text { text: String, utf8: Validator },
    Binary(Vec<u8>),
}

/// What came of a frame's payload at once.
pub(crate) struct Piece<'b> {
    pub(crate) bytes: &'b mut [u8],
    /// The masking key, if it is still masked.
    pub(crate) key: Option<[u8; 4]>,
    /// Its place within the frame's payload.
    pub(crate) offset: u64,
    /// Bytes of that payload that have not come.
    pub(crate) more: u64,
}

impl<'b> Piece<'b> {
    /// The payload, unmasked where it lies.
    pub(crate) fn unmasked(self) -> &'b [u8] {
        if let Some(key) = self.key {
            mask::apply(self.bytes, key, (self.offset % 4) as usize);
        }
        self.bytes
    }
}

/// Judges the header of a data frame against the message that it belongs to, if one has begun.
pub(crate) fn check_header(
    header: &Header,
    begun: Option<&Assembly>,
    limits: &Limits,
) -> Result<(), MessageError> {
    match (header.opcode, begun) {
        (Opcode::Continuation, None) => return Err(MessageError::NothingToContinue),
        (Opcode::Text | Opcode::Binary, Some(_)) => return Err(MessageError::Interrupted),
        _ => {}
    }
    let fragments = begun.map_or(0, |message| message.fragments);
    if fragments >= limits.max_fragments.max(1) {
        return Err(MessageError::TooManyFragments { max_fragments: limits.max_fragments });
    }
    if header.payload_length > room_for_payload(header, begun, limits) {
        return Err(MessageError::TooBig { max_message_bytes: limits.max_message_bytes });
    }
    Ok(())
}

/// What a header may claim. A compressed payload may be longer than what it stands for: stored blocks take
/// five bytes each, and every flush one.
fn room_for_payload(header: &Header, begun: Option<&Assembly>, limits: &Limits) -> u64 {
    let most = limits.max_message_bytes as u64;
    let most_compressed = most.saturating_add(most / 4).saturating_add(1024);
    match begun {
        None if header.compressed => most_compressed,
        None => most,
        Some(message) => match message.wire_bytes {
            Some(claimed) => most_compressed.saturating_sub(claimed),
            None => most.saturating_sub(message.length() as u64),
        },
    }
}

impl Assembly {
    /// A message of this kind, of which the first header has come.
    pub(crate) fn new(kind: MessageKind, header: &Header) -> Self {
        let body = match kind {
            MessageKind::Text => Body::Text { text: String::new(), utf8: Validator::default() },
            MessageKind::Binary => Body::Binary(Vec::new()),
        };
        let wire_bytes = header.compressed.then_some(header.payload_length);
        Self { body, fragments: 1, finished: false, taken: 0, wire_bytes }
    }

    /// A further header of the message has come.
    pub(crate) fn count_fragment(&mut self, header: &Header) {
        self.fragments = self.fragments.saturating_add(1);
        if let Some(claimed) = &mut self.wire_bytes {
            *claimed = claimed.saturating_add(header.payload_length);
        }
    }

    /// The payload is to be decompressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.wire_bytes.is_some()
    }

    /// Adds what came of the current frame's payload, decompressed.
    pub(crate) fn append_compressed(
        &mut self,
        payload: &[u8],
        inflater: &mut Inflater,
        limits: &Limits,
    ) -> Result<(), MessageError> {
        inflater.push(payload, &mut Inflated { message: self, limits })
    }

    /// Adds a piece that is not compressed. Binary payload is unmasked while it is copied, so that it is touched
    /// only once; text has to be looked at in between.
    pub(crate) fn append_piece(&mut self, piece: Piece<'_>, limits: &Limits) -> Result<(), MessageError> {
        let more = usize::try_from(piece.more).unwrap_or(usize::MAX);
        match (&mut self.body, piece.key) {
            (Body::Binary(bytes), Some(key)) => {
                bytes.reserve_exact(room(bytes.len(), bytes.capacity(), piece.bytes.len(), more, limits));
                mask::append(piece.bytes, key, (piece.offset % 4) as usize, bytes);
                self.taken = bytes.len();
                Ok(())
            }
            _ => self.append(piece.unmasked(), more, limits),
        }
    }

    /// The payload of a binary message that is not compressed, with room for `incoming` more bytes at least.
    pub(crate) fn room(&mut self, incoming: usize, more: usize, limits: &Limits) -> Option<&mut Vec<u8>> {
        let Body::Binary(bytes) = &mut self.body else { return None };
        if self.wire_bytes.is_some() {
            return None;
        }
        bytes.reserve_exact(room(bytes.len(), bytes.capacity(), incoming, more - incoming, limits));
        Some(bytes)
    }

    /// Unmasks what was added to that since it had `self.taken` bytes, as part of a payload that begins at
    /// `offset`; gives how much it is, `most` at most.
    pub(crate) fn take_room(&mut self, key: Option<[u8; 4]>, offset: u64, most: u64) -> u64 {
        let Body::Binary(bytes) = &mut self.body else { return 0 };
        let added = bytes.get_mut(self.taken..).unwrap_or_default();
        if let Some(key) = key {
            mask::apply(added, key, (offset % 4) as usize);
        }
        let added = (added.len() as u64).min(most);
        self.taken = bytes.len();
        added
    }

    /// Adds payload; of its frame at least `more` bytes will come.
    fn append(&mut self, payload: &[u8], more: usize, limits: &Limits) -> Result<(), MessageError> {
        match &mut self.body {
            Body::Text { text, utf8 } => {
                let incoming = payload.len() + utf8.carried();
                text.reserve_exact(room(text.len(), text.capacity(), incoming, more, limits));
                utf8.push(payload, text).map_err(|_| MessageError::NotUtf8)
            }
            Body::Binary(bytes) => {
                bytes.reserve_exact(room(bytes.len(), bytes.capacity(), payload.len(), more, limits));
                bytes.extend_from_slice(payload);
                self.taken = bytes.len();
                Ok(())
            }
        }
    }

    /// The last fragment has come whole.
    pub(crate) fn finish(&mut self) -> Result<(), MessageError> {
        if let Body::Text { utf8, .. } = &self.body {
            utf8.finish().map_err(|_| MessageError::NotUtf8)?;
        }
        self.finished = true;
        Ok(())
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Payload bytes so far.
    pub(crate) fn length(&self) -> usize {
        match &self.body {
            Body::Text { text, utf8 } => text.len() + utf8.carried(),
            Body::Binary(bytes) => bytes.len(),
        }
    }

    /// Bytes of heap that hold the payload.
    pub(crate) fn capacity(&self) -> usize {
        match &self.body {
            Body::Text { text, .. } => text.capacity(),
            Body::Binary(bytes) => bytes.capacity(),
        }
    }

    pub(crate) fn message(&self) -> Message<'_> {
        match &self.body {
            Body::Text { text, .. } => Message::Text(text),
            Body::Binary(bytes) => Message::Binary(bytes),
        }
    }
}

/// A message that takes what comes out of an inflater, within its limits.
struct Inflated<'m> {
    message: &'m mut Assembly,
    limits: &'m Limits,
}

impl Sink for Inflated<'_> {
    type Error = MessageError;

    fn room(&self) -> usize {
        self.limits.max_message_bytes.saturating_sub(self.message.length())
    }

    /// What is within the limit is judged as text before the rest is found too long, so that pieces of any
    /// length come to the same end.
    fn append(&mut self, bytes: &[u8]) -> Result<(), MessageError> {
        let within = bytes.len().min(self.room());
        self.message.append(&bytes[..within], 0, self.limits)?;
        if within < bytes.len() {
            return Err(MessageError::TooBig { max_message_bytes: self.limits.max_message_bytes });
        }
        Ok(())
    }

    fn recent(&self) -> Vec<u8> {
        let (bytes, carried) = match &self.message.body {
            Body::Text { text, utf8 } => (text.as_bytes(), utf8.carried_bytes()),
            Body::Binary(bytes) => (bytes.as_slice(), &[][..]),
        };
        let window = WINDOW_MAX_BYTES - carried.len();
        [&bytes[bytes.len().saturating_sub(window)..], carried].concat()
    }
}

/// What to reserve beyond `length` so that `incoming` bytes fit: doubling, so that many small pieces cost
/// linear time, but never past the limit, and never by what a header claims. That `more` bytes of the frame are
/// to come makes it no more than twice what came: a frame that began in one read and ends in the next is then
/// not moved.
fn room(length: usize, capacity: usize, incoming: usize, more: usize, limits: &Limits) -> usize {
    let needed = length + incoming;
    if needed <= capacity {
        return 0;
    }
    let doubled = (capacity * 2).max(needed + more.min(needed));
    needed.max(doubled.min(limits.max_message_bytes)) - length
}

impl MessageError {
    /// The rule that was broken.
    #[must_use]
    pub const fn rule(self) -> Rule {
        const DEFLATE: Rule =
            Rule { code: CloseCode::INVALID_PAYLOAD, rfc: 7692, section: "7.2.2", reason: "not DEFLATE" };
        let (code, section, reason) = match self {
            Self::NotDeflate => return DEFLATE,
            Self::DeflateIncomplete => return Rule { reason: "DEFLATE data incomplete", ..DEFLATE },
            Self::NothingToContinue => (CloseCode::PROTOCOL_ERROR, "5.4", "nothing to continue"),
            Self::Interrupted => (CloseCode::PROTOCOL_ERROR, "5.4", "new message before the last one ended"),
            Self::TooManyFragments { .. } => (CloseCode::POLICY_VIOLATION, "10.4", "too_many_fragments"),
            Self::TooBig { .. } => (CloseCode::MESSAGE_TOO_BIG, "10.4", "message too big"),
            Self::NotUtf8 => (CloseCode::INVALID_PAYLOAD, "8.1", "text is not UTF-8"),
        };
        Rule { code, rfc: 6455, section, reason }
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingToContinue => f.write_str("a continuation frame came, and no message had begun"),
            Self::Interrupted => {
                f.write_str("a new message began before the fragments of the last one ended")
            }
            Self::TooManyFragments { max_fragments } => {
                write!(f, "a message came in more than {max_fragments} fragments")
            }
            Self::TooBig { max_message_bytes } => {
                write!(f, "a message is longer than {max_message_bytes} bytes")
            }
            Self::NotUtf8 => f.write_str("a text message is not UTF-8"),
            Self::NotDeflate => f.write_str("a compressed message is not DEFLATE data"),
            Self::DeflateIncomplete => {
                f.write_str("a compressed message ends in the middle of its DEFLATE data")
            }
        }
    }
}

impl std::error::Error for MessageError {}

impl From<InflateError> for MessageError {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::Corrupt => Self::NotDeflate,
            InflateError::Incomplete => Self::DeflateIncomplete,
        }
    }
}
