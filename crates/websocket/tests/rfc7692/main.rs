//! The rules of RFC 7692 (permessage-deflate), and of RFC 8441 where handshakes negotiate it.

mod connect;
mod negotiation;
mod shared;
