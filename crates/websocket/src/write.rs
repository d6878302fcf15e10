//! The write side of a connection: messages and control frames become bytes in the caller's buffer.
//!
//! It keeps what may follow what was written, compresses, and draws a client's masking keys. It keeps no
//! bytes, but the context that a compressed message may refer to.

use std::fmt;

use crate::close::{CloseBody, CloseCode};
use crate::deflate::{Deflater, Direction, Effort};
use crate::frame::{CONTROL_PAYLOAD_MAX_BYTES, EncodedHeader, Header, append_frame};
use crate::mask::MaskKeys;
use crate::message::{Message, MessageKind};
use crate::opcode::Opcode;

/// Whether a fragment is its message's last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragment {
    /// More of the message follows.
    More,
    /// The message ends here.
    Last,
}

/// Why nothing was written. The application is to blame, not the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// A Close frame has been written, or the connection is over.
    Closed,
    /// A message in fragments has not ended: its next fragment, of the same kind, or control frames may be
    /// sent, but no other message.
    MessageUnfinished,
    /// A Ping or Pong with more than 125 bytes.
    LongControl,
}

/// The write side.
#[derive(Debug)]
pub(crate) struct WriteHalf {
    /// A client's keys; servers do not mask.
    keys: Option<MaskKeys>,
    /// With takeover, what compressed the messages so far; without, only within a message in fragments.
    deflater: Option<Box<Deflater>>,
    deflate: Option<Compression>,
    /// Payloads below this go uncompressed.
    min_bytes: u32,
    state: WriteState,
}

/// How our messages are compressed.
#[derive(Debug, Clone, Copy)]
struct Compression {
    direction: Direction,
    level: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteState {
    /// Between messages.
    Open,
    /// Fragments of a message were written; its last was not.
    InMessage(MessageKind),
    /// A Close frame was written: nothing may follow.
    Closed,
}

impl WriteHalf {
    pub(crate) fn new(keys: Option<MaskKeys>, deflate: Option<Direction>, effort: Effort) -> Self {
        let deflate = deflate
            .filter(|direction| direction.can_compress())
            .map(|direction| Compression { direction, level: effort.level() });
        let min_bytes = u32::try_from(effort.min_bytes).unwrap_or(u32::MAX);
        Self { keys, deflater: None, deflate, min_bytes, state: WriteState::Open }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state == WriteState::Closed
    }

    pub(crate) fn send(&mut self, message: Message<'_>, output: &mut Vec<u8>) -> Result<(), SendError> {
        match self.state {
            WriteState::Open => {}
            WriteState::InMessage(_) => return Err(SendError::MessageUnfinished),
            WriteState::Closed => return Err(SendError::Closed),
        }
        let (opcode, payload) = (message.kind().opcode(), message.as_bytes());
        if self.deflate.is_none() || !self.send_compressed(opcode, payload, output) {
            self.append(true, false, opcode, payload, output);
        }
        Ok(())
    }

    /// The header of a message whose payload leaves from where it lies: none if it must be masked, or if no
    /// message may be sent.
    #[inline]
    pub(crate) fn header(&self, kind: MessageKind, payload_bytes: usize) -> Option<EncodedHeader> {
        if self.keys.is_some() || self.state != WriteState::Open {
            return None;
        }
        let payload_length = payload_bytes as u64;
        Some(
            Header { fin: true, compressed: false, opcode: kind.opcode(), mask: None, payload_length }
                .encode(),
        )
    }

    /// Sends the message compressed, if it is to be; false if it is still to be sent.
    #[inline(never)]
    fn send_compressed(&mut self, opcode: Opcode, payload: &[u8], output: &mut Vec<u8>) -> bool {
        let Some(compressed) = self.compress(payload) else { return false };
        self.frame(true, true, opcode, &compressed, output);
        true
    }

