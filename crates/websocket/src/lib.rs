//! The WebSocket protocol (RFC 6455) with permessage-deflate (RFC 7692) and the handshake over HTTP/2 (RFC 8441),
//! without IO and for both roles: bytes and events in, bytes and events out. It never touches a socket, a clock,
//! a random source or a thread; random bytes and moments are arguments.
//!
//! ```text
//!   bytes of the peer                                              bytes to the peer
//!        │                                                                ▲
//!        │   handshake::server::accept   or   handshake::client           │
//!        ▼                                                                │
//!    ┌──────────────────────────── Connection ────────────────────────────┴──┐
//!    │  read    header ─▶ unmask ─▶ UTF-8 ─▶ message ──┐    ┌─▶ mask ─▶ header │  write
//!    │                        Pong, Close ─────────────┼────┘         ▲        │
//!    └─────────────────────────────────────────────────┼──────────────┼────────┘
//!                                                      ▼              │
//!                                                    Event      send_…, close
//! ```
//!
//! Begin with [`handshake`], then with [`Connection`] and [`Event`]. A frame that goes to many clients is
//! encoded once as a [`PreparedMessage`].
//!
//! # Driving a connection
//!
//! **Hand everything that was read to `handle_input` and call it until it gives `None`; then write `output`,
//! whatever the events were; only then read again.** In steps:
//!
//! 1. Read from the socket into any buffer. It may be shared by all connections: a whole frame is lent from
//!    it, and of an unfinished one the connection keeps a copy.
//! 2. Wrap what came in an [`Input`] and call [`Connection::handle_input`] until it gives `None`. Each event
//!    borrows until the next call. At the end of the stream call [`Connection::handle_eof`] instead.
//! 3. Call `send_…` and [`Connection::close`] as the application likes; they append to the same `output`.
//! 4. Write `output`. If it cannot be written, do not read: that is all it takes to bound the answers that a
//!    peer can provoke.
//! 5. If [`Connection::is_closed`], a server ends the TCP connection now, and a client awaits its end.
//! 6. The time is the caller's: how long [`Connection::is_closing`] and
//!    [`Connection::has_unfinished_message`] may last, when to Ping, when a Pong is late. [`timing`] decides
//!    that on a clock that the caller reads.
//!
//! ```
//! use tidegate_websocket::{Connection, Event, Input, Limits, Message, Role};
//!
//! let mut connection = Connection::new(Role::Server, Limits::default());
//! // "Hello", masked, as in section 5.7 of the RFC.
//! let mut buffer = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
//! let mut input = Input::new(&mut buffer);
//! let mut output = Vec::new();
//! let mut received = Vec::new();
//! while let Some(event) = connection.handle_input(&mut input, &mut output) {
//!     if let Event::Message(Message::Text(text)) = event {
//!         received.push(text.to_owned());
//!     }
//! }
//! connection.send_text(&received[0], &mut output)?;
//! assert_eq!(output, b"\x81\x05Hello");
//! # Ok::<(), tidegate_websocket::SendError>(())
//! ```
#![deny(unsafe_code)]

// The order is the direction: a module uses those above it.
pub mod opcode;

mod keystream;

// Beside the calls of zlib the one module with unsafe code.
#[allow(unsafe_code)]
pub mod mask;

pub mod close;

pub mod deflate;

pub mod extension;

pub mod frame;

pub mod utf8;

pub mod handshake;

pub mod message;

mod read;

mod write;

pub mod connection;

pub mod prepared;

pub mod timing;

#[doc(hidden)]
pub mod fuzzing;

pub use close::{Close, CloseCode, REASON_MAX_BYTES};
pub use connection::{Answers, Connection, Event, Role};
pub use extension::Extensions;
pub use mask::MaskKeys;
pub use message::{Limits, Message, MessageKind};
pub use opcode::Opcode;
pub use prepared::PreparedMessage;
pub use read::{Input, ProtocolError};
pub use write::{Fragment, SendError};
