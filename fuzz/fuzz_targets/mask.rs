//! Masking in pieces against the formula of RFC 6455, section 5.3; what must hold is said at
//! [`tidegate_websocket::fuzzing::fuzz_mask`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_websocket::fuzzing::fuzz_mask(data));
