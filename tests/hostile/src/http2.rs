//! HTTP/2 by hand: frames and field blocks are written byte by byte, so that they may be wrong, and what comes
//! back is read as frames. Of field blocks that come, the status alone is understood.

use std::net::SocketAddr;

use crate::wire::{End, Wire};

/// Types of frames (RFC 9113, section 6).
pub const DATA: u8 = 0;
/// See [`DATA`].
pub const HEADERS: u8 = 1;
/// See [`DATA`].
pub const PRIORITY: u8 = 2;
/// See [`DATA`].
pub const RST_STREAM: u8 = 3;
/// See [`DATA`].
pub const SETTINGS: u8 = 4;
/// See [`DATA`].
pub const PING: u8 = 6;
/// See [`DATA`].
pub const GOAWAY: u8 = 7;
/// See [`DATA`].
pub const WINDOW_UPDATE: u8 = 8;
/// See [`DATA`].
pub const CONTINUATION: u8 = 9;

/// On DATA and HEADERS. On SETTINGS and PING the same bit says that they are answers.
pub const END_STREAM: u8 = 1;
/// On HEADERS and CONTINUATION.
pub const END_HEADERS: u8 = 4;

/// The error of who asks for less (RFC 9113, section 7).
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// What every connection begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection that speaks HTTP/2.
#[derive(Debug)]
pub struct Http2 {
    /// The bytes.
    pub wire: Wire,
}

/// A frame that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// The bytes of a frame.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A field block: literals that no table keeps (RFC 7541, section 6.2.2), without Huffman's code.
#[must_use]
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        put_string(&mut bytes, name.as_bytes());
        put_string(&mut bytes, value.as_bytes());
    }
    bytes
}

/// A string literal (RFC 7541, section 5.2).
pub fn put_string(bytes: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text.len();
    if rest < 127 {
        bytes.push(rest as u8);
    } else {
        bytes.push(127);
        rest -= 127;
        while rest >= 128 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
    }
    bytes.extend_from_slice(text);
}

/// The fields of an ordinary GET, and others behind them.
#[must_use]
pub fn get<'a>(path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let own = [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", path)];
    own.iter().chain(more).copied().collect()
}

/// The fields of a WebSocket handshake (RFC 8441, section 5).
#[must_use]
pub fn websocket(path: &str) -> Vec<(&str, &str)> {
    vec![
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", path),
        ("sec-websocket-version", "13"),
    ]
}

