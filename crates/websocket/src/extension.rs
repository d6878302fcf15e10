//! The extensions that a handshake agreed on (RFC 6455, section 9): permessage-deflate, or none.
//!
//! What an extension does is in a module of its own; here is the set, the reserved bits that it owns and
//! the header that announces it.

use crate::deflate;

/// The first reserved bit of a frame's first byte.
pub const RSV1: u8 = 0x40;
/// The second reserved bit.
pub const RSV2: u8 = 0x20;
/// The third reserved bit.
pub const RSV3: u8 = 0x10;

/// The agreed extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions {
    /// permessage-deflate (RFC 7692): messages may be compressed.
    pub deflate: Option<deflate::Parameters>,
}

impl Extensions {
    /// The reserved bits that an agreed extension gives a meaning to; the others must be zero (section 5.2).
    #[must_use]
    pub const fn owned_bits(self) -> u8 {
        if self.deflate.is_some() { RSV1 } else { 0 }
    }

    /// The value of Sec-WebSocket-Extensions in the server's answer; none if nothing was agreed on.
    #[must_use]
    pub fn header_value(self) -> Option<String> {
        self.deflate.map(deflate::Parameters::answer)
    }
}
