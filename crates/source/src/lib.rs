//! Where publications come from: polite polling and shared streams of HTTP backends.
//!
//! The first modules do no IO; the last ones drive them, as futures for a current-thread runtime that need
//! not be `Send` and are given up by being dropped. Channels, clients and routes are unknown here.
#![forbid(unsafe_code)]

// What is read: bytes and headers in, values out.
pub mod json;

pub mod difference;

pub mod schedule;

pub mod validators;

pub mod freshness;

pub mod sharing;

pub mod event_stream;

pub mod lines;

// Who is asked.
pub mod origin;

pub mod connect;

pub mod journal;

pub mod upstream;

mod get;

// What goes on asking.
pub mod event;

pub mod poll;

pub mod stream;

pub mod auto;

#[doc(hidden)]
pub mod fuzzing;

pub use auto::{Facts, Kind, OpenError, Opened, open};
pub use connect::{Roots, RootsError, Trust};
pub use difference::Difference;
pub use event::Event;
pub use get::Target;
pub use journal::Journal;
pub use poll::{PollPolicy, poll};
pub use sharing::Shared;
pub use stream::{StreamPolicy, stream};
pub use upstream::{Awaited, Upstream, UpstreamBody, UpstreamError, UpstreamLimits};
