//! The extensions that a handshake agreed on (RFC 6455, section 9). None is implemented: the set is empty.
//!
//! The seam for permessage-deflate: it becomes a field of [`Extensions`] that `handshake::server::accept`
//! fills, it adds RSV1 to [`Extensions::owned_bits`], and its inflater stands in `Assembly::append`, where
//! every payload that is not lent passes (a frame with RSV1 set is never lent).

/// The first reserved bit of a frame's first byte.
pub const RSV1: u8 = 0x40;
/// The second reserved bit.
pub const RSV2: u8 = 0x20;
/// The third reserved bit.
pub const RSV3: u8 = 0x10;

/// The agreed extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions {}

impl Extensions {
    /// The reserved bits that an agreed extension gives a meaning to; the others must be zero (section 5.2).
    #[must_use]
    pub const fn owned_bits(self) -> u8 {
        0
    }
}
