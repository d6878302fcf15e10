//! A server's frame that is encoded once and shared by all who get it.
//!
//! Server frames carry no mask, so that the same bytes serve every connection. Whoever sends them asks the
//! connection first: `is_open()`, and no fragmented message of its own under way.

use bytes::Bytes;

use crate::deflate::Compressor;
use crate::frame::Header;
use crate::opcode::Opcode;

/// A whole server frame in one shared buffer: header and payload. Cloning shares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedMessage {
    bytes: Bytes,
    header_bytes: u8,
}

impl PreparedMessage {
    /// A text message.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::new(Opcode::Text, text.as_bytes())
    }

    /// A binary message.
    #[must_use]
    pub fn binary(bytes: &[u8]) -> Self {
        Self::new(Opcode::Binary, bytes)
    }

    /// A frame of this opcode, unfragmented. The caller answers for the payload: UTF-8 in a text message,
    /// 125 bytes at most in a control frame.
    #[must_use]
    pub fn new(opcode: Opcode, payload: &[u8]) -> Self {
        debug_assert!(
            !opcode.is_control() || payload.len() <= 125,
            "a control frame carries 125 bytes at most"
        );
        Self::with_payload(opcode, false, payload)
    }

    /// The same message compressed, for connections that agreed on permessage-deflate and whose
    /// [`Parameters::can_read_shared`](crate::deflate::Parameters::can_read_shared) says so. None if it is
    /// shorter than the compressor's [`Effort::min_bytes`](crate::deflate::Effort::min_bytes), if it would
    /// not become shorter, and for control frames: this one then serves all.
    ///
    /// A connection may get either form, message by message.
    #[must_use]
    pub fn deflated(&self, compressor: &mut Compressor) -> Option<Self> {
        let payload = self.payload();
        let opcode = Opcode::from_bits(self.bytes[0] & 0x0f)?;
        if opcode.is_control() || payload.len() < compressor.effort().min_bytes {
            return None;
        }
        let mut compressed = Vec::new();
        compressor.compress(&payload, &mut compressed);
        (compressed.len() < payload.len()).then(|| Self::with_payload(opcode, true, &compressed))
    }

    fn with_payload(opcode: Opcode, compressed: bool, payload: &[u8]) -> Self {
        let payload_length = payload.len() as u64;
        let header = Header { fin: true, compressed, opcode, mask: None, payload_length }.encode();
        let mut frame = Vec::with_capacity(header.len() + payload.len());
        frame.extend_from_slice(&header);
        frame.extend_from_slice(payload);
        Self { header_bytes: header.len() as u8, bytes: frame.into() }
    }

    /// The frame as it goes on the wire.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The payload alone, as it stands in the frame, for transports without frames; it shares the buffer.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(usize::from(self.header_bytes)..)
    }

    /// The frame, without the wrapping.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

impl From<PreparedMessage> for Bytes {
    fn from(message: PreparedMessage) -> Self {
        message.bytes
    }
}
