//! The header of a frame, read and written (RFC 6455, section 5.2).
//!
//! Each rule that one header alone can break is refused here, as soon as the byte that breaks it is there;
//! rules between frames are `message`'s. Nothing is allocated by what a header claims.

use std::fmt;
use std::ops::Range;

use crate::close::{CloseCode, Rule};
use crate::extension::{Extensions, RSV1, RSV2, RSV3};
use crate::mask;
use crate::opcode::Opcode;

/// Longest header in bytes: two, eight of extended length, four of masking key.
pub const HEADER_MAX_BYTES: usize = 14;

/// Longest payload of a control frame in bytes (section 5.5).
pub const CONTROL_PAYLOAD_MAX_BYTES: usize = 125;

const FIN: u8 = 0x80;
const TEXT_WITH_FIN: u8 = FIN | Opcode::Text.bits();
const BINARY_WITH_FIN: u8 = FIN | Opcode::Binary.bits();
const OPCODE_BITS: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH_BITS: u8 = 0x7f;
/// Values of the seven length bits that say where the length really is (section 5.2).
const LENGTH_IN_2_BYTES: u8 = 126;
const LENGTH_IN_8_BYTES: u8 = 127;

/// Who sent a frame: a client masks all of its frames, a server none (section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The endpoint that asked for the connection.
    Client,
    /// The endpoint that accepted it.
    Server,
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The last fragment of its message; always set on control frames.
    pub fin: bool,
    /// RSV1, if permessage-deflate was agreed on: the first frame of a compressed message (RFC 7692,
    /// section 6).
    pub compressed: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key, if the payload is masked.
    pub mask: Option<[u8; 4]>,
    /// Bytes of payload that the header claims, below 2^63.
    pub payload_length: u64,
}

/// A header breaks a rule that needs no other frame to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// A reserved bit that no agreed extension owns.
    ReservedBits,
    /// RSV1 on a frame that is not the first of a message.
    Compressed(Opcode),
    /// An opcode without meaning.
    ReservedOpcode(u8),
    /// A control frame without FIN.
    FragmentedControl(Opcode),
    /// A control frame that claims more than 125 bytes.
    LongControl(Opcode),
    /// A client's frame without a mask.
    Unmasked,
    /// A server's frame with a mask.
    Masked,
    /// A length in more bytes than it needs.
    LengthNotMinimal,
    /// A length with its most significant bit set.
    LengthOver63Bits,
}

impl Header {
    /// Reads a header from the start of `bytes`, and says how many bytes it takes; none if more must come.
    ///
    /// Rules are checked in the order of the bytes, so that the answer to a broken header does not depend
    /// on how it was cut in pieces.
    pub fn decode(
        bytes: &[u8],
        sent_by: Side,
        extensions: Extensions,
    ) -> Result<Option<(Self, usize)>, FrameError> {
        Self::decode_with(bytes, sent_by, extensions.owned_bits())
    }

