//! Frames as they stand in bytes that one end has sent, read by the book and by nothing that is tested.

/// One frame, its payload unmasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// FIN, the reserved bits and the opcode.
    pub(crate) first: u8,
    pub(crate) is_masked: bool,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn is_close(&self) -> bool {
        self.first == 0x88
    }

    /// The code of a Close frame that has one.
    pub(crate) fn code(&self) -> Option<u16> {
        self.payload.first_chunk().map(|code| u16::from_be_bytes(*code))
    }
}

/// All frames of these bytes; they end with a frame.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        frames.push(take(&mut bytes));
    }
    frames
}

fn take(bytes: &mut &[u8]) -> Frame {
    let head = take_bytes(bytes, 2);
    let (first, is_masked) = (head[0], head[1] & 0x80 != 0);
    let length = match head[1] & 0x7f {
        126 => take_bytes(bytes, 2).iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        127 => take_bytes(bytes, 8).iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        short => usize::from(short),
    };
    let key = if is_masked { take_bytes(bytes, 4) } else { &[0; 4] };
    let payload = take_bytes(bytes, length).iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
    Frame { first, is_masked, payload: payload.collect() }
}

fn take_bytes<'b>(bytes: &mut &'b [u8], count: usize) -> &'b [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}
