//! What a peer's bytes must come to, by a second reading of RFC 6455: slow, from one buffer, and sharing no
//! code with the reader that is judged by it. Events and errors are named alike, so that they can be compared.

use super::Told;
use crate::close::{CloseCode, CloseError};
use crate::frame::FrameError;
use crate::message::{Limits, MessageError};
use crate::opcode::Opcode;
use crate::read::ProtocolError;

/// All that an endpoint is told of these bytes, by its own role and limits.
pub(super) fn told(is_client: bool, limits: Limits, wire: &[u8]) -> Vec<Told> {
    let mut book = Book { is_client, limits, rest: wire, begun: None };
    let mut told = Vec::new();
    loop {
        match book.frame() {
            Ok(Found::Starved) => return told,
            Ok(Found::Fragment) => {}
            Ok(Found::Told(event)) => told.push(event),
            Err(error) => told.push(Told::Error(error)),
        }
        if matches!(told.last(), Some(Told::Close(..) | Told::Error(_))) {
            return told;
        }
    }
}

/// What the endpoint's answers come to at the other end.
pub(super) fn answers(told: &[Told]) -> Vec<Told> {
    let answer = |event: &Told| match event {
        Told::Ping(payload) => Some(Told::Pong(payload.clone())),
        Told::Close(code, ..) => Some(Told::Close(*code, String::new(), true)),
        Told::Error(error) => Some(Told::Close(Some(error.code()), error.reason().to_owned(), true)),
        Told::Text(_) | Told::Binary(_) | Told::Pong(_) => None,
    };
    told.iter().filter_map(answer).collect()
}

enum Found {
    /// The bytes ended.
    Starved,
    /// A fragment; its message goes on.
    Fragment,
    Told(Told),
}

struct Book<'w> {
    is_client: bool,
    limits: Limits,
    rest: &'w [u8],
    begun: Option<Begun>,
}

/// A message of which the first frame has come.
struct Begun {
    is_text: bool,
    frames: u32,
    payload: Vec<u8>,
}

