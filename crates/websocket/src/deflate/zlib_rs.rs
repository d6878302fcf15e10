//! The back end in Rust: the crate zlib-rs.
//!
//! It cannot be made small: a compressor takes 137 KB to 380 KB and a decompressor 47.5 KB, whatever the
//! window. It serves where one compressor stands for many connections and where memory is given back after
//! each message; without the feature `zlib-c` it also keeps the contexts of connections.

use zlib_rs::{DeflateConfig, DeflateFlush, InflateFlush, Status};

use super::codec::{Deflate, Inflate, Progress, Step, Until};
use super::parameters::WINDOW_BITS_MAX;

/// What a decompressor takes: its tables and a window that is always 32 KiB.
const INFLATE_BYTES: usize = 48 * 1024;

/// A compressor.
pub(super) struct Deflater(zlib_rs::Deflate);

/// A decompressor.
pub(super) struct Inflater(zlib_rs::Inflate);

impl Deflater {
    /// `level` is 0 to 9, `window_bits` 9 to 15, `memory_level` 1 to 9.
    pub(super) fn new(level: u8, window_bits: u8, memory_level: u8) -> Self {
        Self(zlib_rs::Deflate::new_with_config(DeflateConfig {
            level: level.into(),
            // Negative: without zlib's header.
            window_bits: -i32::from(window_bits),
            mem_level: memory_level.into(),
            ..DeflateConfig::default()
        }))
    }

    /// Bytes of heap that a compressor takes, at most: window, two tables, and buffers that do not shrink.
    #[cfg_attr(feature = "zlib-c", allow(dead_code))]
    pub(super) const fn heap_bytes(window_bits: u8, memory_level: u8) -> usize {
        (1 << (window_bits + 2)) + (1 << (memory_level + 9)) + 136 * 1024
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

impl Inflater {
    /// Its window is always the largest, so that `window_bits` changes nothing.
    pub(super) fn new(_window_bits: u8) -> Self {
        Self(zlib_rs::Inflate::new(false, WINDOW_BITS_MAX))
    }
}

impl Inflate for Inflater {
    fn step(&mut self, input: &[u8], output: &mut [u8], until: Until) -> (Step, Progress) {
        let before = (self.0.total_in(), self.0.total_out());
        let flush = match until {
            Until::Exhausted => InflateFlush::NoFlush,
            Until::BlockEnd => InflateFlush::Block,
        };
        let progress = match self.0.decompress(input, output, flush) {
            Ok(Status::Ok | Status::BufError) => Progress::Going,
            Ok(Status::StreamEnd) => Progress::Final,
            Err(_) => Progress::Corrupt,
        };
        let taken = (self.0.total_in() - before.0) as usize;
        let given = (self.0.total_out() - before.1) as usize;
        (Step { taken, given }, progress)
    }

    fn restart(&mut self, history: &[u8]) {
        self.0.reset(false);
        // A raw stream takes a dictionary at any time; without one, what refers to it is corrupt.
        let _ = self.0.set_dictionary(history);
    }

    fn heap_bytes(&self) -> usize {
        INFLATE_BYTES
    }
}
