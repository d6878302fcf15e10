//! What is on the wire, in words for people who see it for the first time: close codes, opcodes, headers, the bits of
//! a frame, and what is often told wrongly.
//!
//! Every text names the section that it is taken from. Nothing of a peer is in them but by `inert`.

mod explanation;

mod close_codes;

mod opcodes;

mod headers;

mod topics;

mod statuses;

mod bits;

mod bytes;

pub mod known;

mod lookup;

pub use bits::draw;
pub use bytes::{NotFrames, explain_bytes};
pub use close_codes::{CloseWords, close_code};
pub use explanation::Explanation;
pub use headers::header;
pub use lookup::{Unknown, explain, listing, near_among};
