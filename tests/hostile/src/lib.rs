//! Attacks on a whole gateway over real sockets: the tools; the attacks are in `tests`, a file a subject.
//!
//! A gateway runs in the test's own process, with small limits from a configuration text. The attacker is
//! plain sockets and bytes written by hand, so that nothing of the gateway's own judges what is sent.
#![forbid(unsafe_code)]

pub mod certificate;
pub mod wire;
pub mod log;
pub mod signer;
pub mod http2;
pub mod socket;
pub mod gate;
pub mod bomb;
pub mod backend;
pub mod stage;
pub mod canary;
pub mod cost;
