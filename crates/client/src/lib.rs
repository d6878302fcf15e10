//! WebSockets over tokio, both ends: [`connect`] to one, or [`accept`] one; events in, messages out.
//!
//! The protocol itself is `tidegate-websocket`, which has no IO; here are the socket, TLS, HTTP/1.1 and
//! HTTP/2, time-outs and bounds around it. A [`Connection`] is a `Stream` of events and a `Sink` of messages,
//! and can be [split](Connection::split) for two tasks. A [`follow::Follower`] follows channels of a gateway
//! over as many connections as it takes. Whoever listens for connections, and how many, is not here.
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
//!
//! # What happens when a future is dropped
//!
//! | future | dropped before it is ready |
//! |---|---|
//! | `next`, `next_with`, `flush`, `ready` | nothing happened that the next call does not go on with |
//! | `send_text`, `send_binary`, `ping` of a connection | the message is queued or written, never both; not polled at all, it is not sent |
//! | `send` and its like of a [`Writer`] | while it waits for room: not sent; later: queued or written |
//! | `close` | the Close frame is queued with the first poll |
//! | `connect`, `accept`, `receive` | the attempt is given up, and the TCP connection ends |
//! | [`follow::Follower::next`] | attempts, waits and events stay where they are |
//!
//! # What has a bound
//!
//! | what | bound |
//! |---|---|
//! | a message that comes | `limits`: 16 MiB for clients, 1 MiB for servers, in 1,024 fragments |
//! | what is unwritten | 256 KiB, the last message, and 16 KiB of Pongs; beyond it nothing is queued and no Ping is read |
//! | what is read and not taken | 32 KiB, lent from the thread; an idle connection has no buffers, and at most 1 KiB of heap |
//! | a request's or answer's head | 16 KiB, 64 fields |
//! | the body of a refusal | 16 KiB, 1 s |
//! | a stream of HTTP/2 | 256 KiB that were not read |
//! | opening | `connect_timeout`, `handshake_timeout`: 10 s |
//! | a peer that takes nothing | `stall_timeout`: 30 s |
//! | a peer that says nothing | `ping_interval`, `pong_timeout`: 30 s and 10 s for servers and followers, off for clients |
//! | a peer that does not answer our Close | `close_timeout`: 3 s |
//! | waits between attempts | 30 s, or what the gateway asks for up to 15 min |
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
pub use connect::{Reached, connect, connect_stream, reach_server};
pub use connection::{Connection, Replies, SendError};
pub use dial::DialError;
pub use event::{Close, End, Event, Message, Opened, Timings};
pub use failure::{ConnectError, Http2Error, Phase, handshake_section};
pub use options::Options;
pub use refusal::Refused;
pub use split::{Reader, UnsplitError, Writer};
pub use stream::RawStream;
pub use tidegate_protocol::{Content, Member, Payload, Position, Present, Updates};
pub use tidegate_websocket::deflate;
pub use tidegate_websocket::handshake::client::{HandshakeError, RequestError};
pub use tidegate_websocket::{CloseCode, Extensions, Limits, ProtocolError};
pub use tls::{Trust, TrustError};
pub use version::Http;
