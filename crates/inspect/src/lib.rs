//! What happens on a WebSocket, made readable, without IO: bytes of both directions in, events out, and what is
//! done with events: checks, words, a filter language, recordings. It opens no socket and no file, reads no clock
//! and writes to no terminal.
//!
//! ```text
//!   bytes of a connection ──▶ tap ──▶ Event ──┬─▶ filter ──▶ a terminal, a page
//!                                             └─▶ recordings ──▶ Event
//! ```
//!
//! Begin with [`event::Event`]. The command line, the gateway and pages share its JSON form.
#![forbid(unsafe_code)]

// The order is the direction: a module uses those above it.
pub mod timestamp;

pub mod inert;

pub mod silence;

pub mod header;

pub mod payload;

pub mod event;

pub mod secrets;

pub mod head;

pub mod check;

pub mod tap;

pub mod words;

pub mod filter;

pub mod recording;

pub mod replay;

#[doc(hidden)]
pub mod fuzzing;

pub use event::Event;
pub use tap::Tap;
pub use timestamp::Timestamp;