impl Http2 {
    /// Connects and sends the preface with settings that forbid the peer a dynamic table.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        Self::with_settings(address, &[])
    }

    /// The same with further settings.
    #[must_use]
    pub fn with_settings(address: SocketAddr, more: &[(u16, u32)]) -> Self {
        const HEADER_TABLE_SIZE: u16 = 1;
        let mut settings = Vec::new();
        for (name, value) in [(HEADER_TABLE_SIZE, 0)].iter().chain(more) {
            settings.extend_from_slice(&name.to_be_bytes());
            settings.extend_from_slice(&value.to_be_bytes());
        }
        let mut wire = Wire::connect(address);
        wire.send(PREFACE);
        wire.send(frame(SETTINGS, 0, 0, settings));
        Self { wire }
    }

    /// Sends one frame.
    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> bool {
        self.wire.send(frame(kind, flags, stream, payload))
    }

    /// Opens a stream with these fields.
    pub fn open(&mut self, stream: u32, fields: &[(&str, &str)], flags: u8) -> bool {
        self.send(HEADERS, END_HEADERS | flags, stream, block(fields))
    }

    /// The next frame.
    pub fn receive(&mut self) -> Result<Frame, End> {
        let head = self.wire.take(9)?;
        let length = head[..3].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let stream = u32::from_be_bytes([head[5] & 0x7F, head[6], head[7], head[8]]);
        Ok(Frame { kind: head[3], flags: head[4], stream, payload: self.wire.take(length)? })
    }

    /// The next frame of a stream.
    pub fn of_stream(&mut self, stream: u32) -> Frame {
        self.await_frame(|frame| frame.stream == stream && frame.kind != WINDOW_UPDATE)
    }

    /// The next frame that is wanted; others are passed over.
    pub fn await_frame(&mut self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.receive().unwrap_or_else(|end| panic!("{end:?} instead of a frame"));
            if frame.kind == SETTINGS && frame.flags == 0 {
                self.send(SETTINGS, END_STREAM, 0, []);
            }
            if wanted(&frame) {
                return frame;
            }
        }
    }

    /// The status of a stream's answer.
    pub fn status(&mut self, stream: u32) -> u16 {
        let frame = self.of_stream(stream);
        assert_eq!(frame.kind, HEADERS, "{frame:?}");
        status(&frame.payload).unwrap_or_else(|| panic!("no status: {frame:?}"))
    }

    /// The body of a stream's answer, to its end.
    pub fn body(&mut self, stream: u32) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let frame = self.of_stream(stream);
            assert_ne!(frame.kind, RST_STREAM, "{frame:?} after {body:?}");
            if frame.kind == DATA {
                body.extend_from_slice(&frame.payload);
            }
            if frame.flags & END_STREAM != 0 {
                return body;
            }
        }
    }

    /// The error that a stream is reset with.
    pub fn reset(&mut self, stream: u32) -> u32 {
        let frame = self.of_stream(stream);
        assert_eq!(frame.kind, RST_STREAM, "{frame:?}");
        number(&frame.payload)
    }

    /// The error of a GOAWAY, whatever comes before it; `None` if the connection ends without one.
    pub fn goaway(&mut self) -> Option<u32> {
        loop {
            match self.receive() {
                Ok(frame) if frame.kind == GOAWAY => return Some(number(&frame.payload[4..])),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}

/// The first four bytes.
fn number(bytes: &[u8]) -> u32 {
    bytes[..4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// The status at the beginning of a field block: from the static table, or as three digits.
#[must_use]
pub fn status(block: &[u8]) -> Option<u16> {
    const STATIC: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    // The encoder may say first that its table is as small as was asked.
    let block = &block[block.iter().take_while(|byte| **byte & 0xE0 == 0x20).count()..];
    match block {
        [indexed @ 0x88..=0x8E, ..] => STATIC.get(usize::from(indexed - 0x88)).copied(),
        // A literal with the name's index, with or without being kept.
        [0x48 | 0x08 | 0x18, length, value @ ..] => {
            let value = value.get(..usize::from(length & 0x7F))?;
            let digits =
                if length & 0x80 == 0 { String::from_utf8(value.to_vec()).ok()? } else { digits(value) };
            digits.parse().ok()
        }
        _ => None,
    }
}

/// Digits in Huffman's code (RFC 7541, appendix B): 0 to 2 have five bits, the others six.
fn digits(bytes: &[u8]) -> String {
    let bits = bytes.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    let (mut left, mut text) = (bytes.len() * 8, String::new());
    while left >= 5 {
        let five = bits >> (left - 5) & 0x1F;
        if five < 3 {
            text.push(char::from(b'0' + five as u8));
            left -= 5;
        } else if left >= 6 && (0x19..=0x1F).contains(&(bits >> (left - 6) & 0x3F)) {
            text.push(char::from(b'3' + (bits >> (left - 6) & 0x3F) as u8 - 0x19));
            left -= 6;
        } else {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read() {
        assert_eq!(status(&[0x88]), Some(200));
        assert_eq!(status(&[0x20, 0x8D, 0x40]), Some(404));
        // RFC 7541, appendix C.6.1: 302.
        assert_eq!(status(&[0x48, 0x82, 0x64, 0x02, 0x58]), Some(302));
        assert_eq!(status(&[0x48, 0x03, b'4', b'3', b'1']), Some(431));
        assert_eq!(status(&[0xBE]), None);
    }

    #[test]
    fn long_strings_have_long_lengths() {
        let mut bytes = Vec::new();
        put_string(&mut bytes, &[b'a'; 1337]);
        // RFC 7541, appendix C.1.2 with a prefix of seven bits.
        assert_eq!(bytes[..3], [127, 0xBA, 0x09]);
        assert_eq!(bytes.len(), 3 + 1337);
    }
}
