//! Pieces of bytes against the incremental UTF-8 validator; what must hold is said at
//! [`tidegate_websocket::fuzzing::fuzz_utf8`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_websocket::fuzzing::fuzz_utf8(data));
