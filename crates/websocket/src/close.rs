//! Close codes and the body of a Close frame (RFC 6455, sections 5.5.1 and 7.4).
//!
//! A code may be anything an application names; which codes may stand in a frame is decided here, for what
//! comes in and for what goes out. [`Rule`] is what is said, to the peer and to people, when a rule of the
//! RFC was broken.

use std::fmt;

/// Longest reason in bytes: a control frame's 125 less the two of the code.
pub const REASON_MAX_BYTES: usize = 123;

/// Longest body of a Close frame in bytes.
const BODY_MAX_BYTES: usize = 125;

/// Why a connection ended, as a number of section 7.4 or of the IANA registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

/// How a connection ended: the peer's Close frame, or the end of its bytes without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close<'a> {
    /// The code that the peer sent; none if its Close frame was empty. [`CloseCode::ABNORMAL`] if no Close
    /// frame came.
    pub code: Option<CloseCode>,
    /// The peer's words, 123 bytes at most. They may hold control characters.
    pub reason: &'a str,
    /// True if a Close frame came; false if the bytes ended without one.
    pub clean: bool,
}

/// The body of a Close frame breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseError {
    /// A body of one byte is too short for a code.
    HalfCode,
    /// A code that may not stand in a frame.
    Code(CloseCode),
    /// A reason that is not UTF-8.
    ReasonNotUtf8,
}

/// A rule of the RFC, as it is told when somebody broke it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The code that our Close frame carries.
    pub code: CloseCode,
    /// The RFC that states the rule: 6455, or 7692 for compression.
    pub rfc: u16,
    /// The section of the RFC that states it.
    pub section: &'static str,
    /// The reason that our Close frame carries.
    pub reason: &'static str,
}

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: a server goes down or a page is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke a rule of the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of message that the endpoint cannot accept.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005: the Close frame had no code. Never in a frame.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the connection ended without a Close frame. Never in a frame.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: a payload that does not fit its kind, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a policy of the endpoint, when no other code fits.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message too big to process.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the client needs an extension that the server did not agree to.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: the server met something that it did not expect.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the server restarts.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the server is overloaded.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got no valid answer from behind it.
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: the TLS handshake failed. Never in a frame.
    pub const TLS_HANDSHAKE: Self = Self(1015);

    /// The code with this number, whether or not it may stand in a frame.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether the code may stand in a Close frame: 1000 to 1003, 1007 to 1014, 3000 to 4999.
    ///
    /// Not 0 to 999 (unused), 1004 (reserved), 1005, 1006 and 1015 (they tell an application what happened
    /// without a frame), 1016 to 2999 (for later versions of the protocol) nor 5000 and more (undefined).
    /// 1012 to 1014 are not in the RFC but in the registry that it founded.
    #[must_use]
    pub const fn is_allowed_on_wire(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// The registered name; none for codes without one.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1000 => "normal closure",
            1001 => "going away",
            1002 => "protocol error",
            1003 => "unsupported data",
            1004 => "reserved",
            1005 => "no status received",
            1006 => "abnormal closure",
            1007 => "invalid frame payload data",
            1008 => "policy violation",
            1009 => "message too big",
            1010 => "mandatory extension",
            1011 => "internal error",
            1012 => "service restart",
            1013 => "try again later",
            1014 => "bad gateway",
            1015 => "TLS handshake",
            3000 => "unauthorized",
            3003 => "forbidden",
            3008 => "timeout",
            _ => return None,
        })
    }

    /// One sentence on what the code means.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self.0 {
            1000 => "The purpose of the connection is fulfilled.",
            1001 => "The server goes down, or the browser has left the page.",
            1002 => "The peer broke a rule of the WebSocket protocol.",
            1003 => "The endpoint got a kind of message, text or binary, that it cannot accept.",
            1004 => "Reserved: it has no meaning and may not be sent.",
            1005 => {
                "The Close frame carried no code; an endpoint says this to its application, never to its peer."
            }
            1006 => {
                "The connection ended without a Close frame; an endpoint says this to its application, never to its peer."
            }
            1007 => "A message was not what its kind promises: text that is not UTF-8, for example.",
            1008 => "A message broke a policy of the endpoint, and no other code fits better.",
            1009 => "A message was too big to process.",
            1010 => "The client needs an extension that the server did not agree to in the handshake.",
            1011 => "The server met a condition that it did not expect.",
            1012 => "The server restarts; the client may come back after a random delay.",
            1013 => "The server is overloaded; the client should come back later.",
            1014 => "The server is a gateway and got no valid answer from the server behind it.",
            1015 => "The TLS handshake failed; an endpoint says this to its application, never to its peer.",
            3000 => "Credentials are missing or were not accepted.",
            3003 => "The credentials are known, but do not allow this.",
            3008 => "The endpoint waited too long.",
            0..=999 => "Codes below 1000 are not used.",
            1016..=2999 => {
                "Reserved for later versions of the protocol and its extensions; it may not be sent."
            }
            3001..=3999 => "Registered by a library or framework; its documentation says what it means.",
            4000..=4999 => "Private to the application; its documentation says what it means.",
            5000.. => "Codes from 5000 on are not defined and may not be sent.",
        }
    }
}

