//! Bytes of a client as its token; what must hold is said at
//! [`tidegate_gateway::fuzzing::token`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_gateway::fuzzing::token(data));
