//! From the bytes of a connection, both directions, to events. It observes and never changes: bytes are looked at
//! where they lie, and whoever relays them does that by himself.
//!
//! What breaks rules is told and read on as far as lengths make sense. Memory is bounded whatever comes: a head of
//! 16 KiB, what [`Settings`] says of payloads, one decompressor each way.

mod utf8_check;

mod half;

mod ending;

mod connection;

#[cfg(test)]
mod tests;

pub use connection::{Settings, Tap};
