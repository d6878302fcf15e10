//! A request's bytes against the server's part of the handshake; what must hold is said at
//! [`tidegate_websocket::fuzzing::fuzz_ws_handshake`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_websocket::fuzzing::fuzz_ws_handshake(data));
