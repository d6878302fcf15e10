//! Frames as they are on the wire, and messages as applications see them.
//!
//! A frame's payload is what the wire carried, unmasked; what it decompresses to stands beside it. A message that is
//! one frame has no event of its own where frames are told.

use serde::{Deserialize, Serialize};
use tidegate_websocket::close::Rule;
use tidegate_websocket::{Opcode, mask};

use super::direction::Direction;
use crate::header::{WireHeader, opcode_word};
use crate::payload::Payload;

/// A frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Which way it went.
    pub dir: Direction,
    /// Its header.
    pub header: WireHeader,
    /// Bytes that came, the header's counted. Less than the header claims if the connection ended within the frame.
    pub wire: u64,
    /// Of a data frame: which message of its direction it belongs to, counted from 0.
    pub message: Option<u64>,
    /// Of a data frame: which fragment of the message it is, counted from 0.
    pub fragment: Option<u32>,
    /// Bytes that a compressed payload gave.
    pub inflated: Option<u64>,
    /// Microseconds since the frame before it, whichever way that went.
    pub since_us: Option<u64>,
    /// Of a Pong that answers a Ping: microseconds since that.
    pub rtt_us: Option<u64>,
    /// The payload of the wire, unmasked.
    pub payload: Payload,
    /// What the payload gave, if it is compressed.
    pub plain: Option<Payload>,
    /// The rules that it breaks.
    pub violations: Vec<Violation>,
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// What is wrong, in words.
    pub text: String,
    /// Where the rule stands, such as `RFC 6455, section 5.1`.
    pub section: String,
    /// The close code that an endpoint answers with.
    pub code: u16,
    /// Where in the message the first bad byte is, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Which way it went.
    pub dir: Direction,
    /// `text` or `binary`.
    pub op: String,
    /// Bytes as the application sees them.
    pub len: u64,
    /// Which message of its direction it is, counted from 0.
    #[serde(default, rename = "msg", skip_serializing_if = "Option::is_none")]
    pub message: Option<u64>,
    /// Frames that carried it.
    #[serde(default, rename = "frags", skip_serializing_if = "Option::is_none")]
    pub fragments: Option<u32>,
    /// Bytes on the wire, headers counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire: Option<u64>,
    /// It was compressed.
    #[serde(default)]
    pub compressed: bool,
    /// What the application sees.
    pub payload: Payload,
}

impl Frame {
    /// The word for its opcode.
    #[must_use]
    pub fn word(&self) -> &'static str {
        opcode_word(self.header.opcode_bits())
    }

    /// What people want to see: the decompressed payload where there is one.
    #[must_use]
    pub fn shown(&self) -> &Payload {
        self.plain.as_ref().unwrap_or(&self.payload)
    }

    /// Bytes of payload that came; the header claims as many unless the connection ended before.
    #[must_use]
    pub fn came(&self) -> u64 {
        self.wire.saturating_sub(self.header.as_bytes().len() as u64)
    }

    /// True if the frame is all of its message.
    #[must_use]
    pub fn is_whole_message(&self) -> bool {
        self.header.fin() && self.fragment == Some(0)
    }

    /// The bytes of the wire: the header, and as much of the payload as was kept, masked again.
    #[must_use]
    pub fn wire_bytes(&self) -> Vec<u8> {
        let header = self.header.as_bytes();
        let mut bytes = Vec::with_capacity(header.len() + self.payload.bytes.len());
        bytes.extend_from_slice(header);
        match self.header.mask() {
            Some(key) => mask::append(&self.payload.bytes, key, 0, &mut bytes),
            None => bytes.extend_from_slice(&self.payload.bytes),
        }
        bytes
    }

    /// The code in a Close frame.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        let code = self.payload.bytes.first_chunk().map(|code| u16::from_be_bytes(*code));
        code.filter(|_| self.header.opcode() == Some(Opcode::Close))
    }

    /// The words in a Close frame.
    #[must_use]
    pub fn close_reason(&self) -> Option<&str> {
        self.close_code()?;
        std::str::from_utf8(self.payload.bytes.get(2..)?).ok()
    }
}

impl Message {
    /// A message of which nothing is known but what the application sees.
    #[must_use]
    pub fn new(dir: Direction, op: &str, payload: Payload) -> Self {
        Self {
            dir,
            op: op.to_owned(),
            len: payload.bytes.len() as u64,
            message: None,
            fragments: None,
            wire: None,
            compressed: false,
            payload,
        }
    }
}

impl Violation {
    /// The rule, with words that say how it was broken.
    #[must_use]
    pub fn of(rule: Rule, text: impl Into<String>) -> Self {
        let section = format!("RFC {}, section {}", rule.rfc, rule.section);
        Self { text: text.into(), section, code: rule.code.get(), at: None }
    }
}
