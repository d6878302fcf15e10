//! Why there is no connection, and who is to blame: the caller, the network, TLS, the server's answer, its
//! protocol, or time.
//!
//! The parts of opening fail with these; nothing is opened here.

use std::time::Duration;
use std::{fmt, io};

use tidegate_websocket::handshake::client::{HandshakeError, RequestError};

use crate::address::UrlError;
use crate::dial::DialError;
use crate::refusal::Refused;
use crate::tls::TrustError;

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectError {
    /// The URL. The caller is to blame.
    Url(UrlError),
    /// A header, subprotocol or the like that cannot be sent. The caller is to blame.
    Request(RequestError),
    /// The certificates to believe cannot be read.
    Trust(TrustError),
    /// The host cannot be resolved or reached.
    Dial(DialError),
    /// TLS failed, or the certificate is not believed.
    Tls(io::Error),
    /// The server shows the certificate of an authority (CA:TRUE) as its own, which none may, whoever believes it.
    /// Who set up the server is to blame.
    Authority(io::Error),
    /// What answered is no TLS, as of a port that speaks plain HTTP.
    NotTls(io::Error),
    /// The connection broke before the whole answer had come.
    Lost(io::Error),
    /// The server answered, and the answer is no.
    Refused(Box<Refused>),
    /// The server's answer breaks the protocol.
    Handshake(HandshakeError),
    /// HTTP/2 was asked for and cannot be had.
    Http2(Http2Error),
    /// It took too long.
    Timeout {
        /// What was awaited.
        phase: Phase,
        /// The time that was given.
        limit: Duration,
    },
}

/// Why a WebSocket cannot be opened over HTTP/2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Http2Error {
    /// The server did not choose `h2` by ALPN.
    NotAgreed,
    /// The server does not allow extended CONNECT: its settings lack SETTINGS_ENABLE_CONNECT_PROTOCOL.
    NoConnect,
    /// The server broke HTTP/2 or ended it; the words are the library's.
    Broken(String),
}

/// A part of opening a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The name's addresses and TCP.
    Connect,
    /// TLS.
    Tls,
    /// The answer to the handshake.
    Handshake,
}

/// Where RFC 6455, RFC 7692 or RFC 9112 states the rule that an answer broke; none for a bound of ours and for an
/// answer that is a proper refusal.
#[must_use]
pub fn handshake_section(error: &HandshakeError) -> Option<&'static str> {
    match error {
        HandshakeError::HeadTooLarge | HandshakeError::TooManyHeaders | HandshakeError::Refused(_) => None,
        HandshakeError::Malformed => Some("RFC 9112, section 4"),
        HandshakeError::Upgrade
        | HandshakeError::Connection
        | HandshakeError::AcceptKey
        | HandshakeError::Subprotocol
        | HandshakeError::Extension => Some("RFC 6455, section 4.1"),
        HandshakeError::Deflate(_) => Some("RFC 7692, section 7"),
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => error.fmt(f),
            Self::Request(error) => error.fmt(f),
            Self::Trust(error) => error.fmt(f),
            Self::Dial(error) => error.fmt(f),
            Self::Tls(error) => write!(f, "TLS: {error}"),
            Self::Authority(_) => f.write_str(
                "TLS: the server shows the certificate of an authority (CA:TRUE) as its own; such a \
                 certificate may sign those of servers and not be one",
            ),
            Self::NotTls(error) => write!(f, "what answered does not speak TLS: {error}"),
            Self::Lost(error) => write!(f, "the connection broke during the handshake: {error}"),
            Self::Refused(refused) => refused.fmt(f),
            Self::Handshake(error) => match handshake_section(error) {
                Some(section) => write!(f, "{error} ({section})"),
                None => error.fmt(f),
            },
            Self::Http2(error) => error.fmt(f),
            Self::Timeout { phase, limit } => write!(f, "no {phase} within {limit:?}"),
        }
    }
}

impl std::error::Error for ConnectError {}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connection",
            Self::Tls => "TLS handshake",
            Self::Handshake => "answer to the handshake",
        })
    }
}

impl fmt::Display for Http2Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAgreed => f.write_str("the server does not speak HTTP/2 here: it did not choose h2"),
            Self::NoConnect => {
                f.write_str("the server opens no WebSockets over HTTP/2: it does not enable extended CONNECT")
            }
            Self::Broken(why) => write!(f, "HTTP/2: {why}"),
        }
    }
}

impl std::error::Error for Http2Error {}
