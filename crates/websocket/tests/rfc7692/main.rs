//! The rules of RFC 7692 (permessage-deflate), and of RFC 8441 where handshakes negotiate it.
//!
//! Frames are written by hand in `peer`; payloads are those of the RFC, or made by the other end.

mod peer;
#[path = "../told/mod.rs"]
mod told;

mod bounds;
mod connect;
mod identity;
mod negotiation;
mod reading;
mod sending;
mod shared;
