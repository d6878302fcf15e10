//! What is measured: a direction, a side and a payload. A row prepares the bytes that its runs read or send;
//! what it frames is framed here, not by one of those that are measured.

use std::sync::OnceLock;

use bytes::Bytes;

/// Bytes that the wire of a reading row holds at least, before it begins again.
const WIRE_BYTES: usize = 256 * 1024;
/// Messages that it holds at least.
const WIRE_MESSAGES: usize = 4;
/// Some characters of one, two and three bytes.
const TEXT: &str = "Grüße aus der Küche: 12 °C, naïve façade — the quick brown fox jumps over the lazy dog. ";

/// Whether bytes become messages or messages bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Read,
    Write,
}

/// Which end of the connection runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Server,
    Client,
}

/// One row of the table.
#[derive(Debug, Clone)]
pub struct Row {
    pub direction: Direction,
    pub side: Side,
    pub is_text: bool,
    pub size: usize,
    payload: OnceLock<Bytes>,
    wire: OnceLock<&'static [u8]>,
}

impl Row {
    /// All rows.
    pub fn all() -> Vec<Self> {
        let mut rows = Vec::new();
        for direction in [Direction::Read, Direction::Write] {
            for side in [Side::Server, Side::Client] {
                rows.extend(
                    [32, 1024, 16 * 1024, 1024 * 1024].map(|size| Self::new(direction, side, false, size)),
                );
            }
        }
        rows.push(Self::new(Direction::Read, Side::Server, true, 1024));
        rows
    }

    /// The row of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|row| row.name() == name)
    }

    fn new(direction: Direction, side: Side, is_text: bool, size: usize) -> Self {
        Self { direction, side, is_text, size, payload: OnceLock::new(), wire: OnceLock::new() }
    }

    /// As `server-read-binary-32`.
    pub fn name(&self) -> String {
        let side = if self.side == Side::Server { "server" } else { "client" };
        let direction = if self.direction == Direction::Read { "read" } else { "write" };
        let kind = if self.is_text { "text" } else { "binary" };
        format!("{side}-{direction}-{kind}-{}", self.size)
    }

    /// The payload of every message.
    pub fn payload(&self) -> &Bytes {
        self.payload.get_or_init(|| if self.is_text { text(self.size) } else { binary(self.size) }.into())
    }

    /// What this row's side reads: frames of the other side, masked each with a key of its own if that is a
    /// client. It lives as long as the process.
    pub fn wire(&self) -> &'static [u8] {
        self.wire.get_or_init(|| {
            let mut wire = Vec::new();
            let mut keys = fastrand::Rng::with_seed(1);
            for _ in 0..WIRE_MESSAGES.max(WIRE_BYTES / self.size) {
                let key = (self.side == Side::Server).then(|| keys.u32(1..).to_ne_bytes());
                append_frame(self.is_text, key, self.payload(), &mut wire);
            }
            Box::leak(wire.into_boxed_slice())
        })
    }
}

fn binary(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    fastrand::Rng::with_seed(2).fill(&mut bytes);
    bytes
}

fn text(size: usize) -> Vec<u8> {
    let mut text = String::new();
    for character in TEXT.chars().cycle() {
        if text.len() + character.len_utf8() > size {
            break;
        }
        text.push(character);
    }
    while text.len() < size {
        text.push('.');
    }
    text.into_bytes()
}

/// A whole frame, made here so that no library judges its own.
fn append_frame(is_text: bool, key: Option<[u8; 4]>, payload: &[u8], wire: &mut Vec<u8>) {
    let mask_bit = if key.is_some() { 0x80 } else { 0 };
    wire.push(if is_text { 0x81 } else { 0x82 });
    match payload.len() {
        length @ 0..126 => wire.push(mask_bit | length as u8),
        length @ 126..0x1_0000 => {
            wire.push(mask_bit | 126);
            wire.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            wire.push(mask_bit | 127);
            wire.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    match key {
        None => wire.extend_from_slice(payload),
        Some(key) => {
            wire.extend_from_slice(&key);
            wire.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        }
    }
}
