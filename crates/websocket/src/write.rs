//! The write side of a connection: messages and control frames become bytes in the caller's buffer.
//!
//! It keeps what may follow what was written, and draws a client's masking keys. It keeps no bytes.

use std::fmt;

use crate::close::{CloseBody, CloseCode};
use crate::frame::{CONTROL_PAYLOAD_MAX_BYTES, write_frame};
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
    state: WriteState,
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
    pub(crate) fn new(keys: Option<MaskKeys>) -> Self {
        Self { keys, state: WriteState::Open }
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
        self.frame(true, message.kind().opcode(), message.as_bytes(), output);
        Ok(())
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
        self.frame(fragment == Fragment::Last, opcode, piece.as_bytes(), output);
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
        self.frame(true, opcode, payload, output);
        Ok(())
    }

    /// Writes the Close frame, if none has been written.
    pub(crate) fn close(&mut self, code: Option<CloseCode>, reason: &str, output: &mut Vec<u8>) {
        if self.is_closed() {
            return;
        }
        self.frame(true, Opcode::Close, CloseBody::new(code, reason).as_bytes(), output);
        self.state = WriteState::Closed;
    }

    fn frame(&mut self, fin: bool, opcode: Opcode, payload: &[u8], output: &mut Vec<u8>) {
        let mask = self.keys.as_mut().map(MaskKeys::next_key);
        write_frame(fin, opcode, mask, payload, output);
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
