//! The read side of a connection: bytes of the peer become frames and messages.
//!
//! A frame that lies whole in the input is unmasked in place and lent. Of everything else, what came is
//! kept until the rest comes: a header in place, payload on the heap, which is given back when it has been
//! lent. What to answer is decided by `connection`.

use std::fmt;
use std::ops::Range;

use bytes::BufMut;
use bytes::buf::Limit;

use crate::close::{CloseCode, CloseError, Rule};
use crate::deflate::{Direction, Inflater};
use crate::extension::RSV1;
use crate::frame::{FrameError, HEADER_MAX_BYTES, Header, LoneFrame, Side};
use crate::mask;
use crate::message::{Assembly, Limits, Message, MessageError, MessageKind, Piece, check_header};
use crate::opcode::Opcode;

/// From so many bytes on, the rest of a frame is worth a read of its own.
const LONG_REST_BYTES: usize = 32 * 1024;

/// Bytes that came from the peer, and how far they have been taken. They are unmasked where they lie.
#[derive(Debug)]
pub struct Input<'b> {
    bytes: &'b mut [u8],
    /// At most `bytes.len()`.
    taken: usize,
    /// Frames of so many bytes at most are left where they are until they are whole.
    left_up_to: usize,
}

/// A rule of RFC 6455, or of RFC 7692, that the peer broke. The connection is over: a Close frame that says so has been
/// written, and further input is discarded (section 7.1.7).
///
/// `Display` gives a sentence for people; [`ProtocolError::reason`] is what the peer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolError {
    /// Broken by the header of one frame.
    Frame(FrameError),
    /// Broken by a message.
    Message(MessageError),
    /// Broken by the body of a Close frame.
    Close(CloseError),
}

/// The read side.
#[derive(Debug)]
pub(crate) struct ReadHalf {
    limits: Limits,
    /// Payload that is kept: of a frame that has not come whole, of a message that has not, or of one that
    /// is lent to the caller at this moment; and the peer's context, if it takes one over. No such thing, no
    /// heap.
    unfinished: Option<Box<Unfinished>>,
    header: PartialHeader,
    sent_by: Side,
    state: ReadState,
    /// How the peer compresses, if permessage-deflate was agreed on.
    deflate: Option<Direction>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadState {
    /// Frames may come.
    AwaitingFrames,
    /// A Close frame came, a rule was broken, or the bytes ended: what comes now is discarded.
    Ended,
}

/// Less than a header; `bytes[..length]` came.
#[derive(Debug)]
struct PartialHeader {
    bytes: [u8; HEADER_MAX_BYTES],
    length: u8,
}

#[derive(Debug, Default)]
struct Unfinished {
    message: Option<Assembly>,
    /// Payload of a control frame, 125 bytes at most.
    control: Vec<u8>,
    /// The frame whose payload is being read.
    frame: Option<Arriving>,
    /// For the compressed message that is coming or, with takeover, for the next one.
    inflater: Option<Box<Inflater>>,
}

#[derive(Debug)]
struct Arriving {
    header: Header,
    /// At most `header.payload_length`.
    received: u64,
}

/// What has come whole, and where it is.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A message or control frame that lies in the input.
    InInput(Opcode, Range<usize>),
    /// A control frame that was kept.
    KeptControl(Opcode),
    /// A message that was kept.
    KeptMessage,
}

impl<'b> Input<'b> {
    /// All of `bytes`, none of them taken.
    #[must_use]
    pub fn new(bytes: &'b mut [u8]) -> Self {
        Self { bytes, taken: 0, left_up_to: 0 }
    }

    /// The same for who has a buffer for one connection alone: a frame that has begun and will be `most` bytes
    /// long at most is not kept by the connection but left, which spares a copy and its heap.
    ///
    /// When `handle_input` gives none, [`Input::remaining`] bytes at the end of `bytes` are to be handed in again,
    /// in front of what comes next; there must be room for `most` bytes. Of them the connection knows nothing:
    /// that a message is unfinished is then for the caller to see.
    #[must_use]
    pub fn leaving(bytes: &'b mut [u8], most: usize) -> Self {
        Self { bytes, taken: 0, left_up_to: most }
    }

