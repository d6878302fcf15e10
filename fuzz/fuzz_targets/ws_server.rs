//! The bytes of a client against a server; what must hold is said at
//! [`tidegate_websocket::fuzzing::fuzz_ws_server`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_websocket::fuzzing::fuzz_ws_server(data));
