//! Offers and answers of permessage-deflate against both sides of the handshake; what must hold is said at
//! [`tidegate_websocket::fuzzing::fuzz_deflate_offer`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_websocket::fuzzing::fuzz_deflate_offer(data));
