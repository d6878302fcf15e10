//! Frames, compressed: once for all who share them, or by one connection's own compressor. Takes the joined frames
//! that the encoder made and gives joined frames again; queues nothing.

use bytes::{BufMut, Bytes, BytesMut};
use tidegate_websocket as websocket;
use tidegate_websocket::deflate::{Compressor, Effort};
use tidegate_websocket::frame::{Header, Side};
use tidegate_websocket::opcode::Opcode;
use tidegate_websocket::{Extensions, Message};

/// What is compressed in one round for all who share it. At level 1 that is below 100 ms; what is beyond it goes as it
/// is, so that compressing for some holds up nobody else.
const SHARED_BYTES_A_ROUND: usize = 8 * 1024 * 1024;

/// The same for single sessions: contexts of their own, replays of what was missed.
const ALONE_BYTES_A_ROUND: usize = 2 * 1024 * 1024;

/// What compressing one message costs at least, in bytes of these.
const LEAST_BYTES: usize = 512;

/// A longer message goes as it is: compressing it would hold up the shard for longer than a slow disk would.
const MESSAGE_MAX_BYTES: usize = 4 * 1024 * 1024;

/// See the module's head. It owns no compressor before the first message that needs one.
#[derive(Debug)]
pub(crate) struct Packer {
    effort: Effort,
    compressor: Option<Compressor>,
    compressed: Vec<u8>,
    /// Bytes that may still be compressed in this round.
    shared_left: usize,
    alone_left: usize,
    counted: Packed,
}

/// What was compressed, ever.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Packed {
    pub(crate) messages: u64,
    /// Payload bytes before.
    pub(crate) before: u64,
    /// Payload bytes after. Messages that compression did not make smaller count as they were sent, plain.
    pub(crate) after: u64,
}

/// One frame of those that were joined.
struct Frame<'f> {
    header: Header,
    payload: &'f [u8],
    whole: &'f [u8],
}

/// The frames of a buffer that the encoder made.
struct Frames<'f>(&'f [u8]);

impl Packer {
    pub(crate) fn new(effort: Effort) -> Self {
        Self {
            effort,
            compressor: None,
            compressed: Vec::new(),
            shared_left: SHARED_BYTES_A_ROUND,
            alone_left: ALONE_BYTES_A_ROUND,
            counted: Packed::default(),
        }
    }

    /// Another effort, from now on.
    pub(crate) fn set_effort(&mut self, effort: Effort) {
        if effort != self.effort {
            self.effort = effort;
            self.compressor = None;
        }
    }

    /// A round begins: there is time again.
    pub(crate) fn begin_round(&mut self) {
        (self.shared_left, self.alone_left) = (SHARED_BYTES_A_ROUND, ALONE_BYTES_A_ROUND);
    }

    pub(crate) fn counted(&self) -> Packed {
        self.counted
    }

    /// For all who share it: each frame compressed where it is long enough and becomes smaller.
    pub(crate) fn shared(&mut self, frames: &Bytes) -> Bytes {
        if frames.len() < self.effort.min_bytes || !spend(&mut self.shared_left, frames.len()) {
            return frames.clone();
        }
        self.pack(frames)
    }

    fn pack(&mut self, frames: &Bytes) -> Bytes {
        let mut output = BytesMut::with_capacity(frames.len());
        for frame in Frames(frames) {
            self.put(&frame, &mut output);
        }
        if output.len() == frames.len() { frames.clone() } else { output.freeze() }
    }

    fn put(&mut self, frame: &Frame<'_>, output: &mut BytesMut) {
        let length = frame.payload.len();
        if length >= self.effort.min_bytes && length <= MESSAGE_MAX_BYTES {
            self.compressed.clear();
            let compressor = self.compressor.get_or_insert_with(|| Compressor::new(self.effort));
            compressor.compress(frame.payload, &mut self.compressed);
            self.counted.note(length, self.compressed.len().min(length));
            if self.compressed.len() < length {
                let payload_length = self.compressed.len() as u64;
                let header = Header { compressed: true, payload_length, ..frame.header };
                output.put_slice(&header.encode());
                output.put_slice(&self.compressed);
                return;
            }
        }
        output.put_slice(frame.whole);
    }