impl Book<'_> {
    /// Reads one frame.
    fn frame(&mut self) -> Result<Found, ProtocolError> {
        let Some(&first) = self.rest.first() else { return Ok(Found::Starved) };
        let (fin, opcode) = (first >= 0x80, first & 0x0f);
        if first & 0x70 != 0 {
            return Err(FrameError::ReservedBits.into());
        }
        let kind = match opcode {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            bits => return Err(FrameError::ReservedOpcode(bits).into()),
        };
        if opcode >= 8 && !fin {
            return Err(FrameError::FragmentedControl(kind).into());
        }
        let Some((length, payload_at)) = self.length(kind)? else { return Ok(Found::Starved) };
        if opcode < 8 {
            self.judge_order(kind, length)?;
        }
        let came: Vec<u8> = self.payload(payload_at, length);
        let is_whole = came.len() as u64 == length;
        if is_whole {
            self.rest = &self.rest[payload_at + came.len()..];
        }
        match kind {
            Opcode::Close | Opcode::Ping | Opcode::Pong if !is_whole => Ok(Found::Starved),
            Opcode::Close => close(&came).map(Found::Told),
            Opcode::Ping => Ok(Found::Told(Told::Ping(came))),
            Opcode::Pong => Ok(Found::Told(Told::Pong(came))),
            Opcode::Text | Opcode::Binary | Opcode::Continuation => self.data(kind, &came, is_whole, fin),
        }
    }

    /// The length that the frame claims, and where its payload begins.
    fn length(&self, kind: Opcode) -> Result<Option<(u64, usize)>, ProtocolError> {
        let Some(&second) = self.rest.get(1) else { return Ok(None) };
        let is_masked = second >= 0x80;
        if is_masked == self.is_client {
            return Err(if is_masked { FrameError::Masked } else { FrameError::Unmasked }.into());
        }
        let short = second & 0x7f;
        if matches!(kind, Opcode::Close | Opcode::Ping | Opcode::Pong) && short > 125 {
            return Err(FrameError::LongControl(kind).into());
        }
        let (extended, least) = match short {
            126 => (2, 126),
            127 => (8, 65536),
            _ => (0, 0),
        };
        let Some(digits) = self.rest.get(2..2 + extended) else { return Ok(None) };
        let long = digits.iter().fold(0, |sum: u64, digit| (sum << 8) + u64::from(*digit));
        let length = if extended == 0 { u64::from(short) } else { long };
        if length < least {
            return Err(FrameError::LengthNotMinimal.into());
        }
        if length > i64::MAX as u64 {
            return Err(FrameError::LengthOver63Bits.into());
        }
        let payload_at = 2 + extended + if is_masked { 4 } else { 0 };
        Ok((self.rest.len() >= payload_at).then_some((length, payload_at)))
    }

    /// Whether a data frame may stand here, and may be so long.
    fn judge_order(&self, kind: Opcode, length: u64) -> Result<(), MessageError> {
        let Limits { max_message_bytes, max_fragments } = self.limits;
        match (&self.begun, kind == Opcode::Continuation) {
            (None, true) => return Err(MessageError::NothingToContinue),
            (Some(_), false) => return Err(MessageError::Interrupted),
            _ => {}
        }
        let (frames, bytes) = self.begun.as_ref().map_or((0, 0), |begun| (begun.frames, begun.payload.len()));
        if frames > 0 && frames >= max_fragments {
            return Err(MessageError::TooManyFragments { max_fragments });
        }
        if u128::from(length) + bytes as u128 > max_message_bytes as u128 {
            return Err(MessageError::TooBig { max_message_bytes });
        }
        Ok(())
    }

    /// What came of the payload, unmasked.
    fn payload(&self, at: usize, length: u64) -> Vec<u8> {
        let came = self.rest[at..].iter().take(usize::try_from(length).unwrap_or(usize::MAX));
        let key = if self.is_client { &[0; 4] } else { &self.rest[at - 4..at] };
        came.enumerate().map(|(place, byte)| byte ^ key[place % 4]).collect()
    }

    fn data(&mut self, kind: Opcode, came: &[u8], is_whole: bool, fin: bool) -> Result<Found, ProtocolError> {
        let is_text = kind == Opcode::Text;
        let begun = self.begun.get_or_insert(Begun { is_text, frames: 0, payload: Vec::new() });
        begun.frames += 1;
        begun.payload.extend_from_slice(came);
        let text = std::str::from_utf8(&begun.payload);
        let ends = is_whole && fin;
        if begun.is_text && text.is_err_and(|error| ends || error.error_len().is_some()) {
            return Err(MessageError::NotUtf8.into());
        }
        if !ends {
            return Ok(if is_whole { Found::Fragment } else { Found::Starved });
        }
        let event = match text {
            Ok(text) if begun.is_text => Told::Text(text.to_owned()),
            _ => Told::Binary(std::mem::take(&mut begun.payload)),
        };
        self.begun = None;
        Ok(Found::Told(event))
    }
}

fn close(body: &[u8]) -> Result<Told, ProtocolError> {
    if body.is_empty() {
        return Ok(Told::Close(None, String::new(), true));
    }
    if body.len() == 1 {
        return Err(CloseError::HalfCode.into());
    }
    let code = u16::from(body[0]) * 256 + u16::from(body[1]);
    let is_unsendable = code < 1000 || [1004, 1005, 1006].contains(&code) || (1015..3000).contains(&code);
    if is_unsendable || code >= 5000 {
        return Err(CloseError::Code(CloseCode::new(code)).into());
    }
    match String::from_utf8(body[2..].to_vec()) {
        Ok(reason) => Ok(Told::Close(Some(CloseCode::new(code)), reason, true)),
        Err(_) => Err(CloseError::ReasonNotUtf8.into()),
    }
}
