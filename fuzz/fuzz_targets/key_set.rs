//! Bytes of an issuer as its keys; what must hold is said at
//! [`tidegate_gateway::fuzzing::key_set`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_gateway::fuzzing::key_set(data));
