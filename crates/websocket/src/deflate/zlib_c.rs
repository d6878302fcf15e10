//! The back end in C: zlib itself, linked statically, for contexts that stay with a connection.
//!
//! It is here because it can be small: 30 KB for a compressor with a window of 4 KiB, 7 KB and the window
//! for a decompressor. This is the one place where compression needs unsafe code: the calls into C.

use std::alloc::{Layout, handle_alloc_error};
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use libz_sys as zlib;
use libz_sys::z_stream;

use super::codec::{Deflate, Inflate, Progress, Step, Until};

/// zlib's `deflate_state` and what it adds to its tables.
const DEFLATE_FIXED_BYTES: usize = 6 * 1024;
/// zlib's `inflate_state`, which holds its tables.
const INFLATE_FIXED_BYTES: usize = 7 * 1024 + 256;

/// A compressor. It owns the stream and what zlib allocated for it.
pub(super) struct Deflater(NonNull<z_stream>);

/// A decompressor. It owns the stream and what zlib allocated for it.
pub(super) struct Inflater {
    stream: NonNull<z_stream>,
    window_bits: u8,
}

// SAFETY: a stream and what it points to are owned by one value, and zlib keeps nothing for a thread.
unsafe impl Send for Deflater {}
// SAFETY: as above. Nothing can be done through a shared reference but to read `window_bits`.
unsafe impl Send for Inflater {}
// SAFETY: a shared reference gives no access to the stream.
unsafe impl Sync for Deflater {}
// SAFETY: a shared reference gives no access to the stream.
unsafe impl Sync for Inflater {}

impl Deflater {
    /// `level` is 0 to 9, `window_bits` 9 to 15, `memory_level` 1 to 9.
    pub(super) fn new(level: u8, window_bits: u8, memory_level: u8) -> Self {
        Self(open(|stream| {
            // SAFETY: `open` passes a stream that is zero, as zlib wants it; the version and the size are
            // those of the headers that the declarations come from.
            unsafe {
                zlib::deflateInit2_(
                    stream,
                    level.into(),
                    zlib::Z_DEFLATED,
                    -c_int::from(window_bits),
                    memory_level.into(),
                    zlib::Z_DEFAULT_STRATEGY,
                    zlib::zlibVersion(),
                    size_of::<z_stream>() as c_int,
                )
            }
        }))
    }

    /// Bytes of heap that a compressor takes.
    pub(super) const fn heap_bytes(window_bits: u8, memory_level: u8) -> usize {
        (1 << (window_bits + 2)) + (1 << (memory_level + 9)) + DEFLATE_FIXED_BYTES
    }
}

impl Deflate for Deflater {
    fn flush(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        // What fails shows as no progress.
        // SAFETY: `run` passes our open stream with its buffers set.
        let (step, _) =
            run(self.0, input, output, |stream| unsafe { zlib::deflate(stream, zlib::Z_SYNC_FLUSH) });
        step
    }

    fn reset(&mut self) {
        // SAFETY: the stream is open until drop, and nobody else has it.
        unsafe { zlib::deflateReset(self.0.as_ptr()) };
    }
}

impl Drop for Deflater {
    fn drop(&mut self) {
        // SAFETY: the stream is open and nobody else has it; it came out of a box in `open` and is not used
        // again.
        unsafe {
            zlib::deflateEnd(self.0.as_ptr());
            drop(Box::from_raw(self.0.as_ptr()));
        }
    }
}

impl Inflater {
    /// `window_bits` is 8 to 15.
    pub(super) fn new(window_bits: u8) -> Self {
        let stream = open(|stream| {
            // SAFETY: as in `Deflater::new`.
            unsafe {
                zlib::inflateInit2_(
                    stream,
                    -c_int::from(window_bits),
                    zlib::zlibVersion(),
                    size_of::<z_stream>() as c_int,
                )
            }
        });
        Self { stream, window_bits }
    }
}

impl Inflate for Inflater {
    fn step(&mut self, input: &[u8], output: &mut [u8], until: Until) -> (Step, Progress) {
        let flush = match until {
            Until::Exhausted => zlib::Z_NO_FLUSH,
            Until::BlockEnd => zlib::Z_BLOCK,
        };
        // SAFETY: `run` passes our open stream with its buffers set.
        let (step, code) = run(self.stream, input, output, |stream| unsafe { zlib::inflate(stream, flush) });
        let progress = match code {
            zlib::Z_OK | zlib::Z_BUF_ERROR => Progress::Going,
            zlib::Z_STREAM_END => Progress::Final,
            _ => Progress::Corrupt,
        };
        (step, progress)
    }

    fn restart(&mut self, history: &[u8]) {
        let window = 1 << self.window_bits;
        let history = &history[history.len().saturating_sub(window)..];
        // SAFETY: the stream is open and nobody else has it; zlib copies what it needs of the history, whose
        // length is that of the slice and below 2^16.
        unsafe {
            zlib::inflateReset(self.stream.as_ptr());
            zlib::inflateSetDictionary(self.stream.as_ptr(), history.as_ptr(), history.len() as zlib::uInt);
        }
    }

    fn heap_bytes(&self) -> usize {
        INFLATE_FIXED_BYTES + (1 << self.window_bits)
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        // SAFETY: as in `Deflater`.
        unsafe {
            zlib::inflateEnd(self.stream.as_ptr());
            drop(Box::from_raw(self.stream.as_ptr()));
        }
    }
}

/// A stream on the heap, because zlib keeps its address, opened by `initialize`.
fn open(initialize: impl FnOnce(*mut z_stream) -> c_int) -> NonNull<z_stream> {
    let mut stream = Box::new(MaybeUninit::<z_stream>::zeroed());
    // Our arguments are valid, so that only memory can be missing.
    if initialize(stream.as_mut_ptr()) != zlib::Z_OK {
        handle_alloc_error(Layout::new::<z_stream>());
    }
    // SAFETY: zero is valid in all fields but the two functions for memory, and zlib replaced those.
    let stream = unsafe { stream.assume_init() };
    NonNull::from(Box::leak(stream))
}

/// One call with these buffers, which zlib forgets after it.
fn run(
    stream: NonNull<z_stream>,
    input: &[u8],
    output: &mut [u8],
    call: impl FnOnce(*mut z_stream) -> c_int,
) -> (Step, c_int) {
    let length = |bytes: usize| zlib::uInt::try_from(bytes).unwrap_or(zlib::uInt::MAX);
    let (input_length, output_length) = (length(input.len()), length(output.len()));
    // SAFETY: the caller owns the stream, which is open. zlib reads `avail_in` bytes of the input, writes
    // `avail_out` bytes of the output at most and never writes to the input; both slices outlive the call.
    unsafe {
        let fields = stream.as_ptr();
        (*fields).next_in = input.as_ptr().cast_mut();
        (*fields).avail_in = input_length;
        (*fields).next_out = output.as_mut_ptr();
        (*fields).avail_out = output_length;
        let code = call(fields);
        let taken = (input_length - (*fields).avail_in) as usize;
        let given = (output_length - (*fields).avail_out) as usize;
        (*fields).next_in = ptr::null_mut();
        (*fields).next_out = ptr::null_mut();
        (Step { taken, given }, code)
    }
}