    /// The same, for who knows only which reserved bits are owned.
    pub(crate) fn decode_with(
        bytes: &[u8],
        sent_by: Side,
        owned_bits: u8,
    ) -> Result<Option<(Self, usize)>, FrameError> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        let (fin, compressed, opcode) = decode_first(first, owned_bits)?;
        let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
        let masked = decode_mask_bit(second, sent_by)?;
        let short_length = second & LENGTH_BITS;
        if opcode.is_control() && usize::from(short_length) > CONTROL_PAYLOAD_MAX_BYTES {
            return Err(FrameError::LongControl(opcode));
        }
        let Some((payload_length, rest)) = decode_length(short_length, rest)? else { return Ok(None) };
        let (mask, rest) = if masked {
            let Some((key, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
            (Some(*key), rest)
        } else {
            (None, rest)
        };
        Ok(Some((Self { fin, compressed, opcode, mask, payload_length }, bytes.len() - rest.len())))
    }

    #[inline]
    const fn first_byte(&self) -> u8 {
        let fin = if self.fin { FIN } else { 0 };
        let compressed = if self.compressed { RSV1 } else { 0 };
        fin | compressed | self.opcode.bits()
    }

    #[inline]
    const fn mask_bit(&self) -> u8 {
        if self.mask.is_some() { MASKED } else { 0 }
    }

    /// The header's bytes, with the shortest form of the length.
    #[must_use]
    pub fn encode(&self) -> EncodedHeader {
        let EncodedHeader { mut bytes, length } = self.encode_up_to_key();
        match self.mask {
            None => EncodedHeader { bytes, length },
            Some(key) => {
                bytes[length..length + 4].copy_from_slice(&key);
                EncodedHeader { bytes, length: length + 4 }
            }
        }
    }

    /// The same without the masking key, of which only the bit is there.
    #[inline(always)]
    fn encode_up_to_key(&self) -> EncodedHeader {
        let (first, mask_bit) = (self.first_byte(), self.mask_bit());
        let start = |second: u8| u128::from(u16::from_le_bytes([first, mask_bit | second]));
        // The bytes as one number, the first byte lowest: shifts and one store instead of a loop over bytes.
        let (header, length) = match self.payload_length {
            length @ 0..126 => (start(length as u8), 2),
            length @ 126..0x1_0000 => {
                (start(LENGTH_IN_2_BYTES) | u128::from((length as u16).swap_bytes()) << 16, 4)
            }
            length => (start(LENGTH_IN_8_BYTES) | u128::from(length.swap_bytes()) << 16, 10),
        };
        EncodedHeader { bytes: header.to_le_bytes(), length }
    }
}

/// FIN, RSV1 and opcode of a header's first byte.
fn decode_first(first: u8, owned_bits: u8) -> Result<(bool, bool, Opcode), FrameError> {
    if first & (RSV1 | RSV2 | RSV3) & !owned_bits != 0 {
        return Err(FrameError::ReservedBits);
    }
    let bits = first & OPCODE_BITS;
    let opcode = Opcode::from_bits(bits).ok_or(FrameError::ReservedOpcode(bits))?;
    let fin = first & FIN != 0;
    if opcode.is_control() && !fin {
        return Err(FrameError::FragmentedControl(opcode));
    }
    let compressed = first & RSV1 != 0;
    if compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
        return Err(FrameError::Compressed(opcode));
    }
    Ok((fin, compressed, opcode))
}

/// The mask bit of the second byte, which must be what its sender owes.
fn decode_mask_bit(second: u8, sent_by: Side) -> Result<bool, FrameError> {
    match (second & MASKED != 0, sent_by) {
        (true, Side::Client) => Ok(true),
        (false, Side::Server) => Ok(false),
        (false, Side::Client) => Err(FrameError::Unmasked),
        (true, Side::Server) => Err(FrameError::Masked),
    }
}

