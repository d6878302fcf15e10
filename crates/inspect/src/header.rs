//! The header of a frame as it was on the wire, whatever rules it breaks.
//!
//! Whether it breaks one is judged by the codec of `tidegate-websocket`; here only the bits are found, so that a
//! frame can be shown and the next one be looked for behind it.

use serde::{Serialize, Serializer};
use tidegate_websocket::Opcode;
use tidegate_websocket::extension::{RSV1, RSV2, RSV3};
use tidegate_websocket::frame::HEADER_MAX_BYTES;

const FIN: u8 = 0x80;
const OPCODE_BITS: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH_BITS: u8 = 0x7f;

/// The bytes of one header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireHeader {
    /// The header, and zeros behind it.
    bytes: [u8; HEADER_MAX_BYTES],
    /// 2 to [`HEADER_MAX_BYTES`]: what the second byte asks for.
    length: u8,
}

/// The hexadecimal digits of a few bytes, such as a header's or a key's. It needs no heap, for every frame has some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hex {
    digits: [u8; 2 * HEADER_MAX_BYTES],
    length: usize,
}

/// Bytes that are not the header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAHeader;

impl WireHeader {
    /// The header at the start of these bytes; none if more must come.
    #[must_use]
    pub fn find(bytes: &[u8]) -> Option<Self> {
        let [_, second, ..] = bytes else { return None };
        let length = length_of(*second);
        let mut header = Self { bytes: [0; HEADER_MAX_BYTES], length };
        header.bytes[..usize::from(length)].copy_from_slice(bytes.get(..usize::from(length))?);
        Some(header)
    }

    /// The header, if these bytes are one and nothing else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAHeader> {
        Self::find(bytes).filter(|header| header.as_bytes().len() == bytes.len()).ok_or(NotAHeader)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The bytes in hexadecimal digits, without spaces.
    #[must_use]
    pub fn hex(&self) -> Hex {
        Hex::of(self.as_bytes())
    }

    /// The last fragment of its message.
    #[must_use]
    pub const fn fin(&self) -> bool {
        self.bytes[0] & FIN != 0
    }

    /// The three reserved bits.
    #[must_use]
    pub const fn rsv(&self) -> [bool; 3] {
        let first = self.bytes[0];
        [first & RSV1 != 0, first & RSV2 != 0, first & RSV3 != 0]
    }

    /// The four bits of the opcode.
    #[must_use]
    pub const fn opcode_bits(&self) -> u8 {
        self.bytes[0] & OPCODE_BITS
    }

    /// The opcode; none for the reserved ones.
    #[must_use]
    pub const fn opcode(&self) -> Option<Opcode> {
        Opcode::from_bits(self.opcode_bits())
    }

    /// Close, Ping, Pong, and the reserved opcodes that are set aside for control frames.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        self.opcode_bits() & 0x8 != 0
    }

    /// The masking key, if the payload is masked.
    #[must_use]
    pub fn mask(&self) -> Option<[u8; 4]> {
        let is_masked = self.bytes[1] & MASKED != 0;
        if is_masked { self.as_bytes().last_chunk().copied() } else { None }
    }

    /// The seven bits of the length, which is elsewhere if they are 126 or 127.
    #[must_use]
    pub const fn short_length(&self) -> u8 {
        self.bytes[1] & LENGTH_BITS
    }

    /// Bytes of payload that the header claims.
    #[must_use]
    pub fn payload_length(&self) -> u64 {
        let [_, _, extended @ ..] = self.bytes;
        match self.short_length() {
            126 => u64::from(u16::from_be_bytes([extended[0], extended[1]])),
            127 => u64::from_be_bytes(extended.first_chunk().copied().unwrap_or_default()),
            length => u64::from(length),
        }
    }
}

/// Bytes of a header with this second byte.
const fn length_of(second: u8) -> u8 {
    let extended = match second & LENGTH_BITS {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + extended + if second & MASKED != 0 { 4 } else { 0 }
}

/// The word for an opcode; reserved ones have no other than that.
#[must_use]
pub const fn opcode_word(bits: u8) -> &'static str {
    match Opcode::from_bits(bits) {
        Some(Opcode::Continuation) => "continuation",
        Some(Opcode::Text) => "text",
        Some(Opcode::Binary) => "binary",
        Some(Opcode::Close) => "close",
        Some(Opcode::Ping) => "ping",
        Some(Opcode::Pong) => "pong",
        None => "reserved",
    }
}

impl Hex {
    /// The digits of as many bytes as a header has at most.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut hex = Self { digits: [0; 2 * HEADER_MAX_BYTES], length: 0 };
        for (pair, byte) in hex.digits.chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&digits(*byte));
            hex.length += 2;
        }
        hex
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits[..self.length]).unwrap_or_default()
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Hexadecimal digits, two a byte, without spaces.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| digits(*byte)).map(char::from).collect()
}

/// The two digits of a byte.
#[must_use]
pub const fn digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[(byte >> 4) as usize], DIGITS[(byte & 15) as usize]]
}

/// The bytes that pairs of digits stand for, with or without white space between them; none if it is anything else.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let is_digit = |character: &char| !character.is_ascii_whitespace();
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(is_digit)
        .map(|character| character.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_websocket::Extensions;
    use tidegate_websocket::frame::{Header, Side};

    use super::*;

    #[test]
    fn what_breaks_rules_is_found_too() {
        let header = WireHeader::from_bytes(&[0x7b, 0x7e, 0x00, 0x05]).expect("a header");
        assert_eq!((header.fin(), header.rsv(), header.opcode()), (false, [true, true, true], None));
        assert_eq!((header.payload_length(), header.mask(), header.is_control()), (5, None, true));
        assert_eq!(opcode_word(header.opcode_bits()), "reserved");
        let header = WireHeader::from_bytes(&[0x81, 0x82, 1, 2, 3, 4]).expect("a header");
        assert_eq!((header.mask(), header.hex().as_str()), (Some([1, 2, 3, 4]), "818201020304"));
        for wrong in [&[][..], &[0x81], &[0x81, 0x82, 1, 2, 3], &[0x81, 0x02, 1]] {
            assert_eq!(WireHeader::from_bytes(wrong), Err(NotAHeader), "{wrong:x?}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_codec_where_that_finds_nothing_wrong(
            bytes in prop::collection::vec(any::<u8>(), 14), is_client: bool
        ) {
            let side = if is_client { Side::Client } else { Side::Server };
            let found = WireHeader::find(&bytes).expect("fourteen bytes are enough");
            if let Ok(Some((header, length))) = Header::decode(&bytes, side, Extensions::default()) {
                prop_assert_eq!(length, found.as_bytes().len());
                prop_assert_eq!((header.fin, Some(header.opcode)), (found.fin(), found.opcode()));
                prop_assert_eq!((header.mask, header.payload_length), (found.mask(), found.payload_length()));
                prop_assert_eq!(header.opcode.to_string(), opcode_word(found.opcode_bits()));
            }
            for cut in 0..found.as_bytes().len() {
                prop_assert_eq!(WireHeader::find(&bytes[..cut]), None);
            }
        }

        #[test]
        fn digits_are_the_bytes(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            prop_assert_eq!(from_hex(&hex(&bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_digits_or_not(text in "\\PC{0,12}") {
            let _ = from_hex(&text);
        }
    }
}