    /// For one session, but without a context.
    pub(crate) fn alone(&mut self, frames: &Bytes) -> Bytes {
        if spend(&mut self.alone_left, frames.len()) { self.pack(frames) } else { frames.clone() }
    }

    /// By the connection's own compressor: what is given goes to that connection next, or nothing does any more.
    pub(crate) fn own(&mut self, frames: &Bytes, websocket: &mut websocket::Connection) -> Bytes {
        if !spend(&mut self.alone_left, frames.len()) {
            return frames.clone();
        }
        self.compressed.clear();
        for frame in Frames(frames) {
            let before = self.compressed.len();
            let message = match (frame.header.opcode, std::str::from_utf8(frame.payload)) {
                (Opcode::Text, Ok(text)) => Message::Text(text),
                _ => Message::Binary(frame.payload),
            };
            // After our Close it takes nothing, and nothing is owed.
            if websocket.send(message, &mut self.compressed).is_ok() {
                let header = frame.whole.len() - frame.payload.len();
                let sent = (self.compressed.len() - before).saturating_sub(header);
                self.counted.note(frame.payload.len(), sent);
            }
        }
        Bytes::copy_from_slice(&self.compressed)
    }
}

/// Takes the cost of so many bytes out of what is left; false if it is not there.
fn spend(left: &mut usize, bytes: usize) -> bool {
    let rest = left.checked_sub(bytes.max(LEAST_BYTES));
    *left = rest.unwrap_or(*left);
    rest.is_some()
}

impl Packed {
    fn note(&mut self, before: usize, after: usize) {
        self.messages += 1;
        self.before += before as u64;
        self.after += after as u64;
    }
}

impl<'f> Iterator for Frames<'f> {
    type Item = Frame<'f>;

    fn next(&mut self) -> Option<Frame<'f>> {
        // They are our own: each is whole and breaks no rule.
        let (header, start) = Header::decode(self.0, Side::Server, Extensions::default()).ok()??;
        let length = usize::try_from(header.payload_length).ok()?;
        let (whole, rest) = self.0.split_at_checked(start.checked_add(length)?)?;
        self.0 = rest;
        Some(Frame { header, payload: &whole[start..], whole })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_websocket::deflate::Parameters;
    use tidegate_websocket::{Event, Input, Limits, MaskKeys, PreparedMessage, Role};

    use super::*;

    const EFFORT: Effort = Effort { level: 1, min_bytes: 512 };

    /// One end of a connection that agreed on compression.
    fn end(role: Role, takeover: bool) -> websocket::Connection {
        let parameters = Parameters {
            server_no_context_takeover: !takeover,
            client_no_context_takeover: !takeover,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            answers_server_max_window_bits: false,
        };
        let limits = Limits { max_message_bytes: 8 << 20, ..Limits::default() };
        let extensions = Extensions { deflate: Some(parameters) };
        websocket::Connection::with_extensions(role, limits, extensions, Effort { min_bytes: 32, ..EFFORT })
    }

    fn client(takeover: bool) -> websocket::Connection {
        end(Role::Client(MaskKeys::from_seed([7; 16])), takeover)
    }

    /// The messages that a client is told.
    fn read(client: &mut websocket::Connection, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut bytes = bytes.to_vec();
        let (mut input, mut output, mut messages) = (Input::new(&mut bytes), Vec::new(), Vec::new());
        while let Some(event) = client.handle_input(&mut input, &mut output) {
            match event {
                Event::Message(message) => messages.push(message.as_bytes().to_vec()),
                other => panic!("{other:?}"),
            }
        }
        messages
    }

