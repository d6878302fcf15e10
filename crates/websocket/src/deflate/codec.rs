//! What is wanted of a DEFLATE library (RFC 1951, raw streams): steps from one buffer into another.
//!
//! Two libraries stand behind it, each in a file of its own. What is done with the steps, for messages, is
//! in `compressor`, `deflater` and `inflater`.

/// How far a step came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Step {
    /// Bytes taken from the start of the input.
    pub(super) taken: usize,
    /// Bytes written to the start of the output.
    pub(super) given: usize,
}

/// Compresses.
pub(super) trait Deflate {
    /// Compresses and flushes to a byte's end (zlib's "sync flush"): when the input is taken and the output
    /// not filled, the last four bytes of all output are 00 00 ff ff. No progress means that it failed.
    fn flush(&mut self, input: &[u8], output: &mut [u8]) -> Step;

    /// Forgets what was compressed, as if it were new.
    fn reset(&mut self);
}

/// Where an inflater stands after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It may go on: all input is taken, the output is filled, or a block ended and was waited for.
    Going,
    /// A block with BFINAL ended.
    Final,
    /// What follows the taken bytes is not DEFLATE. What was given before is right.
    Corrupt,
}

/// Where a step ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// With the input or the output.
    Exhausted,
    /// With the current block, or sooner.
    BlockEnd,
}

/// Decompresses.
pub(super) trait Inflate {
    /// Decompresses as far as input, output and `until` allow.
    fn step(&mut self, input: &[u8], output: &mut [u8], until: Until) -> (Step, Progress);

    /// Begins anew after [`Progress::Final`], with these bytes as what came before: 32 KiB at most.
    fn restart(&mut self, history: &[u8]);

    /// Bytes of heap.
    fn heap_bytes(&self) -> usize;
}