    pub(crate) fn send_fragment(
        &mut self,
        piece: Message<'_>,
        fragment: Fragment,
        output: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        let opcode = match self.state {
            WriteState::Open => piece.kind().opcode(),
            WriteState::InMessage(kind) if kind == piece.kind() => Opcode::Continuation,
            WriteState::InMessage(_) => return Err(SendError::MessageUnfinished),
            WriteState::Closed => return Err(SendError::Closed),
        };
        let (fin, payload) = (fragment == Fragment::Last, piece.as_bytes());
        let is_first = opcode != Opcode::Continuation;
        match self.compress_fragment(payload, is_first, fin) {
            Some(compressed) => self.frame(fin, is_first, opcode, &compressed, output),
            None => self.frame(fin, false, opcode, payload, output),
        }
        self.state = match fragment {
            Fragment::More => WriteState::InMessage(piece.kind()),
            Fragment::Last => WriteState::Open,
        };
        Ok(())
    }

    /// Sends a Ping or a Pong; it may stand between fragments.
    pub(crate) fn send_control(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        if self.is_closed() {
            return Err(SendError::Closed);
        }
        if payload.len() > CONTROL_PAYLOAD_MAX_BYTES {
            return Err(SendError::LongControl);
        }
        self.frame(true, false, opcode, payload, output);
        Ok(())
    }

    /// Writes the Close frame, if none has been written.
    pub(crate) fn close(&mut self, code: Option<CloseCode>, reason: &str, output: &mut Vec<u8>) {
        if self.is_closed() {
            return;
        }
        self.frame(true, false, Opcode::Close, CloseBody::new(code, reason).as_bytes(), output);
        self.end();
    }

    /// Nothing further will be written.
    pub(crate) fn end(&mut self) {
        self.state = WriteState::Closed;
        self.deflater = None;
    }

    /// Bytes of heap that hold the context of our messages.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.deflater.as_ref().map_or(0, |deflater| deflater.heap_bytes())
    }

    /// The compressed form of a whole message, if it is to be sent.
    ///
    /// With takeover it must be, once it exists: the context has it, and what follows may refer to it.
    /// Without, it must be shorter.
    fn compress(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let Compression { direction, level } = self.compression_of(payload)?;
        if direction.takeover {
            return Some(self.context(direction, level).compress(payload, true));
        }
        let compressed = Deflater::for_message(direction, level, payload.len()).compress(payload, true);
        (compressed.len() < payload.len()).then_some(compressed)
    }

    /// The compressed form of a fragment, if its message is compressed: the first one decides.
    fn compress_fragment(&mut self, payload: &[u8], is_first: bool, is_last: bool) -> Option<Vec<u8>> {
        let deflater = if is_first {
            let Compression { direction, level } = self.compression_of(payload)?;
            self.context(direction, level)
        } else {
            self.deflater.as_deref_mut().filter(|deflater| deflater.is_in_message())?
        };
        let compressed = deflater.compress(payload, is_last);
        if is_last && !self.deflate.is_some_and(|deflate| deflate.direction.takeover) {
            self.deflater = None;
        }
        Some(compressed)
    }

    /// How a message that begins with this payload is compressed, if it is.
    fn compression_of(&self, payload: &[u8]) -> Option<Compression> {
        self.deflate.filter(|_| !payload.is_empty() && payload.len() >= self.min_bytes as usize)
    }

    fn context(&mut self, direction: Direction, level: u8) -> &mut Deflater {
        self.deflater.get_or_insert_with(|| Box::new(Deflater::new(direction, level)))
    }

    fn frame(&mut self, fin: bool, compressed: bool, opcode: Opcode, payload: &[u8], output: &mut Vec<u8>) {
        self.append(fin, compressed, opcode, payload, output);
    }

    /// As [`WriteHalf::frame`], part of the caller where each message passes.
    #[inline(always)]
    fn append(&mut self, fin: bool, compressed: bool, opcode: Opcode, payload: &[u8], output: &mut Vec<u8>) {
        let mask = self.keys.as_mut().map(MaskKeys::next_key);
        let payload_length = payload.len() as u64;
        append_frame(&Header { fin, compressed, opcode, mask, payload_length }, payload, output);
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "nothing may follow the Close frame that was sent",
            Self::MessageUnfinished => "a message in fragments must end before another begins",
            Self::LongControl => "a Ping or Pong carries 125 bytes at most",
        })
    }
}

impl std::error::Error for SendError {}