    /// True when all bytes have been taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// Bytes that have not been taken.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.taken
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    pub(crate) fn slice(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// Takes as many bytes as there are, `length` at most.
    fn take(&mut self, length: u64) -> Range<usize> {
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(self.remaining());
        let range = self.taken..self.taken + length;
        self.taken = range.end;
        range
    }

    fn discard(&mut self) {
        self.taken = self.bytes.len();
    }
}

impl ReadHalf {
    pub(crate) fn new(sent_by: Side, limits: Limits, deflate: Option<Direction>) -> Self {
        let header = PartialHeader { bytes: [0; HEADER_MAX_BYTES], length: 0 };
        Self { limits, unfinished: None, header, sent_by, state: ReadState::AwaitingFrames, deflate }
    }

    /// Reads on until something has come whole; none when the input is used up.
    #[inline]
    pub(crate) fn advance(&mut self, input: &mut Input<'_>) -> Result<Option<Arrival>, ProtocolError> {
        match self.take_lone_frame(input) {
            Some(arrival) => Ok(Some(arrival)),
            None => self.advance_in_steps(input),
        }
    }

    /// The usual case at once: nothing is kept, and a message in one frame lies in the input. In all other
    /// cases nothing is taken, and the steps below find out what there is.
    #[inline]
    fn take_lone_frame(&mut self, input: &mut Input<'_>) -> Option<Arrival> {
        if self.unfinished.is_some() || self.header.length > 0 || self.state == ReadState::Ended {
            return None;
        }
        let rest = &mut input.bytes[input.taken..];
        let LoneFrame { opcode, key, payload } = LoneFrame::find(rest, self.sent_by)?;
        if payload.len() > self.limits.max_message_bytes {
            return None;
        }
        if let Some(key) = key {
            mask::apply(&mut rest[payload.clone()], key, 0);
        }
        let (start, end) = (input.taken + payload.start, input.taken + payload.end);
        input.taken = end;
        Some(Arrival::InInput(opcode, start..end))
    }

    #[inline(never)]
    fn advance_in_steps(&mut self, input: &mut Input<'_>) -> Result<Option<Arrival>, ProtocolError> {
        self.give_back();
        while self.state == ReadState::AwaitingFrames {
            if self.is_in_payload() {
                match self.take_payload(input)? {
                    Payload::Incomplete => return Ok(None),
                    Payload::Fragment => continue,
                    Payload::Whole(arrival) => return Ok(Some(arrival)),
                }
            }
            let before = input.taken;
            let Some(header) = self.take_header(input)? else { return Ok(None) };
            if !header.opcode.is_control() {
                check_header(&header, self.message(), &self.limits)?;
            }
            if lies_whole(&header, input) {
                let payload = input.take(header.payload_length);
                if let Some(key) = header.mask {
                    mask::apply(&mut input.bytes[payload.clone()], key, 0);
                }
                self.end_at_close(header.opcode);
                return Ok(Some(Arrival::InInput(header.opcode, payload)));
            }
            let length = (input.taken - before) as u64 + header.payload_length;
            if length <= input.left_up_to as u64 && length > (input.bytes.len() - before) as u64 {
                input.taken = before;
                return Ok(None);
            }
            self.begin_payload(header);
        }
        input.discard();
        Ok(None)
    }

    /// Nothing further will be read. What is lent at this moment stays until the next call.
    pub(crate) fn end(&mut self) {
        self.state = ReadState::Ended;
        self.header.length = 0;
    }

    /// Frees what was kept.
    pub(crate) fn free(&mut self) {
        self.unfinished = None;
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.state == ReadState::Ended
    }

    /// The payload of the control frame that was kept.
    pub(crate) fn kept_control(&self) -> &[u8] {
        self.unfinished.as_ref().map_or(&[], |unfinished| &unfinished.control)
    }

    /// The message that was kept.
    pub(crate) fn kept_message(&self) -> Message<'_> {
        self.message().map_or(Message::Binary(&[]), Assembly::message)
    }

    pub(crate) fn has_unfinished_message(&self) -> bool {
        !self.is_ended() && self.message().is_some_and(|message| !message.is_finished())
    }

