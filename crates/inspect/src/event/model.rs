//! The events, but for what frames and messages hold.
//!
//! The names of their members are those of the JSON lines.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::direction::Direction;
use super::frame::{Frame, Message};
use crate::payload::Payload;
use crate::timestamp::Timestamp;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When.
    pub ts: Timestamp,
    /// On which connection; none where there is but one.
    pub conn: Option<Arc<str>>,
    /// What.
    pub body: Body,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A WebSocket is open.
    Open(Box<Open>),
    /// The head of a handshake's request or answer.
    Handshake(Box<Handshake>),
    /// A frame has come whole, or as far as it ever will.
    Frame(Box<Frame>),
    /// A message has come whole.
    Message(Box<Message>),
    /// Something was not kept or not shown.
    Dropped(Dropped),
    /// Words about the connection.
    Note(Box<Note>),
    /// What went over the connection so far.
    Stats(Box<Stats>),
    /// The connection has ended.
    Close(Box<Close>),
    /// The program ends.
    Exit(Exit),
}

/// What was agreed on, and how the way there was.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Open {
    /// What was asked for.
    pub url: String,
    /// The other end's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The version of HTTP of the handshake.
    pub http: String,
    /// 101, or 2xx over HTTP/2.
    pub status: u16,
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
    /// The extensions that both agreed on, as the server's answer lists them.
    pub extensions: Option<String>,
    /// Version and key exchange of TLS.
    pub tls: Option<String>,
    /// Microseconds for TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_us: Option<u64>,
    /// Microseconds for TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_us: Option<u64>,
    /// Microseconds from the request to the whole head of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_us: Option<u64>,
}

/// A head, in the order and the case of letters of the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// The request goes to the server, the answer to the client.
    pub dir: Direction,
    /// `1.1`, or `2`, where the fields are lines and pseudo-headers come first.
    pub http: String,
    /// The request line or status line; over HTTP/2 there is none.
    #[serde(default)]
    pub start: String,
    /// The status of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Name and value.
    pub headers: Vec<(String, String)>,
    /// What stands in these fields, or in these parameters of the query, is not here because it is a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<String>,
    /// The bytes, if they are not just what start and headers say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Payload>,
    /// What came of the body of an answer that is no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Payload>,
}

/// What was not kept or not shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// What: `frames`, `bytes`, `events`.
    pub what: String,
    /// How many.
    pub count: u64,
    /// Why.
    pub reason: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    Info,
    /// Something is not as it should be.
    Warning,
    /// Something failed.
    Error,
}

/// Words about the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// How bad it is.
    pub level: Level,
    /// The words.
    pub message: String,
    /// The section of an RFC that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// The status of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The connection is lost, and will be opened again after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
}

/// What went over a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stats {
    /// To the server.
    pub c2s: Counts,
    /// To the client.
    pub s2c: Counts,
    /// Microseconds since the connection opened.
    #[serde(default)]
    pub age_us: u64,
}

/// What went one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Frames.
    pub frames: u64,
    /// Messages that ended.
    pub messages: u64,
    /// Bytes of frames, headers counted.
    pub wire: u64,
    /// Bytes of messages as applications see them.
    pub payload: u64,
}

/// How the bytes of a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// After Close frames both ways.
    #[serde(rename = "close frame")]
    CloseFrame,
    /// TCP's FIN, or TLS's close_notify.
    #[serde(rename = "end of stream")]
    EndOfStream,
    /// TCP's RST.
    #[serde(rename = "reset")]
    Reset,
    /// Silence for too long.
    #[serde(rename = "time-out")]
    TimeOut,
    /// Anything else.
    #[serde(rename = "failure")]
    Failure,
}

/// The end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// As an application sees it: 1005 for a Close frame without a code, 1006 for none.
    pub code: u16,
    /// The code's registered name.
    #[serde(default)]
    pub name: Option<String>,
    /// The words in the Close frame.
    #[serde(default)]
    pub reason: String,
    /// Close frames went both ways.
    pub clean: bool,
    /// Whose Close frame was the first or, without one, whose bytes ended first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Direction>,
    /// How the bytes ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// Microseconds since the last byte before the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_us: Option<u64>,
    /// What really happened, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
}

/// The end of the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit code.
    pub code: u8,
    /// A word for it.
    pub reason: String,
}

impl Body {
    /// The value of `type` in JSON.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Handshake(_) => "handshake",
            Self::Frame(_) => "frame",
            Self::Message(_) => "message",
            Self::Dropped(_) => "drop",
            Self::Note(_) => "note",
            Self::Stats(_) => "stats",
            Self::Close(_) => "close",
            Self::Exit(_) => "exit",
        }
    }
}

impl Note {
    /// Words of this level and nothing else.
    #[must_use]
    pub fn new(level: Level, message: impl Into<String>) -> Self {
        Self { level, message: message.into(), section: None, status: None, retry_in_ms: None }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CloseFrame => "close frame",
            Self::EndOfStream => "end of stream",
            Self::Reset => "reset",
            Self::TimeOut => "time-out",
            Self::Failure => "failure",
        })
    }
}
