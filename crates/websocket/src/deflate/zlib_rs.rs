//! The back end in Rust: the crate zlib-rs.
//!
//! It cannot be made small: a compressor takes 266 KB to 380 KB, whatever the window. It serves where one
//! compressor stands for many connections, and where memory is given back after each message.

use zlib_rs::DeflateFlush;

use super::codec::{Deflate, Step};

/// A compressor.
pub(super) struct Deflater(zlib_rs::Deflate);

impl Deflater {
    /// `level` is 0 to 9, `window_bits` 9 to 15.
    pub(super) fn new(level: u8, window_bits: u8) -> Self {
        Self(zlib_rs::Deflate::new(i32::from(level), false, window_bits))
    }
}

impl Deflate for Deflater {
    fn flush(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let before = (self.0.total_in(), self.0.total_out());
        // What fails shows as no progress.
        let _ = self.0.compress(input, output, DeflateFlush::SyncFlush);
        Step {
            taken: (self.0.total_in() - before.0) as usize,
            given: (self.0.total_out() - before.1) as usize,
        }
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}
