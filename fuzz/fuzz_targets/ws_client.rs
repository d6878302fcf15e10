//! The bytes of a server against a client; what must hold is said at
//! [`tidegate_websocket::fuzzing::fuzz_ws_client`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_websocket::fuzzing::fuzz_ws_client(data));
