//! The head of an HTTP message while it comes: kept until its empty line, within a bound.
//!
//! It looks at each byte once, whatever the pieces; only a head that is there whole is parsed.

use std::fmt;

/// Longest head in bytes, from its first byte to its empty line.
pub const HEAD_MAX_BYTES: usize = 16 * 1024;

/// Most header fields in a head.
pub const HEADERS_MAX: usize = 64;

/// A head longer than [`HEAD_MAX_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadTooLarge;

/// What has come of a head, or of several that follow each other; together they have one bound.
#[derive(Debug, Default)]
pub struct HeadBuffer {
    bytes: Vec<u8>,
    /// Bytes of earlier heads, which are gone.
    earlier: usize,
    line: Line,
}

/// What the current line holds so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Line {
    /// The first line: an empty one does not end the head.
    #[default]
    First,
    Empty,
    /// A carriage return that began the line.
    Return,
    Text,
}

impl HeadBuffer {
    /// Takes bytes up to the end of the head. Says how many it took when the head has come whole; none
    /// when it took them all and more must come.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<Option<usize>, HeadTooLarge> {
        let end = bytes.iter().position(|byte| self.ends_with(*byte)).map(|index| index + 1);
        let taken = end.unwrap_or(bytes.len());
        if self.earlier + self.bytes.len() + taken > HEAD_MAX_BYTES {
            return Err(HeadTooLarge);
        }
        self.bytes.extend_from_slice(&bytes[..taken]);
        Ok(end)
    }

    /// The bytes that came.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Drops the head that came, to await another one within the same bound.
    pub fn await_next(&mut self) {
        self.earlier += self.bytes.len();
        self.bytes.clear();
        self.line = Line::First;
    }

    /// Takes note of a byte: true for the line feed that ends the head's empty line. A bare line feed ends a
    /// line, too, as RFC 9112, section 2.2 allows.
    fn ends_with(&mut self, byte: u8) -> bool {
        let ends = byte == b'\n' && matches!(self.line, Line::Empty | Line::Return);
        self.line = match (byte, self.line) {
            (b'\n', Line::Text | Line::Empty | Line::Return) => Line::Empty,
            (b'\r' | b'\n', Line::First) => Line::First,
            (b'\r', Line::Empty) => Line::Return,
            _ => Line::Text,
        };
        ends
    }
}

impl fmt::Display for HeadTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the head is longer than {HEAD_MAX_BYTES} bytes")
    }
}

impl std::error::Error for HeadTooLarge {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the bytes in pieces of this length; where the head ended.
    fn check(bytes: &[u8], piece: usize) -> Result<Option<usize>, HeadTooLarge> {
        let mut head = HeadBuffer::default();
        let mut taken = 0;
        for piece in bytes.chunks(piece) {
            if let Some(end) = head.handle_input(piece)? {
                assert_eq!(head.bytes(), &bytes[..taken + end]);
                return Ok(Some(taken + end));
            }
            taken += piece.len();
        }
        Ok(None)
    }

    #[test]
    fn the_head_ends_with_its_empty_line_however_it_is_cut() {
        for (bytes, end) in [
            (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\nbody"[..], Some(27)),
            (b"GET / HTTP/1.1\nHost: x\n\nbody\n\n", Some(24)),
            (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", Some(22)),
            (b"GET / HTTP/1.1\r\n\r\n", Some(18)),
            (b"GET / HTTP/1.1\r\n\r", None),
            (b"GET\r\n\r\r\nx", None),
            (b"\r\n\r\n", None),
            (b"", None),
        ] {
            for piece in 1..=bytes.len().max(1) {
                assert_eq!(check(bytes, piece), Ok(end), "{} {piece}", bytes.escape_ascii());
            }
        }
    }

    #[test]
    fn a_head_has_a_bound() {
        let mut bytes = vec![b'x'; HEAD_MAX_BYTES - 4];
        bytes.extend_from_slice(b"\r\n\r\n");
        assert_eq!(check(&bytes, 1000), Ok(Some(HEAD_MAX_BYTES)));
        bytes.insert(0, b'x');
        assert_eq!(check(&bytes, 1000), Err(HeadTooLarge));
        assert_eq!(check(&bytes[..HEAD_MAX_BYTES + 1], 1), Err(HeadTooLarge));
    }
}
