//! A peer's bytes against a connection, either role; what must hold is said at
//! [`tidegate_websocket::fuzzing::fuzz_ws_session`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_websocket::fuzzing::fuzz_ws_session(data));
