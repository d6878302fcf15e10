//! Compressing the messages of one connection (RFC 7692, section 7.2.1): whole or in fragments, with the
//! context kept between them or not.
//!
//! The window is the negotiated one. Which messages are compressed is decided by `write`.

use std::fmt;

use super::codec::Deflate;
use super::compressor::{append, end, store};
use super::parameters::{Direction, OWN_WINDOW_BITS_MIN};
#[cfg(feature = "zlib-c")]
use super::zlib_c as kept;
#[cfg(not(feature = "zlib-c"))]
use super::zlib_rs as kept;

/// zlib's measure of the tables beside the window: 8 KB, where ratios of small messages hardly suffer.
const MEMORY_LEVEL: u8 = 4;

/// A compressor that belongs to one connection: 30 KB with C zlib and a window of 4 KiB, 158 KB without.
pub(crate) struct Deflater {
    codec: kept::Deflater,
    window_bits: u8,
    /// Fragments of a compressed message were written, its last was not.
    in_message: bool,
}

impl Deflater {
    /// A compressor without history, for messages of any length.
    pub(crate) fn new(direction: Direction, level: u8) -> Self {
        Self::with_window(direction.window_bits, level)
    }

    /// A compressor for one message of this length: a window beyond it would be memory for nothing.
    pub(crate) fn for_message(direction: Direction, level: u8, length: usize) -> Self {
        let enough = (usize::BITS - length.leading_zeros()) as u8;
        Self::with_window(direction.window_bits.min(enough.max(OWN_WINDOW_BITS_MIN)), level)
    }

    fn with_window(window_bits: u8, level: u8) -> Self {
        let codec = kept::Deflater::new(level, window_bits, MEMORY_LEVEL);
        Self { codec, window_bits, in_message: false }
    }

    /// The compressed form of the next piece of a message, which ends with it or goes on.
    pub(crate) fn compress(&mut self, piece: &[u8], is_last: bool) -> Vec<u8> {
        let mut output = Vec::new();
        self.in_message = !is_last;
        if piece.is_empty() && !is_last {
            return output;
        }
        if !append(&mut self.codec, piece, &mut output) {
            // Stored blocks refer to nothing, and neither will what comes after them.
            self.codec.reset();
            output.clear();
            store(piece, &mut output);
        }
        if is_last {
            end(&mut output);
        }
        output
    }

    /// A compressed message has begun and not ended.
    pub(crate) fn is_in_message(&self) -> bool {
        self.in_message
    }

    /// Bytes of heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of::<Self>() + kept::Deflater::heap_bytes(self.window_bits, MEMORY_LEVEL)
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater").field("in_message", &self.in_message).finish_non_exhaustive()
    }
}
