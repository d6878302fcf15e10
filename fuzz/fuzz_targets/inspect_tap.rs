//! Bytes of a connection, both ways, against the inspector's tap; what must hold is said at
//! [`tidegate_inspect::fuzzing::fuzz_tap`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_inspect::fuzzing::fuzz_tap(data));