    /// Neither a header nor a frame nor a message has come in part.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.header.length == 0 && !self.is_in_payload() && !self.has_unfinished_message()
    }

    pub(crate) fn unfinished_bytes(&self) -> usize {
        let payload = |unfinished: &Unfinished| {
            unfinished.control.len() + unfinished.message.as_ref().map_or(0, Assembly::length)
        };
        usize::from(self.header.length) + self.unfinished.as_deref().map_or(0, payload)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.unfinished.as_ref().map_or(0, |unfinished| {
            size_of::<Unfinished>()
                + unfinished.control.capacity()
                + unfinished.message.as_ref().map_or(0, Assembly::capacity)
                + unfinished.inflater.as_ref().map_or(0, |inflater| inflater.heap_bytes())
        })
    }

    fn message(&self) -> Option<&Assembly> {
        self.unfinished.as_ref().and_then(|unfinished| unfinished.message.as_ref())
    }

    fn is_in_payload(&self) -> bool {
        self.unfinished.as_ref().is_some_and(|unfinished| unfinished.frame.is_some())
    }

    /// Frees what the last call lent.
    fn give_back(&mut self) {
        let Some(unfinished) = &mut self.unfinished else { return };
        if unfinished.message.as_ref().is_some_and(Assembly::is_finished) {
            unfinished.message = None;
        }
        if unfinished.frame.is_none() {
            unfinished.control = Vec::new();
        }
        let is_idle = unfinished.message.is_none() && unfinished.frame.is_none();
        if self.state == ReadState::Ended || (is_idle && unfinished.inflater.is_none()) {
            self.unfinished = None;
        }
    }

    /// Takes a header from the input, or as much of one as there is.
    fn take_header(&mut self, input: &mut Input<'_>) -> Result<Option<Header>, FrameError> {
        let owned_bits = if self.deflate.is_some() { RSV1 } else { 0 };
        if self.header.length == 0
            && let Some((header, length)) = Header::decode_with(input.rest(), self.sent_by, owned_bits)?
        {
            input.taken += length;
            return Ok(Some(header));
        }
        if self.header.length == 0 && input.left_up_to >= HEADER_MAX_BYTES {
            return Ok(None);
        }
        while let Some(byte) = input.rest().first() {
            self.header.push(*byte);
            input.taken += 1;
            if let Some((header, _)) = Header::decode_with(self.header.as_bytes(), self.sent_by, owned_bits)?
            {
                self.header.length = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// Makes ready to keep the payload that belongs to this header.
    fn begin_payload(&mut self, header: Header) {
        let unfinished = self.unfinished.get_or_insert_default();
        if let (true, Some(direction)) = (header.compressed, self.deflate) {
            unfinished.inflater.get_or_insert_with(|| Box::new(Inflater::new(direction)));
        }
        match header.opcode {
            Opcode::Text => unfinished.message = Some(Assembly::new(MessageKind::Text, &header)),
            Opcode::Binary => unfinished.message = Some(Assembly::new(MessageKind::Binary, &header)),
            Opcode::Continuation => {
                if let Some(message) = &mut unfinished.message {
                    message.count_fragment(&header);
                }
            }
            Opcode::Close | Opcode::Ping | Opcode::Pong => {}
        }
        unfinished.frame = Some(Arriving { header, received: 0 });
    }

    /// Keeps what the input has of the current frame's payload.
    fn take_payload(&mut self, input: &mut Input<'_>) -> Result<Payload, MessageError> {
        let Some(unfinished) = self.unfinished.as_deref_mut() else { return Ok(Payload::Incomplete) };
        let Some(Arriving { header, received }) = &mut unfinished.frame else {
            return Ok(Payload::Incomplete);
        };
        let header = *header;
        let offset = *received;
        let range = input.take(header.payload_length - offset);
        *received += range.len() as u64;
        let is_whole = *received == header.payload_length;
        let more = header.payload_length - *received;
        let piece = Piece { bytes: &mut input.bytes[range], key: header.mask, offset, more };
        if header.opcode.is_control() {
            unfinished.control.extend_from_slice(piece.unmasked());
        } else if let Some(message) = &mut unfinished.message {
            let mut inflater = unfinished.inflater.as_deref_mut().filter(|_| message.is_compressed());
            match &mut inflater {
                Some(inflater) => message.append_compressed(piece.unmasked(), inflater, &self.limits)?,
                None => message.append_piece(piece, &self.limits)?,
            }
            if is_whole && header.fin {
                inflater.map_or(Ok(()), Inflater::finish)?;
                message.finish()?;
            }
        }
        Ok(if is_whole { self.end_frame(header) } else { Payload::Incomplete })
    }

    /// All of a frame's payload has come and is kept.
    fn end_frame(&mut self, header: Header) -> Payload {
        let takeover = self.deflate.is_some_and(|deflate| deflate.takeover);
        if let Some(unfinished) = &mut self.unfinished {
            unfinished.frame = None;
            if header.fin && !header.opcode.is_control() && !takeover {
                unfinished.inflater = None;
            }
        }
        self.end_at_close(header.opcode);
        match (header.opcode.is_control(), header.fin) {
            (true, _) => Payload::Whole(Arrival::KeptControl(header.opcode)),
            (false, true) => Payload::Whole(Arrival::KeptMessage),
            (false, false) => Payload::Fragment,
        }
    }

    /// Room for the rest of a long frame, if its payload is kept as it comes.
    pub(crate) fn payload_room(&mut self) -> Option<Limit<&mut Vec<u8>>> {
        let Self { limits, unfinished, .. } = self;
        let Unfinished { message, frame, .. } = unfinished.as_deref_mut()?;
        let Arriving { header, received } = frame.as_ref()?;
        let more = usize::try_from(header.payload_length - received).unwrap_or(usize::MAX);
        if more < LONG_REST_BYTES || header.opcode.is_control() {
            return None;
        }
        let bytes = message.as_mut()?.room(more.min(LONG_REST_BYTES), more, limits)?;
        let room = more.min(bytes.capacity() - bytes.len());
        Some(bytes.limit(room))
    }

    /// Takes what was added to the room; true if a message has come whole with it.
    pub(crate) fn take_room(&mut self) -> bool {
        let Some(Unfinished { message: Some(message), frame: Some(frame), .. }) =
            self.unfinished.as_deref_mut()
        else {
            return false;
        };
        let Arriving { header, received } = frame;
        let header = *header;
        *received += message.take_room(header.mask, *received, header.payload_length - *received);
        if *received < header.payload_length {
            return false;
        }
        // A binary message cannot end wrongly.
        let finished = !header.fin || message.finish().is_ok();
        matches!(self.end_frame(header), Payload::Whole(_)) && finished
    }

    /// A Close frame is the last that is read (section 5.5.1).
    fn end_at_close(&mut self, opcode: Opcode) {
        if opcode == Opcode::Close {
            self.end();
        }
    }
}

/// What has come of a frame's payload.
enum Payload {
    Incomplete,
    /// All of it; the message goes on.
    Fragment,
    /// All of it, and with it all of a message or control frame.
    Whole(Arrival),
}

/// True for a message or control frame of one frame whose payload lies in the input as it is to be told.
fn lies_whole(header: &Header, input: &Input<'_>) -> bool {
    header.fin
        && !header.compressed
        && header.opcode != Opcode::Continuation
        && header.payload_length <= input.remaining() as u64
}

impl PartialHeader {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Adds a byte; a header of [`HEADER_MAX_BYTES`] is always whole, so that there is room.
    fn push(&mut self, byte: u8) {
        self.bytes[usize::from(self.length)] = byte;
        self.length += 1;
    }
}

impl ProtocolError {
    /// The rule that was broken.
    #[must_use]
    pub const fn rule(self) -> Rule {
        match self {
            Self::Frame(error) => error.rule(),
            Self::Message(error) => error.rule(),
            Self::Close(error) => error.rule(),
        }
    }

    /// The code of the Close frame that was written: 1002, 1007, 1008 or 1009.
    #[must_use]
    pub const fn code(self) -> CloseCode {
        self.rule().code
    }

    /// The section that states the rule, of the RFC that [`ProtocolError::rule`] names.
    #[must_use]
    pub const fn section(self) -> &'static str {
        self.rule().section
    }

    /// The reason in the Close frame that was written.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        self.rule().reason
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f)?,
            Self::Message(error) => error.fmt(f)?,
            Self::Close(error) => error.fmt(f)?,
        }
        let Rule { rfc, section, .. } = self.rule();
        write!(f, " (RFC {rfc}, section {section})")
    }
}

impl std::error::Error for ProtocolError {}

impl From<FrameError> for ProtocolError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl From<MessageError> for ProtocolError {
    fn from(error: MessageError) -> Self {
        Self::Message(error)
    }
}

impl From<CloseError> for ProtocolError {
    fn from(error: CloseError) -> Self {
        Self::Close(error)
    }
}
