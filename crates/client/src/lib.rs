//! Async WebSocket client over tokio: one connection, its events in, messages out.
//!
//! The protocol itself is `tidegate-websocket`, which has no IO; here are the socket, TLS, time-outs and
//! bounds around it. Servers, reconnecting and resuming are not here.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use tidegate_client::{Event, Options, connect};
//!
//! let mut connection = connect("ws://127.0.0.1:8080/quotes/BTC", Options::default()).await?;
//! connection.send_text("hello").await?;
//! while let Some(event) = connection.next().await {
//!     if let Event::Message(message) = event {
//!         println!("{message:?}");
//!     }
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

// The order is the direction: a module uses those above it.
mod version;

mod address;

mod dial;

mod tls;

mod stream;

mod refusal;

mod event;

mod scratch;

mod input;

mod output;

mod keep_alive;

mod connection;

mod split;

mod sink;

mod options;

mod failure;

mod asked;

mod http1;

mod tunnel;

mod http2;

mod connect;

mod accept;

pub mod follow;

pub use accept::{AcceptError, AcceptOptions, Incoming, accept, accept_stream, receive, receive_stream};
pub use address::UrlError;
pub use connect::{connect, connect_stream};
pub use connection::{Connection, Replies, SendError};
pub use dial::DialError;
pub use event::{Close, End, Event, Message, Opened, Timings};
pub use failure::{ConnectError, Http2Error, Phase, handshake_section};
pub use options::Options;
pub use refusal::Refused;
pub use split::{Reader, UnsplitError, Writer};
pub use tidegate_protocol::{Content, Payload, Position};
pub use tidegate_websocket::deflate;
pub use tidegate_websocket::handshake::client::{HandshakeError, RequestError};
pub use tidegate_websocket::{CloseCode, Extensions, Limits, ProtocolError};
pub use tls::{Trust, TrustError};
pub use version::Http;
