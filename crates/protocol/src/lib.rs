//! What clients speak above frames and HTTP bodies, without IO: commands in, replies and pushes out.
//!
//! ```text
//!  client ── text message ──▶ command            (tidegate.v1; a client's own side of it is in client)
//!  hub ── publication ──▶ envelope ──▶ text message      event_stream ──▶ text/event-stream
//!                                                        lines ──▶ application/x-ndjson
//!                                                        long_poll ──▶ application/json
//! ```
//!
//! Bare WebSocket clients have no module here: they get the payload and nothing else. Framing is the
//! gateway's, because a protocol may ride on WebSocket frames and on HTTP bodies alike.
#![forbid(unsafe_code)]

pub mod code;
pub mod query;
pub mod command;
pub mod envelope;
mod member;
pub mod client;
pub mod event_stream;
pub mod lines;
pub mod long_poll;
mod media_type;

pub use client::{Envelope, EnvelopeError};
pub use code::{ErrorCode, Failing, close_code};
pub use command::{Command, CommandError, Content, RequestId};
pub use media_type::media_type;
pub use query::{OwnParameters, split_long_poll_query, split_query};
pub use tidegate_hub::{
    Epoch, Member, Payload, PayloadKind, Position, PresenceChange, Present, Updates, UpdatesError,
};

/// The subprotocol's name on the handshake.
pub const SUBPROTOCOL: &str = "tidegate.v1";
