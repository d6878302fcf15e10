//! A WebSocket client made by hand: right by default, wrong wherever a test wants it to be.

use std::net::SocketAddr;

use crate::wire::{Answer, End, Wire};

/// The key of every handshake here; the answer to it is known.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Opcodes with FIN set.
pub const TEXT: u8 = 0x81;
/// See [`TEXT`].
pub const BINARY: u8 = 0x82;
/// See [`TEXT`].
pub const CLOSE: u8 = 0x88;
/// See [`TEXT`].
pub const PING: u8 = 0x89;
/// See [`TEXT`].
pub const PONG: u8 = 0x8A;

/// An open WebSocket.
#[derive(Debug)]
pub struct Socket {
    /// The connection under it.
    pub wire: Wire,
    /// What the handshake was answered with.
    pub answer: Answer,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A Ping.
    Ping(Vec<u8>),
    /// A Pong.
    Pong(Vec<u8>),
    /// A Close with its code and reason.
    Close(Option<u16>, String),
    /// The end of the TCP connection.
    End(End),
}

/// A handshake for `target`; `extra` are whole header lines.
#[must_use]
pub fn handshake(target: &str, extra: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
    )
}

/// A frame: `first` is the byte with FIN, RSV and opcode. Masked with a key that shows in a capture.
#[must_use]
pub fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = header(first, payload.len() as u64, true);
    let mask = [0x11, 0x22, 0x33, 0x44];
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// The first bytes of a frame that says it has `length` bytes, without the key.
#[must_use]
pub fn header(first: u8, length: u64, masked: bool) -> Vec<u8> {
    let mask = if masked { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(mask | length as u8),
        126..=0xFFFF => {
            bytes.push(mask | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(mask | 127);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
    bytes
}

/// A Close frame.
#[must_use]
pub fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    frame(CLOSE, payload)
}

impl Socket {
    /// Opens `target`.
    #[must_use]
    pub fn open(address: SocketAddr, target: &str) -> Self {
        Self::open_with(address, target, "")
    }

    /// Opens `target` with further header lines.
    #[must_use]
    pub fn open_with(address: SocketAddr, target: &str, extra: &str) -> Self {
        Self::over(Wire::connect(address), target, extra)
    }

    /// Opens `target` with the subprotocol of envelopes.
    #[must_use]
    pub fn open_envelopes(address: SocketAddr, target: &str) -> Self {
        Self::open_with(address, target, "Sec-WebSocket-Protocol: tidegate.v1\r\n")
    }

    /// Opens `target` over a connection.
    #[must_use]
    pub fn over(mut wire: Wire, target: &str, extra: &str) -> Self {
        wire.send(handshake(target, extra));
        let answer = wire.answer();
        assert_eq!(answer.status, 101, "{target}: {answer:?}");
        Self { wire, answer }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.send(bytes)
    }

    /// Sends a text message.
    pub fn text(&mut self, text: &str) -> bool {
        self.wire.send(frame(TEXT, text))
    }

    /// The next frame. The gateway sends no fragments and no masks; if it does the test fails.
    pub fn receive(&mut self) -> Received {
        match self.frame() {
            Ok((TEXT, payload)) => Received::Text(String::from_utf8(payload).expect("text is UTF-8")),
            Ok((BINARY, payload)) => Received::Binary(payload),
            Ok((PING, payload)) => Received::Ping(payload),
            Ok((PONG, payload)) => Received::Pong(payload),
            Ok((CLOSE, payload)) if payload.is_empty() => Received::Close(None, String::new()),
            Ok((CLOSE, payload)) => {
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                Received::Close(
                    Some(code),
                    String::from_utf8(payload[2..].to_vec()).expect("a reason is UTF-8"),
                )
            }
            Ok((first, payload)) => panic!("a torn or forbidden frame: {first:#x} {payload:?}"),
            Err(end) => Received::End(end),
        }
    }

    /// The next text message; Pings are answered.
    pub fn next_text(&mut self) -> String {
        loop {
            match self.receive() {
                Received::Text(text) => return text,
                Received::Ping(payload) => drop(self.send(frame(PONG, payload))),
                other => panic!("{other:?} instead of a text message"),
            }
        }
    }

    /// The next envelope.
    pub fn next_json(&mut self) -> serde_json::Value {
        let text = self.next_text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The Close frame, whatever comes before it; `None` if the connection ends without one.
    pub fn await_close(&mut self) -> Option<(Option<u16>, String)> {
        loop {
            match self.receive() {
                Received::Close(code, reason) => return Some((code, reason)),
                Received::End(_) => return None,
                _ => {}
            }
        }
    }

    /// The code of the Close frame; 1006 if there is none.
    pub fn await_code(&mut self) -> u16 {
        self.await_close().map_or(1006, |(code, _)| code.unwrap_or(1005))
    }

    /// The next frame as it is, its first byte and its payload.
    ///
    /// # Panics
    ///
    /// If the connection ends.
    pub fn receive_any(&mut self) -> (u8, Vec<u8>) {
        self.frame().unwrap_or_else(|end| panic!("{end:?} instead of a frame"))
    }

    fn frame(&mut self) -> Result<(u8, Vec<u8>), End> {
        let head = self.wire.take(2)?;
        assert_eq!(head[1] & 0x80, 0, "a server masks nothing");
        let length = match head[1] {
            126 => self.wire.take(2)?.into_iter().fold(0, |length, byte| length << 8 | usize::from(byte)),
            127 => self.wire.take(8)?.into_iter().fold(0, |length, byte| length << 8 | usize::from(byte)),
            length => usize::from(length),
        };
        Ok((head[0], self.wire.take(length)?))
    }
}
