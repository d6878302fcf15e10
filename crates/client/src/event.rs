//! What happens on a connection, as values that own what they hold.
//!
//! They are made of the protocol's events, which borrow; here nothing is decided.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tidegate_websocket as websocket;
use tidegate_websocket::{CloseCode, Extensions, ProtocolError};

use crate::version::Http;

/// What the server agreed to, and how the way there was: the first of the four events.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The version of HTTP of the handshake: V1 or V2.
    pub http: Http,
    /// 101, or 2xx over HTTP/2.
    pub status: u16,
    /// The answer's fields as they came: order, case of letters and repetitions.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
    /// The extensions that both sides agreed on.
    pub extensions: Extensions,
    /// The request as it was sent; over HTTP/2 its fields as lines, pseudo-headers first.
    pub request: Vec<u8>,
    /// The server's address; none over a stream of the caller's.
    pub peer: Option<SocketAddr>,
    /// Version and key exchange, if the connection is secured by TLS.
    pub tls: Option<String>,
    /// How long it took.
    pub timings: Timings,
}

/// How long the parts of opening took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    /// To find the host's addresses; close to zero for an address.
    pub resolve: Duration,
    /// TCP.
    pub connect: Duration,
    /// TLS.
    pub tls: Option<Duration>,
    /// From the request to the whole head of the answer.
    pub handshake: Duration,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A whole message came.
    Message(Message),
    /// A Ping came. It has been answered, unless `auto_pong` is off.
    Ping(Bytes),
    /// A Pong came.
    Pong(Bytes),
    /// The connection ended. No event follows.
    Close(Close),
    /// The peer broke a rule, was told so and the connection ended. No event follows.
    Error(ProtocolError),
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// UTF-8.
    Text(String),
    /// Any bytes.
    Binary(Bytes),
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The peer's code; 1005 if its Close frame had none, 1006 if no Close frame came.
    pub code: CloseCode,
    /// The peer's words, 123 bytes at most. They may hold control characters.
    pub reason: String,
    /// What ended it.
    pub end: End,
}

/// What ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A Close frame came.
    CloseFrame,
    /// The bytes ended without one.
    EndOfStream,
    /// The connection broke.
    Lost(io::ErrorKind),
    /// Our Close frame was not answered in time.
    NoAnswer,
    /// Nothing came for `ping_interval`, nor for `pong_timeout` after the Ping that asked.
    NoPong,
}

impl Message {
    /// The payload.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl Close {
    /// True if the peer's Close frame came.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.end == End::CloseFrame
    }
}

/// The event with copies of what it borrows.
pub(crate) fn owned(event: websocket::Event<'_>) -> Event {
    match event {
        websocket::Event::Message(websocket::Message::Text(text)) => {
            Event::Message(Message::Text(text.to_owned()))
        }
        websocket::Event::Message(websocket::Message::Binary(bytes)) => {
            Event::Message(Message::Binary(Bytes::copy_from_slice(bytes)))
        }
        websocket::Event::Ping(payload) => Event::Ping(Bytes::copy_from_slice(payload)),
        websocket::Event::Pong(payload) => Event::Pong(Bytes::copy_from_slice(payload)),
        websocket::Event::Close(close) => Event::Close(Close {
            code: close.status(),
            reason: close.reason.to_owned(),
            end: if close.clean { End::CloseFrame } else { End::EndOfStream },
        }),
        websocket::Event::Error(error) => Event::Error(error),
    }
}

/// What the protocol would say: a last event with the names of the other enumeration.
pub(crate) fn lent(event: &Event) -> websocket::Event<'_> {
    match event {
        Event::Message(Message::Text(text)) => websocket::Event::Message(websocket::Message::Text(text)),
        Event::Message(Message::Binary(bytes)) => {
            websocket::Event::Message(websocket::Message::Binary(bytes))
        }
        Event::Ping(payload) => websocket::Event::Ping(payload),
        Event::Pong(payload) => websocket::Event::Pong(payload),
        Event::Close(close) => websocket::Event::Close(websocket::Close {
            code: (close.code != CloseCode::NO_STATUS).then_some(close.code),
            reason: &close.reason,
            clean: close.is_clean(),
        }),
        Event::Error(error) => websocket::Event::Error(*error),
    }
}
