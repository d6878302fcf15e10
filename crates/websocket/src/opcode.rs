//! The opcode of a frame: the low four bits of its first byte (RFC 6455, section 5.2).
//!
//! Only the six that the RFC defines can be held; the ten reserved ones end at [`Opcode::from_bits`].

use std::fmt;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of the message that an earlier frame began.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The last frame that an endpoint sends.
    Close = 0x8,
    /// Asks for a Pong with the same payload.
    Ping = 0x9,
    /// Answers a Ping, or is a sign of life that nobody asked for.
    Pong = 0xA,
}

impl Opcode {
    /// The opcode with these four bits; none for 0x3 to 0x7 and 0xB to 0xF, which are reserved, and for
    /// anything wider than four bits.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    /// The four bits on the wire.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// True for Close, Ping and Pong, which may stand between the fragments of a message and carry 125
    /// bytes at most (section 5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        match self {
            Self::Continuation | Self::Text | Self::Binary => false,
            Self::Close | Self::Ping | Self::Pong => true,
        }
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Continuation => "continuation",
            Self::Text => "text",
            Self::Binary => "binary",
            Self::Close => "close",
            Self::Ping => "ping",
            Self::Pong => "pong",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_opcodes_are_defined_and_the_others_reserved() {
        let defined: Vec<u8> = (0..=u8::MAX).filter(|bits| Opcode::from_bits(*bits).is_some()).collect();
        assert_eq!(defined, [0x0, 0x1, 0x2, 0x8, 0x9, 0xA]);
        for bits in defined {
            let opcode = Opcode::from_bits(bits).unwrap();
            assert_eq!(opcode.bits(), bits);
            assert_eq!(opcode.is_control(), bits >= 0x8, "{opcode}");
        }
    }
}