/// The payload length, and what follows it; none if its bytes have not all come.
fn decode_length(short_length: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, FrameError> {
    let (length, rest, least) = match short_length {
        LENGTH_IN_2_BYTES => {
            let Some((bytes, rest)) = rest.split_first_chunk::<2>() else { return Ok(None) };
            (u64::from(u16::from_be_bytes(*bytes)), rest, 126)
        }
        LENGTH_IN_8_BYTES => {
            let Some((bytes, rest)) = rest.split_first_chunk::<8>() else { return Ok(None) };
            (u64::from_be_bytes(*bytes), rest, 0x1_0000)
        }
        _ => (u64::from(short_length), rest, 0),
    };
    if length < least {
        return Err(FrameError::LengthNotMinimal);
    }
    if length >> 63 != 0 {
        return Err(FrameError::LengthOver63Bits);
    }
    Ok(Some((length, rest)))
}

/// Appends a whole frame: its header, and the payload, masked if there is a key.
pub fn write_frame(fin: bool, opcode: Opcode, mask: Option<[u8; 4]>, payload: &[u8], output: &mut Vec<u8>) {
    let payload_length = payload.len() as u64;
    append_frame(&Header { fin, compressed: false, opcode, mask, payload_length }, payload, output);
}

/// Appends a frame with this header, which says how long the payload is.
#[inline(always)]
pub(crate) fn append_frame(header: &Header, payload: &[u8], output: &mut Vec<u8>) {
    output.reserve(size_of::<EncodedHeader>() + payload.len());
    header.encode_up_to_key().append(output);
    match header.mask {
        None => output.extend_from_slice(payload),
        Some(key) => {
            output.extend_from_slice(&key);
            mask::append(payload, key, 0, output);
        }
    }
}

/// A message in one frame, not compressed: nearly every frame is one.
pub(crate) struct LoneFrame {
    /// Text or binary.
    pub(crate) opcode: Opcode,
    pub(crate) key: Option<[u8; 4]>,
    /// Where the payload lies.
    pub(crate) payload: Range<usize>,
}

impl LoneFrame {
    /// Reads the frame at the start of `bytes` if it is one and lies there whole.
    ///
    /// None says nothing: all else, broken rules among it, is for [`Header::decode`] to judge, from the same
    /// first byte. One length check in front lets all further bytes be read without.
    #[inline]
    pub(crate) fn find(bytes: &[u8], sent_by: Side) -> Option<Self> {
        let head = bytes.first_chunk::<HEADER_MAX_BYTES>()?;
        let opcode = match head[0] {
            TEXT_WITH_FIN => Opcode::Text,
            BINARY_WITH_FIN => Opcode::Binary,
            _ => return None,
        };
        let is_masked = sent_by == Side::Client;
        if (head[1] & MASKED != 0) != is_masked {
            return None;
        }
        let (length, start) = match head[1] & LENGTH_BITS {
            LENGTH_IN_2_BYTES => (u64::from(u16::from_be_bytes([head[2], head[3]])), 4),
            LENGTH_IN_8_BYTES => (u64::from_be_bytes(*head[2..].first_chunk()?), 10),
            length => (u64::from(length), 2),
        };
        if start > 2 && length < if start == 4 { 126 } else { 0x1_0000 } {
            return None;
        }
        let key = if is_masked { Some(*head[start..].first_chunk()?) } else { None };
        let start = if is_masked { start + 4 } else { start };
        if length > (bytes.len() - start) as u64 {
            return None;
        }
        Some(Self { opcode, key, payload: start..start + length as usize })
    }
}

/// A header's bytes, in place; it reads as a slice.
#[derive(Debug, Clone, Copy)]
pub struct EncodedHeader {
    /// The header, and zeros behind it.
    bytes: [u8; 16],
    /// At most [`HEADER_MAX_BYTES`].
    length: usize,
}

impl EncodedHeader {
    /// Appends it. A copy of fixed length and a cut are stores; a copy of the exact length would be a call.
    #[inline]
    fn append(&self, output: &mut Vec<u8>) {
        let length = output.len() + self.length;
        output.extend_from_slice(&self.bytes);
        output.truncate(length);
    }
}

impl std::ops::Deref for EncodedHeader {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl FrameError {
    /// The rule that was broken.
    #[must_use]
    pub const fn rule(self) -> Rule {
        let code = CloseCode::PROTOCOL_ERROR;
        let (section, reason) = match self {
            Self::Compressed(_) => {
                return Rule { code, rfc: 7692, section: "6.1", reason: "RSV1 not on a first frame" };
            }
            Self::ReservedBits => ("5.2", "reserved bit set"),
            Self::ReservedOpcode(_) => ("5.2", "reserved opcode"),
            Self::FragmentedControl(_) => ("5.5", "fragmented control frame"),
            Self::LongControl(_) => ("5.5", "control frame over 125 bytes"),
            Self::Unmasked => ("5.1", "client frame without mask"),
            Self::Masked => ("5.1", "server frame with mask"),
            Self::LengthNotMinimal => ("5.2", "length not in its shortest form"),
            Self::LengthOver63Bits => ("5.2", "length of 2^63 or more"),
        };
        Rule { code, rfc: 6455, section, reason }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits => f.write_str("a frame sets a reserved bit that no agreed extension owns"),
            Self::Compressed(opcode) => write!(
                f,
                "a {opcode} frame sets RSV1: only the first frame of a message says that it is compressed"
            ),
            Self::ReservedOpcode(bits) => write!(f, "a frame has the reserved opcode 0x{bits:X}"),
            Self::FragmentedControl(opcode) => {
                write!(f, "a {opcode} frame without FIN: control frames are whole")
            }
            Self::LongControl(opcode) => write!(f, "a {opcode} frame claims more than 125 bytes of payload"),
            Self::Unmasked => f.write_str("a client's frame is not masked"),
            Self::Masked => f.write_str("a server's frame is masked"),
            Self::LengthNotMinimal => f.write_str("a payload length is written in more bytes than it needs"),
            Self::LengthOver63Bits => f.write_str("a payload length has its most significant bit set"),
        }
    }
}

impl std::error::Error for FrameError {}
