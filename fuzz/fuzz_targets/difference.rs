//! Bytes of a backend against a parser of sources; what must hold is said at
//! [`tidegate_source::fuzzing::difference`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_source::fuzzing::difference(data));
