//! Header fields as a handshake needs them: found by name, read as lists of tokens, refused when a caller
//! wants to send what would change the handshake.
//!
//! Everything here reads each byte once. What is beyond a list's bounds is refused, not skipped.

use std::fmt;

/// Elements that Sec-WebSocket-Protocol or Sec-WebSocket-Extensions may hold in one request.
pub(super) const OFFERS_MAX: usize = 16;

/// Bytes that the values of one of these fields may hold together.
pub(super) const OFFERS_MAX_BYTES: usize = 1024;

/// The same for subprotocols: pages can set no header of a handshake but this one, so credentials come in it.
pub(super) const SUBPROTOCOLS_MAX_BYTES: usize = 8192;

/// Fields that frame the message or belong to the handshake: nobody else may add them.
const RESERVED: [&str; 9] = [
    "upgrade",
    "connection",
    "content-length",
    "transfer-encoding",
    "sec-websocket-key",
    "sec-websocket-accept",
    "sec-websocket-version",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
];

/// Header fields in the order in which they came, repeated ones too.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [(&'a str, &'a [u8])]);

/// A field that may stand once came more often.
pub(super) struct Repeated;

/// A list field that cannot be read, or is longer than a handshake needs.
pub(super) enum ListError {
    Malformed,
    TooLong,
}

/// A header field that the caller wants to send, and may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderError {
    /// The name is not a token.
    Name,
    /// The value holds a control character: CR and LF would begin another field.
    Value,
    /// The field belongs to the handshake or frames the message.
    Reserved,
}

impl<'a> Fields<'a> {
    /// The values of all fields with this name, without the white space around them.
    pub(super) fn all(self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        let found = move |(other, value): &(&str, &'a [u8])| {
            other.eq_ignore_ascii_case(name).then_some(value.trim_ascii())
        };
        self.0.iter().filter_map(found)
    }

    /// The value of a field that may stand once.
    pub(super) fn only(self, name: &'static str) -> Result<Option<&'a [u8]>, Repeated> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(Repeated),
        }
    }

    /// Whether one of the fields with this name lists the token, in any case of letters.
    pub(super) fn lists(self, name: &'static str, token: &str) -> bool {
        self.all(name).flat_map(elements).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The distinct tokens of a list field that may be spread over several fields; empty if it is absent.
    pub(super) fn tokens(self, name: &'static str, most_bytes: usize) -> Result<Vec<&'a str>, ListError> {
        self.check_length(name, most_bytes)?;
        let mut tokens = Vec::new();
        for value in self.all(name) {
            let before = tokens.len();
            for element in elements(value).filter(|element| !element.is_empty()) {
                let token = token(element).ok_or(ListError::Malformed)?;
                if tokens.contains(&token) {
                    return Err(ListError::Malformed);
                }
                if tokens.len() == OFFERS_MAX {
                    return Err(ListError::TooLong);
                }
                tokens.push(token);
            }
            if tokens.len() == before {
                return Err(ListError::Malformed);
            }
        }
        Ok(tokens)
    }

    /// Refuses a list field that is longer than a handshake needs.
    pub(super) fn check_length(self, name: &'static str, most_bytes: usize) -> Result<(), ListError> {
        let length: usize = self.all(name).map(<[u8]>::len).sum();
        if length > most_bytes { Err(ListError::TooLong) } else { Ok(()) }
    }
}

/// The elements of a comma-separated list, empty ones too.
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// The text, if it is a token (RFC 9110, section 5.6.2).
pub(super) fn token(text: &[u8]) -> Option<&str> {
    let is_token = !text.is_empty() && text.iter().all(|byte| is_token_byte(*byte));
    if is_token { std::str::from_utf8(text).ok() } else { None }
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Refuses a field that would end the head, add another field or change the handshake.
pub(super) fn check_extra(name: &str, value: &str) -> Result<(), HeaderError> {
    if token(name.as_bytes()).is_none() {
        return Err(HeaderError::Name);
    }
    if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
        return Err(HeaderError::Reserved);
    }
    let is_control = |byte: u8| byte.is_ascii_control() && byte != b'\t';
    if value.bytes().any(is_control) { Err(HeaderError::Value) } else { Ok(()) }
}

/// Appends one field.
pub(super) fn write_field(name: &str, value: &str, output: &mut Vec<u8>) {
    for part in [name, ": ", value, "\r\n"] {
        output.extend_from_slice(part.as_bytes());
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a header name is not a token",
            Self::Value => "a header value holds a control character",
            Self::Reserved => "the header belongs to the handshake itself",
        })
    }
}

impl std::error::Error for HeaderError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(value: &str) -> Option<String> {
        Fields(&[("X", value.as_bytes())]).tokens("x", 1024).ok().map(|tokens| tokens.join(" "))
    }

    #[test]
    fn tokens_are_distinct_and_bounded() {
        assert_eq!(tokens("chat, superchat ,x"), Some("chat superchat x".into()));
        assert_eq!(tokens("a,,b"), Some("a b".into()));
        for value in ["", ",", "a b", "a, a", "a/b", "\u{e9}"] {
            assert_eq!(tokens(value), None, "{value}");
        }
        let many = |count: usize| (0..count).map(|n| format!("p{n}")).collect::<Vec<_>>().join(",");
        assert!(tokens(&many(16)).is_some());
        assert_eq!(tokens(&many(17)), None);
        assert!(tokens(&"x".repeat(1024)).is_some());
        assert_eq!(tokens(&"x".repeat(1025)), None);
    }

    #[test]
    fn a_caller_cannot_inject_a_field() {
        assert_eq!(check_extra("Cookie", "a=b; c=\td"), Ok(()));
        for (name, value, error) in [
            ("X\r\n", "", HeaderError::Name),
            ("", "", HeaderError::Name),
            ("X Y", "", HeaderError::Name),
            ("X", "a\r\nUpgrade: x", HeaderError::Value),
            ("X", "a\nb", HeaderError::Value),
            ("X", "a\0", HeaderError::Value),
            ("upgrade", "", HeaderError::Reserved),
            ("Sec-WebSocket-Key", "", HeaderError::Reserved),
            ("Content-Length", "5", HeaderError::Reserved),
        ] {
            assert_eq!(check_extra(name, value), Err(error), "{name} {value}");
        }
    }
}
