//! Bytes of a file against what reads recordings; what must hold is said at
//! [`tidegate_inspect::fuzzing::fuzz_recording`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_inspect::fuzzing::fuzz_recording(data));
