//! A peer's compressed messages against a connection, either role, any parameters; what must hold is said at
//! [`tidegate_websocket::fuzzing::fuzz_deflate_read`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_websocket::fuzzing::fuzz_deflate_read(data));