impl<'a> Close<'a> {
    /// Reads the body of a Close frame.
    pub fn decode(body: &'a [u8]) -> Result<Self, CloseError> {
        let (code, reason) = match body {
            [] => return Ok(Self { code: None, reason: "", clean: true }),
            [_] => return Err(CloseError::HalfCode),
            [high, low, reason @ ..] => (CloseCode(u16::from_be_bytes([*high, *low])), reason),
        };
        if !code.is_allowed_on_wire() {
            return Err(CloseError::Code(code));
        }
        let reason = std::str::from_utf8(reason).map_err(|_| CloseError::ReasonNotUtf8)?;
        Ok(Self { code: Some(code), reason, clean: true })
    }

    /// The code as an application sees it: 1005 stands for an empty Close frame (section 7.1.5).
    #[must_use]
    pub fn status(&self) -> CloseCode {
        self.code.unwrap_or(CloseCode::NO_STATUS)
    }
}

/// The body of a Close frame that goes out, in place.
pub(crate) struct CloseBody {
    bytes: [u8; BODY_MAX_BYTES],
    length: usize,
}

impl CloseBody {
    /// The body with this code and as much of the reason as fits, cut between characters. Without a code
    /// that may be sent the body is empty: a reason cannot stand without a code.
    pub(crate) fn new(code: Option<CloseCode>, reason: &str) -> Self {
        let mut body = Self { bytes: [0; BODY_MAX_BYTES], length: 0 };
        if let Some(code) = code.filter(|code| code.is_allowed_on_wire()) {
            body.push(&code.get().to_be_bytes());
            body.push(cut(reason).as_bytes());
        }
        body
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}

fn cut(reason: &str) -> &str {
    let mut end = reason.len().min(REASON_MAX_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

impl CloseError {
    /// The rule that was broken.
    #[must_use]
    pub const fn rule(self) -> Rule {
        let (code, section, reason) = match self {
            Self::HalfCode => (CloseCode::PROTOCOL_ERROR, "5.5.1", "close body of one byte"),
            Self::Code(_) => (CloseCode::PROTOCOL_ERROR, "7.4", "close code not allowed"),
            Self::ReasonNotUtf8 => (CloseCode::INVALID_PAYLOAD, "8.1", "close reason is not UTF-8"),
        };
        Rule { code, rfc: 6455, section, reason }
    }
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HalfCode => f.write_str("the Close frame has a body of one byte; a code takes two"),
            Self::Code(code) => write!(f, "the Close frame carries {code}, a code that may not be sent"),
            Self::ReasonNotUtf8 => f.write_str("the reason in the Close frame is not UTF-8"),
        }
    }
}

impl std::error::Error for CloseError {}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_the_wire_are_exactly_these() {
        let allowed =
            |code: u16| matches!(code, 1000..=1003 | 1007..=1011 | 1012 | 1013 | 1014 | 3000..=4999);
        for code in 0..=u16::MAX {
            assert_eq!(CloseCode::new(code).is_allowed_on_wire(), allowed(code), "{code}");
        }
    }

    #[test]
    fn every_code_has_a_meaning_and_registered_ones_a_name() {
        for code in 0..=u16::MAX {
            assert!(CloseCode::new(code).meaning().ends_with('.'), "{code}");
        }
        assert!((1000..=1015).all(|code| CloseCode::new(code).name().is_some()));
        assert_eq!(CloseCode::new(4000).name(), None);
        assert_eq!(CloseCode::from(3000).name(), Some("unauthorized"));
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let reason = format!("{}é", "x".repeat(122));
        let body = CloseBody::new(Some(CloseCode::NORMAL), &reason);
        assert_eq!(body.as_bytes().len(), 124);
        let close = Close::decode(body.as_bytes()).unwrap();
        assert_eq!((close.code, close.reason), (Some(CloseCode::NORMAL), &reason[..122]));
        assert_eq!(CloseBody::new(Some(CloseCode::NORMAL), &"y".repeat(200)).as_bytes().len(), 125);
    }

    #[test]
    fn what_may_not_be_sent_becomes_an_empty_body() {
        for code in [None, Some(CloseCode::NO_STATUS), Some(CloseCode::ABNORMAL), Some(CloseCode::new(999))] {
            assert!(CloseBody::new(code, "reason").as_bytes().is_empty(), "{code:?}");
        }
    }
}
