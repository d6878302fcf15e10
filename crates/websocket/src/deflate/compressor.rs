//! Compressing whole messages (RFC 7692, section 7.2.1): once for all who get them, without context.
//!
//! It knows no frames and no connection; a payload comes in, its compressed form goes out.

use std::fmt;

use super::codec::{Deflate, Step};
use super::parameters::{Effort, WINDOW_BITS_MAX};
use super::zlib_rs;

/// What a flush ends with, and a message leaves out (section 7.2.1).
pub(super) const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// zlib's measure of the tables beside the window: its own default.
const MEMORY_LEVEL: u8 = 8;

/// Longest stored block (RFC 1951, section 3.2.4).
const STORED_MAX_BYTES: usize = 65535;

/// Compresses messages one by one, each for any number of receivers. It holds some 300 KB, so that there
/// should be one for each thread, not one for each connection.
pub struct Compressor {
    deflate: zlib_rs::Deflater,
    effort: Effort,
}

impl Compressor {
    /// A compressor with a window of 32 KiB.
    #[must_use]
    pub fn new(effort: Effort) -> Self {
        Self { deflate: zlib_rs::Deflater::new(effort.level(), WINDOW_BITS_MAX, MEMORY_LEVEL), effort }
    }

    /// What it was made with.
    #[must_use]
    pub fn effort(&self) -> Effort {
        self.effort
    }

    /// Appends the compressed payload of a whole message to `output`: what stands in frames with RSV1,
    /// without the four bytes of its end. It does not look at [`Effort::min_bytes`], and the result may be
    /// longer than the payload.
    pub fn compress(&mut self, payload: &[u8], output: &mut Vec<u8>) {
        self.deflate.reset();
        let start = output.len();
        if !append(&mut self.deflate, payload, output) {
            output.truncate(start);
            store(payload, output);
        }
        end(output);
    }
}

/// Appends all of the payload, compressed and flushed; false if the library failed.
pub(super) fn append(deflate: &mut impl Deflate, mut payload: &[u8], output: &mut Vec<u8>) -> bool {
    if payload.is_empty() {
        // A flush of nothing may give nothing; this is the empty stored block that it stands for.
        output.push(0);
        output.extend_from_slice(&TAIL);
        return true;
    }
    loop {
        let filled = output.len();
        // zlib's own bound, so that one step is the rule.
        let room = payload.len() + payload.len() / 8 + payload.len() / 64 + 64;
        output.resize(filled + room, 0);
        let Step { taken, given } = deflate.flush(payload, &mut output[filled..]);
        output.truncate(filled + given);
        payload = &payload[taken..];
        if payload.is_empty() && given < room {
            return output.ends_with(&TAIL);
        }
        if (taken, given) == (0, 0) {
            return false;
        }
    }
}

/// Appends the payload in stored blocks: DEFLATE that needs no library.
pub(super) fn store(payload: &[u8], output: &mut Vec<u8>) {
    for piece in payload.chunks(STORED_MAX_BYTES) {
        let length = piece.len() as u16;
        output.push(0);
        output.extend_from_slice(&length.to_le_bytes());
        output.extend_from_slice(&(!length).to_le_bytes());
        output.extend_from_slice(piece);
    }
    output.push(0);
    output.extend_from_slice(&TAIL);
}

/// Leaves out what the receiver adds again (section 7.2.1).
pub(super) fn end(output: &mut Vec<u8>) {
    debug_assert!(output.ends_with(&TAIL), "a flush ends with an empty stored block");
    output.truncate(output.len() - TAIL.len());
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("effort", &self.effort).finish_non_exhaustive()
    }
}