    fn joined(messages: &[Vec<u8>]) -> Bytes {
        let frame = |message: &Vec<u8>| match std::str::from_utf8(message) {
            Ok(text) => PreparedMessage::text(text).into_bytes(),
            Err(_) => PreparedMessage::binary(message).into_bytes(),
        };
        messages.iter().map(frame).flat_map(|bytes| bytes.to_vec()).collect::<Vec<_>>().into()
    }

    fn text(bytes: usize) -> Vec<u8> {
        b"{\"symbol\":\"EX\",\"price\":12.34},".iter().copied().cycle().take(bytes).collect()
    }

    /// Text that shrinks and bytes that do not, around the threshold and beyond every form of a length.
    fn message() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            (0..2000usize).prop_map(text),
            (65_000..70_000usize).prop_map(text),
            proptest::collection::vec(any::<u8>(), 0..1500),
        ]
    }

    proptest! {
        #[test]
        fn clients_read_what_was_joined(
            rounds in proptest::collection::vec(proptest::collection::vec(message(), 0..6), 1..5)
        ) {
            let mut packer = Packer::new(EFFORT);
            let mut server = end(Role::Server, true);
            let (mut sharing, mut keeping) = (client(false), client(true));
            for messages in rounds {
                let frames = joined(&messages);
                prop_assert_eq!(&read(&mut sharing, &packer.shared(&frames)), &messages);
                prop_assert_eq!(&read(&mut keeping, &packer.own(&frames, &mut server)), &messages);
            }
        }
    }

    #[test]
    fn what_is_short_or_does_not_shrink_is_not_even_copied() {
        let mut packer = Packer::new(EFFORT);
        let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(1000).collect();
        for messages in [vec![text(500)], vec![text(511), text(400)], vec![noise]] {
            let frames = joined(&messages);
            assert_eq!(packer.shared(&frames).as_ptr(), frames.as_ptr());
        }
        let long = joined(&[text(512)]);
        assert!(packer.shared(&long).len() < 100);
        assert_eq!(packer.counted().messages, 2, "the noise was tried");
    }

    #[test]
    fn a_message_that_would_hold_up_the_shard_goes_as_it_is() {
        let mut packer = Packer::new(EFFORT);
        let frames = joined(&[text(MESSAGE_MAX_BYTES + 1)]);
        assert_eq!(packer.shared(&frames).as_ptr(), frames.as_ptr());
        assert_eq!(packer.counted().messages, 0);
    }

    #[test]
    fn a_round_has_an_end() {
        let mut packer = Packer::new(EFFORT);
        let (mut server, mut client) = (end(Role::Server, true), client(true));
        let messages = [text(1 << 20)];
        let frames = joined(&messages);
        packer.begin_round();
        for _ in 0..2 {
            let lengths = [0; 3].map(|_| {
                let bytes = packer.own(&frames, &mut server);
                assert_eq!(read(&mut client, &bytes), messages);
                bytes.len()
            });
            assert!(lengths[0] < 100_000, "{lengths:?}");
            assert_eq!(lengths[1..], [frames.len(); 2], "with their headers two are more than the share");
            assert_eq!(packer.alone(&frames).as_ptr(), frames.as_ptr());
            let shared = [0; 8].map(|_| packer.shared(&frames).len());
            assert!(shared[6] < 100_000, "what all share has a share of its own: {shared:?}");
            assert_eq!(shared[7], frames.len());
            packer.begin_round();
        }
    }

    #[test]
    fn a_context_makes_short_messages_smaller() {
        let mut packer = Packer::new(EFFORT);
        let (mut server, mut client) = (end(Role::Server, true), client(true));
        let mut lengths = Vec::new();
        for number in 0..20 {
            let messages =
                [format!("{{\"type\":\"quote\",\"symbol\":\"EX{number}\",\"price\":{number}.5}}")
                    .into_bytes()];
            let frames = joined(&messages);
            let bytes = packer.own(&frames, &mut server);
            assert_eq!(read(&mut client, &bytes), messages);
            lengths.push(bytes.len() * 100 / frames.len());
        }
        assert!(lengths[19] < 40, "{lengths:?} per cent");
    }
}
