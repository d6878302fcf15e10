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
