//! Decompressing the messages of one connection (RFC 7692, section 7.2.2), as their bytes come.
//!
//! Output goes to a [`Sink`] in small pieces, which bounds it and may refuse it: nothing is decompressed
//! further than one piece beyond what the sink takes. What is allowed is decided by `message`.

use std::fmt;

use super::codec::{Inflate, Progress, Step, Until};
use super::compressor::TAIL;
use super::parameters::Direction;
#[cfg(feature = "zlib-c")]
use super::zlib_c as kept;
use super::zlib_rs;
#[cfg(not(feature = "zlib-c"))]
use super::zlib_rs as kept;

/// Longest piece of output, in bytes.
const PIECE_MAX_BYTES: usize = 8 * 1024;

/// Final blocks that a message may have beside one for each [`BYTES_PER_FINAL_BLOCK`] of its output: to go
/// on behind one costs the copy of a window, which two bytes of input must not buy.
const FINAL_BLOCKS_MAX: usize = 16;
const BYTES_PER_FINAL_BLOCK: usize = 1024;

/// What the output goes to.
pub(crate) trait Sink {
    /// What it says to output that it does not take.
    type Error: From<InflateError>;

    /// Bytes that it will take.
    fn room(&self) -> usize;

    /// Takes the next bytes. One byte more than there is room for may come, for it to refuse.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;

    /// What it took of this message lately: 32 KiB, or all of it.
    fn recent(&self) -> Vec<u8>;
}

/// A payload cannot be decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InflateError {
    /// Not DEFLATE.
    Corrupt,
    /// It ends within a block, or lacks what follows its last block.
    Incomplete,
}

/// A decompressor that belongs to one connection, or to one message.
pub(crate) struct Inflater {
    codec: Codec,
    message: Received,
}

enum Codec {
    /// Without takeover: it goes when the message has come.
    Message(zlib_rs::Inflater),
    /// With takeover.
    Kept(kept::Inflater),
}

/// What came of the current message.
#[derive(Default)]
struct Received {
    /// Compressed bytes came.
    begun: bool,
    final_blocks: usize,
    output_bytes: usize,
}

impl Inflater {
    pub(crate) fn new(direction: Direction) -> Self {
        let codec = if direction.takeover {
            Codec::Kept(kept::Inflater::new(direction.inflate_window_bits()))
        } else {
            Codec::Message(zlib_rs::Inflater::new(direction.inflate_window_bits()))
        };
        Self { codec, message: Received::default() }
    }

    /// Takes the next bytes of a message's payload.
    pub(crate) fn push<S: Sink>(&mut self, mut input: &[u8], sink: &mut S) -> Result<(), S::Error> {
        self.message.begun |= !input.is_empty();
        let mut piece = [0; PIECE_MAX_BYTES];
        loop {
            let room = sink.room().saturating_add(1).min(PIECE_MAX_BYTES);
            let (Step { taken, given }, progress) =
                self.codec.step(input, &mut piece[..room], Until::Exhausted);
            input = &input[taken..];
            self.message.output_bytes = self.message.output_bytes.saturating_add(given);
            sink.append(&piece[..given])?;
            match progress {
                Progress::Corrupt => return Err(InflateError::Corrupt.into()),
                Progress::Final => self.go_on(sink)?,
                Progress::Going if given < room && (input.is_empty() || taken == 0) => return Ok(()),
                Progress::Going => {}
            }
        }
    }

    /// Says that the payload has come whole.
    pub(crate) fn finish(&mut self) -> Result<(), InflateError> {
        let begun = std::mem::take(&mut self.message).begun;
        if !begun {
            // Not even an empty block came, as section 7.2.3.6 wants it: some flush of nothing gives nothing.
            return Ok(());
        }
        // The byte behind the tail must stay: who takes it is in the middle of a block, and so is who gives
        // something for the tail.
        let [a, b, c, d] = TAIL;
        let (step, progress) = self.codec.step(&[a, b, c, d, 0], &mut [0; 16], Until::BlockEnd);
        match progress {
            Progress::Going if step == (Step { taken: TAIL.len(), given: 0 }) => Ok(()),
            Progress::Going | Progress::Final | Progress::Corrupt => Err(InflateError::Incomplete),
        }
    }

    /// Bytes of heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.codec {
                Codec::Message(codec) => codec.heap_bytes(),
                Codec::Kept(codec) => codec.heap_bytes(),
            }
    }

    /// Goes on behind a block with BFINAL, which section 7.2.1 allows. References may reach back to the
    /// beginning of the message.
    fn go_on<S: Sink>(&mut self, sink: &S) -> Result<(), S::Error> {
        let message = &mut self.message;
        message.final_blocks += 1;
        if message.final_blocks > FINAL_BLOCKS_MAX + message.output_bytes / BYTES_PER_FINAL_BLOCK {
            return Err(InflateError::Corrupt.into());
        }
        self.codec.restart(&sink.recent());
        Ok(())
    }
}

impl Codec {
    fn step(&mut self, input: &[u8], output: &mut [u8], until: Until) -> (Step, Progress) {
        match self {
            Self::Message(codec) => codec.step(input, output, until),
            Self::Kept(codec) => codec.step(input, output, until),
        }
    }

    fn restart(&mut self, history: &[u8]) {
        match self {
            Self::Message(codec) => codec.restart(history),
            Self::Kept(codec) => codec.restart(history),
        }
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").field("begun", &self.message.begun).finish_non_exhaustive()
    }
}
